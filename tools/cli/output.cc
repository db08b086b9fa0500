#include "cli/output.h"

#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <utility>

#include "base/status.h"
#include "explain/words.h"

namespace vedette::cli {
namespace {

// The name of the partial file, for the signal handler: written before the handler is installed, cleared after.
char g_partial[4096];

void RemovePartial(int signal) {
  if (g_partial[0] != '\0') unlink(g_partial);
  std::signal(signal, SIG_DFL);
  raise(signal);
}

}  // namespace

absl::StatusOr<Output> Output::Open(const std::string& path) {
  if (path.empty() || path == "-") return Output(stdout, "", "");
  std::string partial = fmt::format("{}.partial-{}", path, getpid());
  std::FILE* file = std::fopen(partial.c_str(), "wbx");
  if (file == nullptr) {
    return Unavailable("{}: cannot be written: {}", explain::SafeText(path, 200), std::strerror(errno));
  }
  std::strncpy(g_partial, partial.c_str(), sizeof g_partial - 1);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) std::signal(signal, RemovePartial);
  return Output(file, path, std::move(partial));
}

Output::~Output() {
  if (file_ == nullptr || file_ == stdout) return;
  std::fclose(file_);
  unlink(partial_.c_str());
  g_partial[0] = '\0';
}

Output::Output(Output&& other) noexcept
    : file_(std::exchange(other.file_, nullptr)), path_(std::move(other.path_)), partial_(std::move(other.partial_)) {}

void Output::Write(std::string_view text) { std::fwrite(text.data(), 1, text.size(), file_); }

absl::Status Output::Healthy() const {
  if (std::ferror(file_) == 0) return absl::OkStatus();
  return Unavailable("{}: could not be written completely: {}", Name(), std::strerror(errno));
}

std::string Output::Name() const { return to_stdout() ? "standard output" : explain::SafeText(path_, 200); }

absl::Status Output::Commit() {
  const std::string name = Name();
  if (std::fflush(file_) != 0 || std::ferror(file_) != 0) {
    return Unavailable("{}: could not be written completely: {}", name, std::strerror(errno));
  }
  if (to_stdout()) return absl::OkStatus();
  const bool closed = std::fclose(std::exchange(file_, nullptr)) == 0;
  const bool renamed = closed && std::rename(partial_.c_str(), path_.c_str()) == 0;
  const int error = errno;
  if (!renamed) unlink(partial_.c_str());
  g_partial[0] = '\0';
  if (!renamed) return Unavailable("{}: could not be written: {}", name, std::strerror(error));
  return absl::OkStatus();
}

std::string Dump(const Json& json, int indent) {
  return json.dump(indent, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace vedette::cli
