#include "devcluster/process.h"

#include <absl/time/clock.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <random>
#include <fstream>
#include <thread>

#include "base/status.h"

namespace vedette::devcluster {
namespace {

// Everything the child needs, made before fork: between fork and exec only async-signal-safe calls are allowed.
struct Plan {
  std::vector<char*> argv, env;
  int log_fd = -1;
  int error_fd = -1;  // close-on-exec: closed means that exec succeeded
  uid_t uid = 0;
  gid_t gid = 0;
  bool change_user = false;
  const char* directory = nullptr;
  bool die_with_parent = true;
  int death_signal = SIGTERM;
  pid_t parent = 0;
};

[[noreturn]] void ChildFail(const Plan& p) {
  const int error = errno;
  (void)!::write(p.error_fd, &error, sizeof error);
  ::_exit(127);
}

[[noreturn]] void RunChild(const Plan& p) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const int s : {SIGINT, SIGTERM, SIGPIPE, SIGHUP}) ::signal(s, SIG_DFL);
  // A group of its own either way: Ctrl-C in the terminal is for the parent, which then stops its children in order.
  if (p.die_with_parent ? ::setpgid(0, 0) != 0 : ::setsid() < 0) ChildFail(p);
  const int null_fd = ::open("/dev/null", O_RDONLY);
  if (null_fd < 0 || ::dup2(null_fd, 0) < 0 || ::dup2(p.log_fd, 1) < 0 || ::dup2(p.log_fd, 2) < 0) ChildFail(p);
  if (p.change_user && (::setgroups(0, nullptr) != 0 || ::setgid(p.gid) != 0 || ::setuid(p.uid) != 0)) ChildFail(p);
  if (p.directory != nullptr && ::chdir(p.directory) != 0) ChildFail(p);
  // After setuid, which clears it.
  if (p.die_with_parent) {
    if (::prctl(PR_SET_PDEATHSIG, p.death_signal) != 0) ChildFail(p);
    if (::getppid() != p.parent) ::_exit(0);
  }
  // Descriptors without close-on-exec (of other libraries) must not live on in a server.
  for (int fd = 3; fd < 1024; ++fd) {
    if (fd != p.error_fd) ::close(fd);
  }
  ::execve(p.argv[0], p.argv.data(), p.env.data());
  ChildFail(p);
}

absl::Status FillUser(const std::string& name, Plan* plan) {
  if (name.empty()) return absl::OkStatus();
  if (::geteuid() != 0) return absl::PermissionDeniedError("only root can run a server as another user");
  const passwd* user = ::getpwnam(name.c_str());
  if (user == nullptr) return NotFound("there is no user {} on this machine", name);
  plan->uid = user->pw_uid;
  plan->gid = user->pw_gid;
  plan->change_user = true;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Process> Process::Spawn(const ProcessOptions& options) {
  Plan plan;
  for (const std::string& a : options.argv) plan.argv.push_back(const_cast<char*>(a.c_str()));
  plan.argv.push_back(nullptr);
  if (options.env.empty()) {
    for (char** e = environ; *e != nullptr; ++e) plan.env.push_back(*e);
  }
  for (const std::string& e : options.env) plan.env.push_back(const_cast<char*>(e.c_str()));
  plan.env.push_back(nullptr);
  plan.die_with_parent = options.die_with_parent;
  plan.death_signal = options.death_signal;
  plan.parent = ::getpid();
  if (!options.directory.empty()) plan.directory = options.directory.c_str();
  RETURN_IF_ERROR(FillUser(options.run_as, &plan));
  plan.log_fd = ::open(options.log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  if (plan.log_fd < 0) return InvalidArgument("cannot write the log {}: {}", options.log_file, std::strerror(errno));
  int pipe_fds[2];
  if (::pipe2(pipe_fds, O_CLOEXEC) != 0) return ResourceExhausted("no pipe: {}", std::strerror(errno));
  plan.error_fd = pipe_fds[1];
  const pid_t pid = ::fork();
  if (pid == 0) RunChild(plan);
  const int fork_error = errno;
  ::close(plan.log_fd);
  ::close(pipe_fds[1]);
  int error = 0;
  const ssize_t n = pid < 0 ? 0 : ::read(pipe_fds[0], &error, sizeof error);
  ::close(pipe_fds[0]);
  if (pid < 0) return ResourceExhausted("cannot start {}: {}", options.argv[0], std::strerror(fork_error));
  if (n > 0) {
    ::waitpid(pid, nullptr, 0);
    return InvalidArgument("cannot run {}{}: {}", options.argv[0],
                           options.run_as.empty() ? "" : " as " + options.run_as, std::strerror(error));
  }
  return Process(pid);
}

bool Process::Running() {
  if (pid_ <= 0) return false;
  const pid_t r = ::waitpid(pid_, nullptr, WNOHANG);
  if (r == pid_ || (r < 0 && errno == ECHILD)) {
    pid_ = -1;
    return false;
  }
  return true;
}

absl::Status Process::Stop(int signal, absl::Duration patience) {
  if (!Running()) return absl::OkStatus();
  ::kill(pid_, signal);
  const absl::Time deadline = absl::Now() + patience;
  while (Running()) {
    if (absl::Now() > deadline) {
      const pid_t pid = pid_;
      ::kill(pid, SIGKILL);
      ::waitpid(pid, nullptr, 0);
      pid_ = -1;
      return absl::DeadlineExceededError(fmt::format("process {} did not end by itself and was killed", pid));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return absl::OkStatus();
}

absl::Status CheckPortFree(int port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return ResourceExhausted("no socket: {}", std::strerror(errno));
  const int yes = 1;  // connections that are only being forgotten do not count
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  a.sin_port = htons(static_cast<uint16_t>(port));
  const int error = ::bind(fd, reinterpret_cast<sockaddr*>(&a), sizeof a) == 0 ? 0 : errno;
  ::close(fd);
  if (error != 0) return FailedPrecondition("port {} of 127.0.0.1 cannot be used: {}", port, std::strerror(error));
  return absl::OkStatus();
}

absl::StatusOr<int> FreePort() {
  // Below the range from which the system gives ports to outgoing connections, any of which could take one of those
  // between this look and the server's start.
  constexpr int kLowest = 10000, kHighest = 32000;
  std::random_device random;
  std::uniform_int_distribution<int> any(kLowest, kHighest);
  for (int attempt = 0; attempt < 1000; ++attempt) {
    const int port = any(random);
    if (CheckPortFree(port).ok()) return port;
  }
  return ResourceExhausted("no free port between {} and {}", kLowest, kHighest);
}

std::string Tail(const std::string& file, size_t bytes) {
  std::ifstream in(file, std::ios::binary | std::ios::ate);
  if (!in) return "";
  const auto size = static_cast<size_t>(in.tellg());
  std::string out(std::min(size, bytes), '\0');
  in.seekg(static_cast<std::streamoff>(size - out.size()));
  in.read(out.data(), static_cast<std::streamsize>(out.size()));
  return out;
}

}  // namespace vedette::devcluster
