#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <catch2/catch.hpp>

#include "base/status.h"
#include "echo_service.h"
#include "runtime/log.h"
#include "support/test_app.h"

namespace vedette::runtime {
namespace {

std::string Pem(const std::function<int(BIO*)>& write) {
  BIO* bio = BIO_new(BIO_s_mem());
  REQUIRE(write(bio) == 1);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string text(data, static_cast<size_t>(size));
  BIO_free(bio);
  return text;
}

/// A self-signed certificate for localhost, which is its own authority, in name.cert and name.key.
v1::TlsConfig SelfSigned(const testing::ScratchDir& dir, const std::string& name) {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* cert = X509_new();
  X509_set_version(cert, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
  X509_gmtime_adj(X509_getm_notBefore(cert), -60);
  X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
  X509_set_pubkey(cert, key);
  X509_NAME* subject = X509_get_subject_name(cert);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("localhost"), -1, -1, 0);
  X509_set_issuer_name(cert, subject);
  for (const auto& [id, value] : {std::pair(NID_subject_alt_name, "DNS:localhost"), {NID_basic_constraints, "CA:TRUE"}}) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, id, value);
    REQUIRE(extension != nullptr);
    X509_add_ext(cert, extension, -1);
    X509_EXTENSION_free(extension);
  }
  REQUIRE(X509_sign(cert, key, EVP_sha256()) > 0);
  v1::TlsConfig tls;
  tls.set_cert_file(dir.Write(name + ".cert", Pem([&](BIO* b) { return PEM_write_bio_X509(b, cert); })));
  tls.set_key_file(dir.Write(name + ".key", Pem([&](BIO* b) {
                               return PEM_write_bio_PrivateKey(b, key, nullptr, nullptr, 0, nullptr, nullptr);
                             })));
  X509_free(cert);
  EVP_PKEY_free(key);
  return tls;
}

TEST_CASE("TLS, and mutual TLS when an authority for clients is configured") {
  SetLogSink([](std::string_view) {});
  const testing::Keys keys;
  const v1::TlsConfig server = SelfSigned(keys.dir(), "server"), client = SelfSigned(keys.dir(), "client");
  v1::ServerConfig config = keys.ServerConfig();
  *config.mutable_grpc()->mutable_tls() = server;
  const bool mutual = GENERATE(false, true);
  if (mutual) config.mutable_grpc()->mutable_tls()->set_ca_file(client.cert_file());

  auto app = testing::MustCreate("echo", config);
  app->server().AddService<pb::EchoService>(std::make_unique<EchoService>(app->server(), EchoHandlers()));
  REQUIRE(app->Start().ok());
  const auto say = [&](const v1::TlsConfig& tls) {
    auto channel = MakeChannel(fmt::format("localhost:{}", app->server().port()), tls);
    REQUIRE(channel.ok());
    auto stub = pb::EchoService::NewStub(*channel);
    return Call(*stub, &pb::EchoService::Stub::Say, keys.As("acme", {"viewer"}, absl::Seconds(20)), pb::SayRequest())
        .status();
  };
  v1::TlsConfig trusting;
  trusting.set_ca_file(server.cert_file());
  v1::TlsConfig with_certificate = client;
  with_certificate.set_ca_file(server.cert_file());
  v1::TlsConfig wrong_authority;
  wrong_authority.set_ca_file(client.cert_file());
  INFO("mutual: " << mutual << ": " << say(with_certificate).ToString());
  CHECK(say(with_certificate).ok());
  CHECK(say(trusting).ok() == !mutual);
  CHECK(say(wrong_authority).code() == absl::StatusCode::kUnavailable);
  CHECK(say({}).code() == absl::StatusCode::kUnavailable);  // plain text
  SetLogSink(nullptr);
}

TEST_CASE("TLS files that cannot be read stop the start") {
  const testing::Keys keys;
  v1::ServerConfig config = keys.ServerConfig();
  config.mutable_grpc()->mutable_tls()->set_cert_file(keys.dir().File("absent.cert"));
  config.mutable_grpc()->mutable_tls()->set_key_file(keys.dir().File("absent.key"));
  auto app = testing::MustCreate("echo", config);
  CHECK(Message(app->Start()).find("absent.cert") != std::string_view::npos);
}

}  // namespace
}  // namespace vedette::runtime
