// A service in the test's own process, on free ports, with keys of its own.
//
//   testing::Keys keys;
//   auto app = testing::MustCreate("triage", keys.ServerConfig());
//   ... app->server().AddService<...>(...); REQUIRE(app->Start().ok());
//   auto stub = TriageService::NewStub(testing::Connect(*app));
//   auto answer = runtime::Call(*stub, &TriageService::Stub::GetAnomaly, keys.As("acme", {"viewer"}), request);
#pragma once

#include <absl/time/clock.h>
#include <fmt/format.h>
#include <stdlib.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "runtime/run.h"

namespace vedette::testing {

/// A private folder that goes away with the test. (support.h has a TempDir; this header stands without it.)
class ScratchDir {
 public:
  ScratchDir() {
    std::string pattern = (std::filesystem::temp_directory_path() / fmt::format("vedette-test-{}-XXXXXX", ::getpid())).string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~ScratchDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchDir(const ScratchDir&) = delete;
  ScratchDir& operator=(const ScratchDir&) = delete;

  std::string File(const std::string& name) const { return (path_ / name).string(); }
  std::string Write(const std::string& name, const std::string& content) const {
    std::ofstream(path_ / name, std::ios::binary) << content;
    return File(name);
  }

 private:
  std::filesystem::path path_;
};

/// A key pair, a service token, and user tokens signed with it.
class Keys {
 public:
  Keys() {
    auto pair = runtime::GenerateKeyPair();
    REQUIRE(pair.ok());
    pair_ = *pair;
    dir_.Write("public.pem", pair_.public_key);
    dir_.Write("service.token", Token("", {"service"}, absl::Hours(1), "test-service"));
  }

  /// Free ports on the loopback address, these keys, quick shutdown.
  runtime::v1::ServerConfig ServerConfig() const {
    runtime::v1::ServerConfig config = runtime::DefaultServerConfig(0, 0);
    config.mutable_auth()->set_public_key_file(dir_.File("public.pem"));
    config.mutable_auth()->set_service_token_file(dir_.File("service.token"));
    config.set_shutdown_seconds(5);
    return config;
  }
  std::string Token(const std::string& tenant, const std::vector<std::string>& roles,
                    absl::Duration lifetime = absl::Hours(1), const std::string& subject = "tester") const {
    runtime::Claims claims;
    claims.subject = subject;
    claims.tenant = tenant;
    claims.roles = roles;
    claims.expires = absl::Now() + lifetime;
    auto token = runtime::SignToken(claims, pair_.private_key);
    REQUIRE(token.ok());
    return *token;
  }
  runtime::Outgoing As(const std::string& tenant, const std::vector<std::string>& roles,
                       absl::Duration timeout = absl::Seconds(30), std::stop_token stop = {}) const {
    return runtime::Outgoing::WithToken(Token(tenant, roles), timeout, std::move(stop));
  }
  /// As one of our own services, for a tenant.
  runtime::Outgoing AsService(const std::string& tenant, absl::Duration timeout = absl::Seconds(30)) const {
    runtime::Outgoing out = As("", {"service"}, timeout);
    out.tenant = tenant;
    return out;
  }
  const runtime::KeyPair& pair() const { return pair_; }
  const ScratchDir& dir() const { return dir_; }

 private:
  ScratchDir dir_;
  runtime::KeyPair pair_;
};

inline std::unique_ptr<runtime::App> MustCreate(const std::string& service, const runtime::v1::ServerConfig& config) {
  auto app = runtime::App::Create(service, config);
  INFO(app.status().ToString());
  REQUIRE(app.ok());
  return *std::move(app);
}

inline std::string Address(runtime::App& app) { return fmt::format("127.0.0.1:{}", app.server().port()); }

inline std::shared_ptr<grpc::Channel> Connect(runtime::App& app) {
  auto channel = runtime::MakeChannel(Address(app));
  REQUIRE(channel.ok());
  return *channel;
}

}  // namespace vedette::testing
