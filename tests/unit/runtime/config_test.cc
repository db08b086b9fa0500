#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "base/status.h"
#include "echo.pb.h"
#include "runtime/config.h"
#include "runtime/status.h"
#include "support/test_app.h"

namespace vedette::runtime {
namespace {

using test::echo::v1::Config;
using Args = std::vector<const char*>;
using Env = std::map<std::string, std::string>;

Config Defaults() {
  Config config;
  *config.mutable_server() = DefaultServerConfig(9001, 9002);
  config.set_name("default");
  config.set_limit(1);
  config.set_flag(true);
  config.add_tags("a");
  (*config.mutable_labels())["x"] = "1";
  return config;
}

Config Load(const Args& args, const Env& env = {}) {
  Config config = Defaults();
  const auto action = LoadConfig("echo-test", args, env, &config);
  INFO(action.status().ToString());
  REQUIRE(action.ok());
  return config;
}

std::string Error(const Args& args, const Env& env = {}) {
  Config config = Defaults();
  const auto action = LoadConfig("echo-test", args, env, &config);
  REQUIRE_FALSE(action.ok());
  return std::string(Message(action.status()));
}

bool Has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

TEST_CASE("without layers the defaults stay") {
  const Config config = Load({});
  CHECK(config.server().grpc().port() == 9001);
  CHECK(config.server().grpc().reflection());
  CHECK(config.name() == "default");
  CHECK(config.flag());
  CHECK(config.tags_size() == 1);
}

TEST_CASE("later layers win: default, file, environment, --set") {
  const testing::ScratchDir dir;
  const std::string first = dir.Write("a.json", R"({"name": "file", "limit": "5", "flag": false, "tags": ["b", "c"],
      "labels": {"y": "2"}, "server": {"grpc": {"port": 1, "max_receive_mb": 8}}})");
  const std::string second = dir.Write("b.json", R"({"limit": 6, "server": {"grpc": {"port": 2}}, "mode": "MODE_FAST"})");
  const Args args = {"--config", first.c_str(), "--config", second.c_str(), "--set", "server.grpc.port=4"};
  const Config config = Load(args, {{"VEDETTE_ECHO_TEST__SERVER__GRPC__PORT", "3"},
                                    {"VEDETTE_ECHO_TEST__NAME", "env"},
                                    {"VEDETTE_OTHER__NAME", "no"},
                                    {"VEDETTE_ECHO_TEST_SERVICE_HOST", "set by an orchestrator, not by us"}});
  CHECK(config.name() == "env");
  CHECK(config.limit() == 6);
  CHECK_FALSE(config.flag());
  CHECK(config.tags_size() == 2);
  CHECK(config.labels().size() == 2);
  CHECK(config.mode() == test::echo::v1::MODE_FAST);
  CHECK(config.server().grpc().port() == 4);
  CHECK(config.server().grpc().max_receive_mb() == 8);
  CHECK(config.server().grpc().max_streams() == 64);
}

TEST_CASE("the level `server` may be left out, maps, lists and numbers as text") {
  const Config config = Load({"--set", "grpc.port=7", "--set=grpc.reflection=false", "--set", "tags=[\"p\", \"q\"]", "--set",
                              "inner.depth=2.5", "--set", "labels.z=3", "--set", "name=a=b"},
                             {{"VEDETTE_ECHO_TEST__ENDPOINTS__MODEL_CACHE", "127.0.0.1:9"}, {"VEDETTE_ECHO_TEST__FLAG", "false"}});
  CHECK(config.server().grpc().port() == 7);
  CHECK_FALSE(config.server().grpc().reflection());
  CHECK(config.tags(1) == "q");
  CHECK(config.inner().depth() == 2.5);
  CHECK(config.labels().at("z") == "3");
  CHECK(config.labels().at("x") == "1");
  CHECK(config.name() == "a=b");
  CHECK(config.server().endpoints().at("model-cache") == "127.0.0.1:9");
  CHECK_FALSE(config.flag());
}

TEST_CASE("every mistake is reported, with the nearest key") {
  const testing::ScratchDir dir;
  const std::string file = dir.Write("a.json", R"({"nmae": "x", "limit": true, "server": {"grpc": {"prot": 1}}, "tags": "a"})");
  const std::string text = Error({"--config", file.c_str(), "--set", "grpc.port=abc", "--set", "nothing"},
                                 {{"VEDETTE_ECHO_TEST__GRPC__HSOT", "x"}});
  CHECK(Has(text, "nmae; did you mean name?"));
  CHECK(Has(text, "limit must be"));
  CHECK(Has(text, "server.grpc.prot; did you mean port?"));
  CHECK(Has(text, "tags must be a list"));
  CHECK(Has(text, "VEDETTE_ECHO_TEST__GRPC__HSOT: unknown key server.grpc.hsot; did you mean host?"));
  CHECK(Has(text, "server.grpc.port: \"abc\" is not"));
  CHECK(Has(text, "key=value"));
  CHECK(Has(text, file));
}

TEST_CASE("files and arguments that cannot be read") {
  const testing::ScratchDir dir;
  CHECK(Has(Error({"--config", "/nonexistent.json"}), "/nonexistent.json"));
  CHECK(Has(Error({"--config", dir.Write("bad.json", "{\"a\": ").c_str()}), "parse error"));
  CHECK(Has(Error({"--config", dir.Write("list.json", "[]").c_str()}), "must hold a JSON object"));
  CHECK(Has(Error({"--config"}), "needs a value"));
  CHECK(Has(Error({"--verbose"}), "unknown argument --verbose"));
  CHECK(Has(Error({"--set", "grpc.port=99999999999"}), "port"));
  CHECK(Has(Error({"--set", "name.deeper=1"}), "has no keys"));
  CHECK(Has(Error({"--set", "mode=MODE_SLOW"}), "mode"));
}

TEST_CASE("what is printed holds no secret") {
  Config config = Defaults();
  config.set_api_token("hunter2");
  config.set_database_dsn("host=db password=hunter2 user=x");
  config.mutable_server()->mutable_postgres()->set_dsn("postgres://ann:hunter2@db/vedette");
  const std::string text = PrintConfig(config);
  CHECK_FALSE(Has(text, "hunter2"));
  CHECK(Has(text, "host=db password=*** user=x"));
  CHECK(Has(text, "postgres://ann:***@db/vedette"));
  CHECK(nlohmann::json::parse(text)["server"]["grpc"]["port"] == 9001);
}

TEST_CASE("what is printed can be read again") {
  const testing::ScratchDir dir;
  const std::string file = dir.Write("printed.json", PrintConfig(Defaults()));
  CHECK(Load({"--config", file.c_str()}).SerializeAsString().size() == Defaults().SerializeAsString().size());
}

TEST_CASE("help lists every key with default and comment") {
  const std::string help = ConfigHelp("echo-test", Defaults());
  CHECK(Has(help, "server.grpc.port  (uint32, default 9001)"));
  CHECK(Has(help, "Largest message received, in MiB"));
  CHECK(Has(help, "inner.depth  (double, default 0)"));
  CHECK(Has(help, "VEDETTE_ECHO_TEST__"));
}

TEST_CASE("bounds of the server's configuration") {
  v1::ServerConfig config = DefaultServerConfig(1, 2);
  config.mutable_auth()->set_public_key_file("key.pem");
  CHECK(ValidateServerConfig(config).ok());
  config.mutable_grpc()->set_port(70000);
  config.mutable_grpc()->set_max_receive_mb(0);
  config.mutable_log()->set_level("loud");
  config.mutable_auth()->clear_public_key_file();
  config.mutable_grpc()->mutable_tls()->set_cert_file("c.pem");
  const auto violations = GetFieldViolations(ValidateServerConfig(config));
  CHECK(violations.size() == 5);
}

TEST_CASE("secret files lose their last newline only") {
  const testing::ScratchDir dir;
  CHECK(*ReadSecretFile(dir.Write("a", " s p \r\n")) == " s p ");
  CHECK_FALSE(ReadSecretFile(dir.File("absent")).ok());
  CHECK_FALSE(ReadSecretFile(dir.Write("big", std::string(2 << 20, 'x'))).ok());
}

}  // namespace
}  // namespace vedette::runtime
