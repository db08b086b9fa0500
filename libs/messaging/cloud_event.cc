#include "messaging/cloud_event.h"

#include <algorithm>
#include <cstdint>

#include "base/status.h"

namespace vedette::messaging {
namespace {

constexpr std::string_view kPrefix = "ce-";
constexpr size_t kMaxValueBytes = 4096;

// Strict UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF.
bool IsUtf8(std::string_view s) {
  for (size_t i = 0; i < s.size();) {
    const auto byte = [&s](size_t k) { return static_cast<unsigned char>(s[k]); };
    const unsigned char b = byte(i);
    size_t n = 0;
    uint32_t point = 0, least = 0;
    if (b < 0x80) {
      ++i;
      continue;
    }
    if ((b & 0xe0) == 0xc0)
      n = 1, point = b & 0x1f, least = 0x80;
    else if ((b & 0xf0) == 0xe0)
      n = 2, point = b & 0x0f, least = 0x800;
    else if ((b & 0xf8) == 0xf0)
      n = 3, point = b & 0x07, least = 0x10000;
    else
      return false;
    if (i + n >= s.size()) return false;
    for (size_t k = 1; k <= n; ++k) {
      if ((byte(i + k) & 0xc0) != 0x80) return false;
      point = point << 6 | (byte(i + k) & 0x3f);
    }
    if (point < least || point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) return false;
    i += n + 1;
  }
  return true;
}

// The NATS binding: space, double quote, percent and everything outside U+0021..U+007E is percent-encoded.
std::string Encode(std::string_view s) {
  std::string out;
  for (const char ch : s) {
    const auto c = static_cast<unsigned char>(ch);
    if (c <= 0x20 || c >= 0x7f || c == '"' || c == '%') {
      out += fmt::format("%{:02X}", c);
    } else {
      out += ch;
    }
  }
  return out;
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool Decode(std::string_view s, std::string* out) {
  for (size_t i = 0; i < s.size(); ++i) {
    if (s[i] != '%') {
      out->push_back(s[i]);
      continue;
    }
    if (i + 2 >= s.size()) return false;
    const int high = HexDigit(s[i + 1]), low = HexDigit(s[i + 2]);
    if (high < 0 || low < 0) return false;
    out->push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return IsUtf8(*out);
}

bool GoodName(std::string_view name) {
  return !name.empty() && name.size() <= 20 &&
         std::all_of(name.begin(), name.end(), [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); });
}

constexpr std::string_view kReserved[] = {"specversion", "id",          "source",          "type", "time", "subject",
                                          "tenantid",    "traceparent", "datacontenttype", "data"};

}  // namespace

absl::StatusOr<Headers> ToHeaders(const CloudEvent& e) {
  Headers out;
  absl::Status bad;
  const auto add = [&](std::string_view name, std::string_view value) {
    if (value.empty()) return;
    if (bad.ok() && value.size() > kMaxValueBytes)
      bad = InvalidArgument("the event's attribute {} has {} bytes; at most {}", name, value.size(), kMaxValueBytes);
    if (bad.ok() && !IsUtf8(value)) bad = InvalidArgument("the event's attribute {} is not UTF-8", name);
    out.emplace_back(fmt::format("{}{}", kPrefix, name), Encode(value));
  };
  if (e.id.empty() || e.source.empty() || e.type.empty()) return InvalidArgument("an event needs id, source and type");
  add("specversion", "1.0");
  add("id", e.id);
  add("source", e.source);
  add("type", e.type);
  if (e.time != absl::InfinitePast())
    add("time", absl::FormatTime("%Y-%m-%d%ET%H:%M:%E*SZ", e.time, absl::UTCTimeZone()));
  add("subject", e.subject);
  add("tenantid", e.tenant);
  add("traceparent", e.traceparent);
  add("datacontenttype", e.datacontenttype);
  for (const auto& [name, value] : e.extensions) {
    if (!GoodName(name) || std::find(std::begin(kReserved), std::end(kReserved), name) != std::end(kReserved)) {
      return InvalidArgument(
          "an extension of the event has the name \"{}\"; 1 to 20 of [a-z0-9], and none of the standard ones", name);
    }
    add(name, value);
  }
  RETURN_IF_ERROR(bad);
  return out;
}

absl::StatusOr<CloudEvent> FromHeaders(const Headers& headers, std::string data) {
  CloudEvent e;
  e.datacontenttype.clear();
  std::string version;
  for (const auto& [key, raw] : headers) {
    if (!std::string_view(key).starts_with(kPrefix)) continue;
    const std::string name = key.substr(kPrefix.size());
    std::string value;
    if (raw.size() > 3 * kMaxValueBytes || !Decode(raw, &value))
      return InvalidArgument("the header {} is not percent-encoded UTF-8", key);
    if (name == "specversion")
      version = value;
    else if (name == "id")
      e.id = value;
    else if (name == "source")
      e.source = value;
    else if (name == "type")
      e.type = value;
    else if (name == "subject")
      e.subject = value;
    else if (name == "tenantid")
      e.tenant = value;
    else if (name == "traceparent")
      e.traceparent = value;
    else if (name == "datacontenttype")
      e.datacontenttype = value;
    else if (name == "time") {
      std::string error;
      if (!absl::ParseTime(absl::RFC3339_full, value, &e.time, &error))
        return InvalidArgument("the header ce-time is not an RFC 3339 time");
    } else if (GoodName(name)) {
      e.extensions[name] = value;
    }
  }
  if (version != "1.0") return InvalidArgument("the message is not a CloudEvent 1.0 in binary mode");
  if (e.id.empty() || e.source.empty() || e.type.empty()) return InvalidArgument("the event lacks id, source or type");
  e.data = std::move(data);
  return e;
}

}  // namespace vedette::messaging
