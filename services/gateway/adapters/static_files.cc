#include "services/gateway/adapters/static_files.h"

#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/status.h"
#include "services/gateway/core/uri.h"

namespace vedette::gateway {
namespace {

namespace fs = std::filesystem;

constexpr uintmax_t kMaxFileBytes = 64 << 20;

constexpr std::pair<std::string_view, const char*> kTypes[] = {{".html", "text/html; charset=utf-8"},
                                                               {".js", "text/javascript; charset=utf-8"},
                                                               {".css", "text/css; charset=utf-8"},
                                                               {".json", "application/json"},
                                                               {".svg", "image/svg+xml"},
                                                               {".png", "image/png"},
                                                               {".ico", "image/x-icon"},
                                                               {".woff2", "font/woff2"},
                                                               {".txt", "text/plain; charset=utf-8"},
                                                               {".webmanifest", "application/manifest+json"},
                                                               {".map", "application/json"}};

const char* TypeOf(const std::string& extension) {
  for (const auto& [name, type] : kTypes) {
    if (name == extension) return type;
  }
  return "application/octet-stream";
}

/// The decoded path, when every segment of it may name a file; hidden files are none of the dashboard's.
bool Decode(std::string_view path, fs::path* out) {
  while (!path.empty()) {
    const std::string_view raw = path.substr(0, path.find('/'));
    path.remove_prefix(std::min(path.size(), raw.size() + 1));
    const auto segment = DecodeSegment(raw);
    if (!segment || segment->front() == '.') return false;
    *out /= *segment;
  }
  return true;
}

}  // namespace

bool ServeFile(const std::string& directory, std::string_view path, const httplib::Request& request,
               httplib::Response& response) {
  std::error_code error;
  const fs::path root = fs::canonical(directory, error);
  if (error) return false;
  fs::path wanted = root;
  if (!Decode(path.empty() ? "index.html" : path, &wanted)) return false;
  const fs::path file = fs::canonical(wanted, error);
  if (error || !fs::is_regular_file(file, error)) return false;
  const auto [end, ignored] = std::mismatch(root.begin(), root.end(), file.begin(), file.end());
  const uintmax_t size = fs::file_size(file, error);
  if (end != root.end() || error || size > kMaxFileBytes) return false;
  const auto modified = fs::last_write_time(file, error).time_since_epoch().count();
  const std::string tag = fmt::format("\"{:x}-{:x}\"", size, modified);
  response.set_header("ETag", tag);
  response.set_header("Cache-Control", "no-cache");
  if (request.get_header_value("If-None-Match") == tag) {
    response.status = 304;
    return true;
  }
  std::ifstream in(file, std::ios::binary);
  std::string content((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (!in.good() && !in.eof()) return false;
  response.status = 200;
  response.set_content(std::move(content), TypeOf(file.extension().string()));
  return true;
}

}  // namespace vedette::gateway
