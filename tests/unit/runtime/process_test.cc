// A service as a process: command line, readiness, signals, exit status.
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdio>

#include "echo.grpc.pb.h"
#include "support/test_app.h"

extern char** environ;

namespace vedette::runtime {
namespace {

namespace pb = vedette::test::echo::v1;

/// A child process whose stdout and stderr are read together.
class Process {
 public:
  explicit Process(std::vector<std::string> args) {
    args.insert(args.begin(), std::string(VEDETTE_BIN_DIR) + "/runtime_echo_server");
    std::vector<char*> argv;
    for (std::string& arg : args) argv.push_back(arg.data());
    argv.push_back(nullptr);
    int fds[2];
    REQUIRE(::pipe(fds) == 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, fds[1], STDERR_FILENO);
    posix_spawn_file_actions_addclose(&actions, fds[0]);
    posix_spawn_file_actions_addclose(&actions, fds[1]);
    REQUIRE(posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), environ) == 0);
    posix_spawn_file_actions_destroy(&actions);
    ::close(fds[1]);
    out_ = ::fdopen(fds[0], "r");
  }
  ~Process() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      Wait();
    }
    std::fclose(out_);
  }
  std::string Line() {
    char buffer[4096];
    return std::fgets(buffer, sizeof buffer, out_) == nullptr ? "" : buffer;
  }
  std::string Rest() {
    std::string text;
    for (std::string line = Line(); !line.empty(); line = Line()) text += line;
    return text;
  }
  void Signal(int number) { ::kill(pid_, number); }
  int Wait() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  }

 private:
  pid_t pid_ = -1;
  FILE* out_ = nullptr;
};

bool Says(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

TEST_CASE("a service process starts, serves, and ends on SIGTERM with status 0") {
  const testing::Keys keys;
  Process process({"--set", "auth.public_key_file=" + keys.dir().File("public.pem")});
  std::string line;
  do {
    line = process.Line();
    REQUIRE_FALSE(line.empty());
  } while (!Says(line, "ready on"));
  const std::string address = line.substr(line.find("ready on ") + 9, line.find('\n') - line.find("ready on ") - 9);
  auto channel = MakeChannel(address);
  REQUIRE(channel.ok());
  CHECK(CheckHealth(*channel, "", absl::Seconds(10)).ok());
  pb::SayRequest request;
  request.set_text("hello");
  auto stub = pb::EchoService::NewStub(*channel);
  const auto answer = Call(*stub, &pb::EchoService::Stub::Say, keys.As("acme", {"viewer"}), request);
  INFO(answer.status().ToString());
  REQUIRE(answer.ok());
  CHECK(answer->text() == "hello");
  process.Signal(SIGTERM);
  const std::string log = process.Rest();
  CHECK(process.Wait() == 0);
  CHECK(Says(log, "\"message\":\"call\""));
  CHECK(Says(log, "\"tenant\":\"acme\""));
  CHECK(Says(log, "\"message\":\"stopped\""));
}

TEST_CASE("the command line of a service") {
  const testing::Keys keys;
  const std::string key = "auth.public_key_file=" + keys.dir().File("public.pem");
  const auto run = [](std::vector<std::string> args) {
    Process process(std::move(args));
    std::string text = process.Rest();
    return std::pair(process.Wait(), std::move(text));
  };
  SECTION("--check-config") {
    CHECK(run({"--check-config", "--set", key}) == std::pair(0, std::string("configuration ok\n")));
    const auto [code, text] = run({"--check-config", "--set", "grpc.prot=1"});
    CHECK(code == 2);
    CHECK(Says(text, "did you mean port?"));
    CHECK(run({"--check-config", "--set", "grpc.max_streams=0", "--set", key}).first == 2);
  }
  SECTION("--print-config and --help") {
    CHECK(Says(run({"--print-config"}).second, "\"name\": \"echo\""));
    const auto [code, text] = run({"--help"});
    CHECK(code == 0);
    CHECK(Says(text, "server.grpc.port"));
  }
  SECTION("a service without a key, or one that cannot be built, says so and fails") {
    const auto [code, text] = run({});
    CHECK(code == 2);
    CHECK(Says(text, "auth.public_key_file"));
    const auto [broken, why] = run({"--set", "name=broken", "--set", key});
    CHECK(broken == 1);
    CHECK(Says(why, "built to fail"));
  }
}

}  // namespace
}  // namespace vedette::runtime
