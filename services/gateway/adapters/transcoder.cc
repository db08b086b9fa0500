#include "services/gateway/adapters/transcoder.h"

#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/type_resolver_util.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/status.h"
#include "runtime/filter.h"
#include "runtime/status.h"

namespace vedette::gateway {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using nlohmann::json;
using runtime::FieldViolation;
using runtime::InvalidField;

constexpr std::string_view kTypeUrl = "type.googleapis.com/";
constexpr int kMaxJsonDepth = 64;
constexpr size_t kMaxViolations = 20;
constexpr size_t kMaxQuoted = 200;

/// Strict RFC 8259 with a bound on the depth: json_util reads more than JSON, and recurses.
class JsonCheck : public json::json_sax_t {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return false; }
  bool start_object(size_t) override { return Enter(); }
  bool key(string_t&) override { return true; }
  bool end_object() override { return --depth_, true; }
  bool start_array(size_t) override { return Enter(); }
  bool end_array() override { return --depth_, true; }
  bool parse_error(size_t position, const std::string&, const json::exception&) override {
    error_ = fmt::format("not JSON at byte {}", position);
    return false;
  }
  const std::string& error() const { return error_; }

 private:
  bool Enter() {
    if (++depth_ <= kMaxJsonDepth) return true;
    error_ = fmt::format("nested deeper than {} levels", kMaxJsonDepth);
    return false;
  }
  int depth_ = 0;
  std::string error_;
};

const FieldDescriptor* FindField(const Descriptor& type, const std::string& name) {
  if (const FieldDescriptor* field = type.FindFieldByName(name)) return field;
  return type.FindFieldByCamelcaseName(name);
}

std::string UnknownField(const Descriptor& type, const std::string& name) {
  std::vector<std::string> names;
  for (int i = 0; i < type.field_count(); ++i) names.push_back(type.field(i)->name());
  const std::string nearest = runtime::NearestName(name, names);
  if (!nearest.empty()) return fmt::format("unknown field; did you mean {}?", nearest);
  return names.empty() ? std::string("unknown field") : fmt::format("unknown field; known: {}", fmt::join(names, ", "));
}

bool IsOpaque(const Descriptor& type) { return type.full_name().starts_with("google.protobuf."); }

/// Names that a message type does not have, anywhere in the JSON.
void FindUnknown(const json& value, const Descriptor& type, const std::string& path, std::vector<FieldViolation>* out) {
  if (IsOpaque(type) || !value.is_object()) return;
  for (const auto& [key, entry] : value.items()) {
    if (out->size() >= kMaxViolations) return;
    const std::string here = path.empty() ? key : path + "." + key;
    const FieldDescriptor* field = FindField(type, key);
    if (field == nullptr) {
      out->push_back({here.substr(0, kMaxQuoted), UnknownField(type, key)});
      continue;
    }
    const Descriptor* inner =
        field->is_map() ? field->message_type()->map_value()->message_type() : field->message_type();
    if (inner == nullptr) continue;
    if (field->is_map() && entry.is_object()) {
      for (const auto& [map_key, map_value] : entry.items()) FindUnknown(map_value, *inner, here + "." + map_key, out);
    } else if (entry.is_array()) {
      for (size_t i = 0; i < entry.size(); ++i) FindUnknown(entry[i], *inner, fmt::format("{}[{}]", here, i), out);
    } else {
      FindUnknown(entry, *inner, here, out);
    }
  }
}

absl::StatusOr<std::string> FromJson(google::protobuf::util::TypeResolver* types, const Descriptor& type,
                                     std::string_view text) {
  std::string binary;
  const auto status = google::protobuf::util::JsonToBinaryString(types, std::string(kTypeUrl) + type.full_name(),
                                                                 {text.data(), text.size()}, &binary, {});
  if (status.ok()) return binary;
  std::vector<FieldViolation> unknown;
  FindUnknown(json::parse(text, nullptr, false), type, "", &unknown);
  RETURN_IF_ERROR(runtime::InvalidFields(unknown));
  return InvalidArgument("body: {}", std::string(status.message()).substr(0, kMaxQuoted * 2));
}

/// A scalar, an enum or a message with a textual form, read by the JSON rules: one set of rules for body and query.
absl::StatusOr<json> TextToJson(const FieldDescriptor& field, const std::string& text) {
  const auto wrong = [&](std::string_view expected) {
    return InvalidArgument("\"{}\" is not {}", text.substr(0, kMaxQuoted), expected);
  };
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      if (text == "true" || text == "false") return json(text == "true");
      return wrong("true or false");
    case FieldDescriptor::CPPTYPE_ENUM: {
      if (field.enum_type()->FindValueByName(text) != nullptr) return json(text);
      const json number = json::parse(text, nullptr, false);
      if (number.is_number_integer()) return number;
      std::vector<std::string> names;
      for (int i = 0; i < field.enum_type()->value_count(); ++i) names.push_back(field.enum_type()->value(i)->name());
      return wrong(fmt::format("one of {}", fmt::join(names, ", ")));
    }
    case FieldDescriptor::CPPTYPE_MESSAGE: {
      static const std::set<std::string> kTextual = {"google.protobuf.Timestamp", "google.protobuf.Duration",
                                                     "google.protobuf.FieldMask", "google.protobuf.StringValue"};
      if (kTextual.contains(field.message_type()->full_name())) return json(text);
      return InvalidArgument("a message cannot be a query parameter; name a field of it");
    }
    default:
      return json(text);  // numbers are read from strings too, and bytes are base64
  }
}

}  // namespace

