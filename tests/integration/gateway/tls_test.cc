#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "backend_app.h"

namespace vedette::gateway {
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

/// A self-signed certificate for localhost, and its key.
runtime::v1::TlsConfig SelfSigned(const testing::ScratchDir& dir) {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* cert = X509_new();
  X509_set_version(cert, 2);
  X509_gmtime_adj(X509_getm_notBefore(cert), -60);
  X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
  X509_set_pubkey(cert, key);
  X509_EXTENSION* names = X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "DNS:localhost");
  X509_add_ext(cert, names, -1);
  X509_EXTENSION_free(names);
  REQUIRE(X509_sign(cert, key, EVP_sha256()) > 0);
  runtime::v1::TlsConfig tls;
  tls.set_cert_file(dir.Write("http.cert", Pem([&](BIO* b) { return PEM_write_bio_X509(b, cert); })));
  tls.set_key_file(dir.Write("http.key", Pem([&](BIO* b) {
                               return PEM_write_bio_PrivateKey(b, key, nullptr, nullptr, 0, nullptr, nullptr);
                             })));
  X509_free(cert);
  EVP_PKEY_free(key);
  return tls;
}

}  // namespace

TEST_CASE("the same over TLS", "[gateway]") {
  const testing::ScratchDir dir;
  TestGateway gateway([&](v1::Config& c) {
    *c.mutable_http()->mutable_tls() = SelfSigned(dir);
    c.mutable_http()->set_header_timeout_seconds(1);
  });
  httplib::SSLClient client("localhost", gateway.port);
  client.set_ca_cert_path(dir.File("http.cert"));
  client.set_bearer_token_auth(gateway.keys.Token("acme", {"operator"}));
  const auto job = client.Get("/v1/jobs/1");
  REQUIRE(job);
  CHECK(job->status == 200);
  CHECK(job->get_header_value("Strict-Transport-Security") == "max-age=31536000");
  const auto upload = client.Post("/v1/datasets:upload", std::string(5 << 20, 'x'), "text/csv");
  REQUIRE(upload);
  CHECK(upload->status == 200);
  CHECK(gateway.seen.upload_bytes == 5 << 20);
  CHECK(client.Get("/v1/jobs/1:watch")->status == 200);

  httplib::Client plain("127.0.0.1", gateway.port);
  CHECK_FALSE(plain.Get("/healthz"));
  CHECK(client.Get("/healthz")->status == 200);  // and goes on
}

TEST_CASE("a certificate that cannot be used stops the start", "[gateway]") {
  const testing::ScratchDir dir;
  CHECK_FALSE(MakeServerTls(dir.File("none"), dir.File("none")).ok());
  const runtime::v1::TlsConfig tls = SelfSigned(dir);
  CHECK(MakeServerTls(tls.cert_file(), tls.key_file()).ok());
  CHECK_FALSE(MakeServerTls(tls.cert_file(), tls.cert_file()).ok());
}

}  // namespace vedette::gateway
