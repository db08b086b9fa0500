// A child process of ours: started with its own user, log file and, if wished, the parent's death as its end.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>
#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

namespace vedette::devcluster {

struct ProcessOptions {
  std::vector<std::string> argv;      ///< argv[0] is a path
  std::vector<std::string> env = {};  ///< "NAME=value", replaces the environment; empty: inherited
  std::string log_file;               ///< stdout and stderr are appended here
  std::string run_as = {};            ///< as root: this user; else must be empty
  std::string directory = {};         ///< working directory
  /// The child gets `death_signal` when the thread that started it ends (so start it from one that lives on). With
  /// false it lives on in a session of its own.
  bool die_with_parent = true;
  int death_signal = 15;
};

class Process {
 public:
  static absl::StatusOr<Process> Spawn(const ProcessOptions& options);
  Process(Process&& o) noexcept : pid_(o.pid_) { o.pid_ = -1; }
  Process& operator=(Process&& o) noexcept {
    std::swap(pid_, o.pid_);
    return *this;
  }
  ~Process() = default;  ///< does not end the child: its owner decides how

  pid_t pid() const { return pid_; }
  /// Forgets the child; returns its pid.
  pid_t Release() { return std::exchange(pid_, -1); }
  /// False once it has ended; reaps it then.
  bool Running();
  /// Sends `signal`, waits; SIGKILL after `patience`. OK when it had ended already.
  absl::Status Stop(int signal, absl::Duration patience);

 private:
  explicit Process(pid_t pid) : pid_(pid) {}
  pid_t pid_ = -1;
};

/// A TCP port of 127.0.0.1 that is free at this moment.
absl::StatusOr<int> FreePort();
/// FAILED_PRECONDITION when something listens on this port of 127.0.0.1 already (it would answer in place of our
/// server).
absl::Status CheckPortFree(int port);
/// The last lines of a log, for error messages.
std::string Tail(const std::string& file, size_t bytes = 2000);

}  // namespace vedette::devcluster