absl::Status SetFieldFromText(Message* message, std::string_view path, const std::string& value) {
  Message* holder = message;
  std::string rest(path);
  while (true) {
    const size_t dot = rest.find('.');
    const std::string name = rest.substr(0, dot);
    const FieldDescriptor* field = FindField(*holder->GetDescriptor(), name);
    if (field == nullptr) return InvalidField(path.substr(0, kMaxQuoted), UnknownField(*holder->GetDescriptor(), name));
    if (dot != std::string::npos) {
      if (field->message_type() == nullptr || field->is_repeated() || IsOpaque(*field->message_type())) {
        return InvalidField(path, fmt::format("{} has no fields that a query parameter could name", name));
      }
      holder = holder->GetReflection()->MutableMessage(holder, field);
      rest = rest.substr(dot + 1);
      continue;
    }
    if (field->is_map()) return InvalidField(path, "a map cannot be a query parameter");
    absl::StatusOr<json> parsed = TextToJson(*field, value);
    if (!parsed.ok()) return InvalidField(path, vedette::Message(parsed.status()));
    json one = field->is_repeated() ? json::array({*parsed}) : *std::move(parsed);
    const std::unique_ptr<Message> part(holder->New());
    const auto status =
        google::protobuf::util::JsonStringToMessage(json{{field->name(), std::move(one)}}.dump(), part.get());
    if (!status.ok()) {
      return InvalidField(
          path, fmt::format("\"{}\" is not a {}", value.substr(0, kMaxQuoted),
                            field->message_type() != nullptr ? field->message_type()->name() : field->type_name()));
    }
    holder->MergeFrom(*part);
    return absl::OkStatus();
  }
}

Transcoder::Transcoder(const Api& api)
    : types_(google::protobuf::util::NewTypeResolverForDescriptorPool("type.googleapis.com", &api.pool())) {}

absl::Status Transcoder::ReadBody(std::string_view body, Message* message) const {
  if (body.empty()) return absl::OkStatus();
  JsonCheck check;
  if (!json::sax_parse(body, &check)) return InvalidField("body", check.error());
  ASSIGN_OR_RETURN(const std::string binary, FromJson(types_.get(), *message->GetDescriptor(), body));
  if (!message->ParseFromString(binary)) return InvalidField("body", "cannot be read");
  return absl::OkStatus();
}

absl::StatusOr<std::string> Transcoder::Request(const Binding& binding, const NamedValues& variables,
                                                const NamedValues& query, std::string_view body) const {
  const std::unique_ptr<Message> message(factory_.GetPrototype(binding.rpc->input_type())->New());
  if (binding.whole_body) {
    RETURN_IF_ERROR(ReadBody(body, message.get()));
  } else if (binding.body_field != nullptr) {
    RETURN_IF_ERROR(
        ReadBody(body, message->GetReflection()->MutableMessage(message.get(), binding.body_field, &factory_)));
  } else if (!body.empty()) {
    return InvalidField("body", fmt::format("{} {} takes no body", binding.http_method, binding.path.text));
  }

  std::vector<FieldViolation> violations;
  std::set<std::string> seen;
  for (const auto& [name, value] : query) {
    const std::string top = name.substr(0, name.find('.'));
    const FieldDescriptor* field = FindField(*binding.rpc->input_type(), name);
    absl::Status status;
    if (binding.whole_body) {
      status = InvalidField(name.substr(0, kMaxQuoted), "belongs into the body; this method has no query parameters");
    } else if (binding.body_field != nullptr && FindField(*binding.rpc->input_type(), top) == binding.body_field) {
      status = InvalidField(name, "belongs into the body");
    } else if (!seen.insert(name).second && !(field != nullptr && field->is_repeated())) {
      status = InvalidField(name.substr(0, kMaxQuoted), "given twice");
    } else {
      status = SetFieldFromText(message.get(), name, value);
    }
    for (const FieldViolation& v : runtime::GetFieldViolations(status)) {
      if (violations.size() < kMaxViolations) violations.push_back(v);
    }
  }
  RETURN_IF_ERROR(runtime::InvalidFields(violations));
  for (const auto& [name, value] : variables) RETURN_IF_ERROR(SetFieldFromText(message.get(), name, value));
  return message->SerializeAsString();
}

absl::StatusOr<std::string> Transcoder::Response(const Binding& binding, const std::string& message) const {
  return ToJson(*binding.rpc->output_type(), message);
}

absl::StatusOr<std::string> Transcoder::ToJson(const Descriptor& type, const std::string& message) const {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string out;
  const auto status = google::protobuf::util::BinaryToJsonString(types_.get(), std::string(kTypeUrl) + type.full_name(),
                                                                 message, &out, options);
  if (!status.ok())
    return Internal("the service's answer cannot be written as JSON: {}", std::string(status.message()));
  return out;
}

}  // namespace vedette::gateway
