#include "llm/curl_transport.h"

#include <curl/curl.h>

#include <algorithm>
#include <mutex>
#include <string_view>

namespace vedette::llm {
namespace {

struct Transfer {
  HttpReply reply;
  std::stop_token stop;
  size_t header_bytes = 0;
};

size_t OnBody(char* data, size_t size, size_t n, void* user) {
  auto& t = *static_cast<Transfer*>(user);
  const size_t bytes = size * n;
  if (t.reply.body.size() + bytes > kMaxReplyBytes) {
    t.reply.error = TransportError::kTooLarge;
    return 0;
  }
  t.reply.body.append(data, bytes);
  return bytes;
}

size_t OnHeader(char* data, size_t size, size_t n, void* user) {
  auto& t = *static_cast<Transfer*>(user);
  std::string_view line(data, size * n);
  t.header_bytes += line.size();
  if (t.header_bytes > (64 << 10)) {
    t.reply.error = TransportError::kTooLarge;
    return 0;
  }
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) {
    if (line.starts_with("HTTP/")) t.reply.headers.clear();  // of a "100 Continue"
    return size * n;
  }
  std::string name(line.substr(0, colon));
  std::transform(name.begin(), name.end(), name.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
  line.remove_prefix(colon + 1);
  const size_t begin = line.find_first_not_of(" \t");
  const size_t end = line.find_last_not_of(" \t\r\n");
  if (begin == std::string_view::npos || end == std::string_view::npos || begin > end) line = {};
  else line = line.substr(begin, end - begin + 1);
  t.reply.headers[name] = std::string(line);
  return size * n;
}

int OnProgress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<Transfer*>(user)->stop.stop_requested() ? 1 : 0;
}

class CurlTransport final : public Transport {
 public:
  HttpReply Post(const HttpRequest& request) override {
    Transfer t;
    t.stop = request.stop;
    const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> handle(curl_easy_init(), curl_easy_cleanup);
    std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> headers(nullptr, curl_slist_free_all);
    for (const std::string& h : request.headers) {
      curl_slist* const longer = curl_slist_append(headers.get(), h.c_str());
      if (longer == nullptr) break;
      (void)headers.release();
      headers.reset(longer);
    }
    if (handle == nullptr || (headers == nullptr && !request.headers.empty())) {
      t.reply.error = TransportError::kUnreachable;
      return t.reply;
    }
    Prepare(handle.get(), request, headers.get(), t);
    const CURLcode code = curl_easy_perform(handle.get());
    if (t.reply.error != TransportError::kNone) return t.reply;
    if (code == CURLE_OPERATION_TIMEDOUT) t.reply.error = TransportError::kTimeout;
    else if (code == CURLE_ABORTED_BY_CALLBACK) t.reply.error = TransportError::kCancelled;
    else if (code != CURLE_OK) t.reply.error = TransportError::kUnreachable;
    long status = 0;
    curl_easy_getinfo(handle.get(), CURLINFO_RESPONSE_CODE, &status);
    t.reply.status = static_cast<int>(status);
    return t.reply;
  }

 private:
  static void Prepare(CURL* h, const HttpRequest& request, curl_slist* headers, Transfer& t) {
    const long ms = std::max(1L, static_cast<long>(absl::ToInt64Milliseconds(request.timeout)));
    curl_easy_setopt(h, CURLOPT_URL, request.url.c_str());
    curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 0L);  // a key must not follow a redirect
    curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);        // threads
    curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, ms);
    curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, std::min(ms, 5000L));
    curl_easy_setopt(h, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(h, CURLOPT_POST, 1L);
    curl_easy_setopt(h, CURLOPT_POSTFIELDS, request.body.data());
    curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, OnBody);
    curl_easy_setopt(h, CURLOPT_WRITEDATA, &t);
    curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, OnHeader);
    curl_easy_setopt(h, CURLOPT_HEADERDATA, &t);
    curl_easy_setopt(h, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(h, CURLOPT_XFERINFOFUNCTION, OnProgress);
    curl_easy_setopt(h, CURLOPT_XFERINFODATA, &t);
  }
};

}  // namespace

std::unique_ptr<Transport> NewCurlTransport() {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  return std::make_unique<CurlTransport>();
}

}  // namespace vedette::llm
