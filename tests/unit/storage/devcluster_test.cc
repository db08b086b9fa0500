// Starting and stopping of the servers themselves.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/ids.h"
#include "support/support.h"

namespace vedette::devcluster {
namespace {

bool Until(const std::function<bool()>& done) {
  const absl::Time deadline = absl::Now() + absl::Seconds(30);
  while (!done()) {
    if (absl::Now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

/// False also for a process that ended and waits for its parent to ask.
bool Alive(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/stat");
  std::string id, name, state;
  return static_cast<bool>(in >> id >> name >> state) && state != "Z" && state != "X";
}

}  // namespace

TEST_CASE("a server of one's own: start, restart, keep its data") {
  const testing::TempDir dir;
  const std::string password = RandomHex(16);
  std::string conninfo;
  {
    const auto server =
        PostgresServer::Start({.data_dir = dir.path() + "/pg/", .password = password, .durable = false});
    REQUIRE(server.ok());
    conninfo = (*server)->Conninfo();
    const auto c = storage::Connection::Open(conninfo);
    REQUIRE(c.ok());
    REQUIRE((*c)->Script("create table t (x int)").ok());
    CHECK_FALSE(std::filesystem::exists(dir.path() + "/pg.pwfile"));
  }
  CHECK_FALSE(storage::Connection::Open(conninfo).ok());
  const auto again = PostgresServer::Start({.data_dir = dir.path() + "/pg", .password = password, .durable = false});
  REQUIRE(again.ok());
  CHECK((*storage::Connection::Open((*again)->Conninfo()))->Exec("select * from t").ok());
  CHECK((*again)->Stop().ok());
  const auto wrong =
      PostgresServer::Start({.data_dir = dir.path() + "/pg", .password = RandomHex(16), .durable = false});
  CHECK(absl::IsUnauthenticated(wrong.status()));
}

TEST_CASE("what a server refuses to start with") {
  const testing::TempDir dir;
  CHECK(absl::IsInvalidArgument(PostgresServer::Start({.data_dir = dir.path() + "/pg", .password = "short"}).status()));
  CHECK(absl::IsInvalidArgument(NatsServer::Start({.data_dir = dir.path() + "/nats", .token = "short"}).status()));
  CHECK(absl::IsInvalidArgument(
      NatsServer::Start({.data_dir = dir.path() + "/nats", .token = "quote\"quote\"quote\""}).status()));
  std::ofstream(dir.path() + "/file") << "x";
  CHECK(
      absl::IsFailedPrecondition(PostgresServer::Start({.data_dir = dir.path(), .password = RandomHex(16)}).status()));
  // The port is taken: the reason is in the answer.
  const auto first = NatsServer::Start({.data_dir = dir.path() + "/nats", .token = RandomHex(16)});
  REQUIRE(first.ok());
  const absl::Status taken =
      NatsServer::Start({.data_dir = dir.path() + "/nats2", .port = (*first)->port(), .token = RandomHex(16)}).status();
  CHECK(absl::IsFailedPrecondition(taken));
}

TEST_CASE("the program that the next test kills, with a server", "[.orphan]") {
  const auto server = NatsServer::Start({.data_dir = std::getenv("ORPHAN_DIR"), .token = RandomHex(16)});
  REQUIRE(server.ok());
  std::ofstream(std::string(std::getenv("ORPHAN_DIR")) + "/pid.new") << (*server)->pid() << std::endl;
  std::filesystem::rename(std::string(std::getenv("ORPHAN_DIR")) + "/pid.new",
                          std::string(std::getenv("ORPHAN_DIR")) + "/pid");
  while (true) ::pause();
}

TEST_CASE("servers end with the program that started them, even when it is killed") {
  const testing::TempDir dir;
  const std::string folder = dir.path() + "/nats";
  auto program = Process::Spawn(
      {.argv = {"/proc/self/exe", "[orphan]"}, .env = {"ORPHAN_DIR=" + folder}, .log_file = dir.path() + "/log"});
  REQUIRE(program.ok());
  REQUIRE(Until([&] { return std::filesystem::exists(folder + "/pid"); }));
  pid_t server = 0;
  std::ifstream(folder + "/pid") >> server;
  REQUIRE(Alive(server));
  REQUIRE(program->Stop(SIGKILL, absl::Seconds(5)).ok());
  CHECK(Until([&] { return !Alive(server); }));
}

TEST_CASE("a program that cannot be run says why") {
  const testing::TempDir dir;
  const absl::Status s = Process::Spawn({.argv = {"/no/such/program"}, .log_file = dir.path() + "/log"}).status();
  CHECK(absl::IsInvalidArgument(s));
  CHECK(std::string(s.message()).find("No such file") != std::string::npos);
}

}  // namespace vedette::devcluster
