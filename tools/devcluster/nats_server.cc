#include <absl/time/clock.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/status.h"
#include "devcluster/devcluster.h"

namespace vedette::devcluster {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMinTokenLength = 16;

absl::StatusOr<std::string> FindBinary() {
  if (const char* given = std::getenv("VEDETTE_NATS_SERVER"); given != nullptr && *given != '\0')
    return std::string(given);
  for (const char* path : {"/usr/sbin/nats-server", "/usr/bin/nats-server", "/usr/local/bin/nats-server"}) {
    if (::access(path, X_OK) == 0) return std::string(path);
  }
  return NotFound("nats-server is not installed (package nats-server; or set VEDETTE_NATS_SERVER)");
}

// The token stays out of the command line, which every user of the machine can read.
absl::Status WriteConfig(const NatsOptions& o, const std::string& file) {
  const mode_t old = ::umask(077);
  std::ofstream out(file, std::ios::trunc);
  ::umask(old);
  out << "listen: \"127.0.0.1:" << o.port << "\"\n";
  if (o.monitor_port > 0) out << "http: \"127.0.0.1:" << o.monitor_port << "\"\n";
  out << "authorization { token: \"" << o.token << "\" }\n"
      << "max_payload: " << o.max_payload_bytes << "\n"
      << "jetstream { store_dir: \"" << o.data_dir
      << "\", max_memory_store: 268435456, max_file_store: " << o.max_file_bytes << " }\n";
  return out.flush() ? absl::OkStatus() : InvalidArgument("cannot write {}", file);
}

// The server greets every connection with INFO; by then JetStream is ready.
bool Greets(int port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const timeval wait{.tv_sec = 1, .tv_usec = 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  a.sin_port = htons(static_cast<uint16_t>(port));
  char greeting[5] = {};
  const bool ok =
      ::connect(fd, reinterpret_cast<sockaddr*>(&a), sizeof a) == 0 && ::recv(fd, greeting, 4, MSG_WAITALL) == 4;
  ::close(fd);
  return ok && std::string_view(greeting) == "INFO";
}

absl::StatusOr<Process> Launch(const NatsOptions& o) {
  RETURN_IF_ERROR(CheckPortFree(o.port));
  ASSIGN_OR_RETURN(const std::string binary, FindBinary());
  const std::string config = o.data_dir + "/nats.conf";
  RETURN_IF_ERROR(WriteConfig(o, config));
  ProcessOptions p;
  p.argv = {binary, "-c", config};
  p.log_file = o.log_file;
  p.directory = o.data_dir;
  p.die_with_parent = o.die_with_parent;
  p.death_signal = SIGTERM;
  ASSIGN_OR_RETURN(Process process, Process::Spawn(p));
  const absl::Time deadline = absl::Now() + o.start_timeout;
  while (true) {
    if (!process.Running()) return Unavailable("nats-server ended at start:\n{}", Tail(o.log_file));
    if (Greets(o.port)) return process;
    if (absl::Now() > deadline) {
      (void)process.Stop(SIGKILL, absl::Seconds(5));
      return Unavailable("nats-server did not come up within {} s:\n{}", absl::ToInt64Seconds(o.start_timeout),
                         Tail(o.log_file));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<NatsServer>> NatsServer::Start(NatsOptions o) {
  if (o.data_dir.empty()) return InvalidArgument("nats-server needs a data folder");
  if (o.token.size() < kMinTokenLength)
    return InvalidArgument("the token needs at least {} characters", kMinTokenLength);
  for (const char c : o.token) {
    if (static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7f || c == '"' || c == '\\' ||
        c == '$') {
      return InvalidArgument("the token must be printable ASCII without quotes, backslashes and dollars");
    }
  }
  std::error_code error;
  o.data_dir = fs::absolute(o.data_dir, error).lexically_normal().string();
  fs::create_directories(o.data_dir, error);
  if (error) return absl::PermissionDeniedError(fmt::format("cannot make {}: {}", o.data_dir, error.message()));
  ::chmod(o.data_dir.c_str(), 0700);
  if (o.log_file.empty()) o.log_file = o.data_dir + "/nats.log";
  if (o.port == 0) {
    ASSIGN_OR_RETURN(o.port, FreePort());
  }
  if (o.monitor_port == 0) {
    ASSIGN_OR_RETURN(o.monitor_port, FreePort());
  }
  ASSIGN_OR_RETURN(Process process, Launch(o));
  return std::unique_ptr<NatsServer>(new NatsServer(std::move(o), std::move(process)));
}

NatsServer::~NatsServer() { (void)Stop(); }
absl::Status NatsServer::Stop() { return process_.Stop(SIGTERM, absl::Seconds(15)); }
absl::Status NatsServer::Kill() { return process_.Stop(SIGKILL, absl::Seconds(5)); }
absl::Status NatsServer::Restart() {
  ASSIGN_OR_RETURN(process_, Launch(options_));
  return absl::OkStatus();
}
pid_t NatsServer::Detach() { return process_.Release(); }
bool NatsServer::Running() { return process_.Running(); }
std::string NatsServer::Url() const { return fmt::format("nats://127.0.0.1:{}", options_.port); }

}  // namespace vedette::devcluster
