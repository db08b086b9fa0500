#include "runtime/auth.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "runtime/es256.h"
#include "runtime/permissions.h"
#include "runtime/status.h"
#include "support/test_app.h"

namespace vedette::runtime {
namespace {

using nlohmann::json;

std::string Part(const json& value) { return Base64UrlEncode(value.dump()); }

/// A token with any header and payload, correctly signed.
std::string Signed(const json& header, const json& payload, const KeyPair& pair) {
  const std::string text = Part(header) + "." + Part(payload);
  return text + "." + Base64UrlEncode(*Es256Key::FromPrivatePem(pair.private_key)->Sign(text));
}

struct AuthFixture {
  testing::Keys keys;
  ManualClock clock{absl::Now()};
  std::unique_ptr<TokenVerifier> verifier = Make(keys.dir().File("public.pem"));

  std::unique_ptr<TokenVerifier> Make(const std::string& file) {
    auto made = TokenVerifier::Create({.public_key_file = file}, clock);
    INFO(made.status().ToString());
    REQUIRE(made.ok());
    return *std::move(made);
  }
  json Payload() const {
    return {{"iss", "vedette"}, {"aud", "vedette"},    {"sub", "ann"},
            {"tenant", "acme"}, {"roles", {"viewer"}}, {"exp", absl::ToUnixSeconds(absl::Now()) + 600}};
  }
  absl::Status Try(const json& payload, const json& header = {{"alg", "ES256"}}) const {
    return verifier->Verify(Signed(header, payload, keys.pair())).status();
  }
};

TEST_CASE("ES256 verifies the example of RFC 7515 appendix A.3") {
  auto x = Base64UrlDecode("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU");
  auto y = Base64UrlDecode("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0");
  REQUIRE((x && y));
  auto key = Es256Key::FromCoordinates(*x, *y);
  REQUIRE(key.ok());
  const std::string message =
      "eyJhbGciOiJFUzI1NiJ9"
      ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
  auto signature =
      Base64UrlDecode("DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q");
  REQUIRE(signature);
  CHECK(key->Verify(message, *signature));
  CHECK_FALSE(key->Verify(message + "x", *signature));
  (*signature)[5] ^= 1;
  CHECK_FALSE(key->Verify(message, *signature));
  CHECK_FALSE(key->Verify(message, "short"));
  CHECK_FALSE(key->Verify(message, std::string(64, '\0')));
}

TEST_CASE("base64url round trip, and only one spelling") {
  for (const std::string text : {"", "f", "fo", "foo", "foob", "\xff\xfe\x01"}) {
    CHECK(Base64UrlDecode(Base64UrlEncode(text)) == text);
  }
  CHECK(Base64UrlEncode("\xfb\xff") == "-_8");
  for (const char* bad : {"a", "ab=", "a+b", "-_9"}) CHECK_FALSE(Base64UrlDecode(bad));
}

TEST_CASE_METHOD(AuthFixture, "a good token gives its identity") {
  auto identity = verifier->Verify(keys.Token("acme", {"viewer", "analyst"}));
  REQUIRE(identity.ok());
  CHECK(identity->tenant == "acme");
  CHECK(identity->subject == "tester");
  CHECK(identity->HasRole("analyst"));
  CHECK_FALSE(identity->is_service());
  CHECK(verifier->Verify(keys.Token("acme", {"viewer"})).ok());
}

TEST_CASE_METHOD(AuthFixture, "tokens that are refused") {
  const auto refused = [&](const absl::Status& status, const std::string& reason) {
    INFO(status.ToString());
    CHECK(status.code() == absl::StatusCode::kUnauthenticated);
    CHECK(GetReason(status) == reason);
  };
  REQUIRE(Try(Payload()).ok());
  refused(verifier->Verify("").status(), "TOKEN_MISSING");
  refused(verifier->Verify("a.b").status(), "TOKEN_INVALID");
  refused(verifier->Verify("a.b.c.d").status(), "TOKEN_INVALID");
  refused(verifier->Verify(std::string(100'000, 'a')).status(), "TOKEN_INVALID");

  SECTION("another key") {
    const KeyPair other = *GenerateKeyPair();
    refused(verifier->Verify(Signed({{"alg", "ES256"}}, Payload(), other)).status(), "TOKEN_INVALID");
  }
  SECTION("alg none, with and without a signature") {
    refused(verifier->Verify(Part({{"alg", "none"}}) + "." + Part(Payload()) + ".").status(), "TOKEN_INVALID");
    refused(Try(Payload(), {{"alg", "none"}}), "TOKEN_INVALID");
    refused(Try(Payload(), json::object()), "TOKEN_INVALID");
  }
  SECTION("HS256 with the public key as secret") {
    refused(Try(Payload(), {{"alg", "HS256"}}), "TOKEN_INVALID");
    refused(Try(Payload(), {{"alg", "ES384"}}), "TOKEN_INVALID");
  }
  SECTION("critical header extensions that we do not know") {
    refused(Try(Payload(), {{"alg", "ES256"}, {"crit", {"b64"}}, {"b64", false}}), "TOKEN_INVALID");
  }
  SECTION("a changed payload") {
    const std::string good = Signed({{"alg", "ES256"}}, Payload(), keys.pair());
    json other = Payload();
    other["tenant"] = "evil";
    const std::string forged = good.substr(0, good.find('.') + 1) + Part(other) + good.substr(good.rfind('.'));
    refused(verifier->Verify(forged).status(), "TOKEN_INVALID");
  }
  SECTION("wrong or missing claims") {
    for (const auto& [claim, value] : std::vector<std::pair<std::string, json>>{{"iss", "someone"},
                                                                                {"aud", "other"},
                                                                                {"aud", json::array({"x", 1})},
                                                                                {"exp", "soon"},
                                                                                {"exp", -5},
                                                                                {"nbf", "now"},
                                                                                {"sub", ""},
                                                                                {"sub", 7},
                                                                                {"tenant", 7},
                                                                                {"roles", "admin"},
                                                                                {"roles", json::array({1})}}) {
      json payload = Payload();
      payload[claim] = value;
      INFO(claim << " = " << value.dump());
      refused(Try(payload), "TOKEN_INVALID");
    }
    for (const char* claim : {"iss", "aud", "exp", "sub"}) {
      json payload = Payload();
      payload.erase(claim);
      refused(Try(payload), "TOKEN_INVALID");
    }
  }
  SECTION("times, with 60 seconds of skew") {
    json payload = Payload();
    const int64_t now = absl::ToUnixSeconds(clock.Now());
    payload["exp"] = now - 30;
    CHECK(Try(payload).ok());
    payload["exp"] = now - 90;
    refused(Try(payload), "TOKEN_EXPIRED");
    payload = Payload();
    payload["nbf"] = now + 30;
    CHECK(Try(payload).ok());
    payload["nbf"] = now + 120;
    refused(Try(payload), "TOKEN_NOT_YET_VALID");
  }
  SECTION("a remembered token expires all the same") {
    const std::string token = keys.Token("acme", {"viewer"}, absl::Minutes(5));
    CHECK(verifier->Verify(token).ok());
    CHECK(verifier->Verify(token).ok());
    clock.Advance(absl::Minutes(10));
    refused(verifier->Verify(token).status(), "TOKEN_EXPIRED");
  }
}

TEST_CASE_METHOD(AuthFixture, "an audience may be a list") {
  json payload = Payload();
  payload["aud"] = {"other", "vedette"};
  CHECK(Try(payload).ok());
}

TEST_CASE_METHOD(AuthFixture,
                 "a changed key file counts from the next second, and forgets what the old key vouched for") {
  const std::string token = keys.Token("acme", {"viewer"});
  REQUIRE(verifier->Verify(token).ok());
  const KeyPair other = *GenerateKeyPair();
  keys.dir().Write("public.pem", other.public_key + "\n");
  clock.Advance(absl::Seconds(2));
  CHECK_FALSE(verifier->Verify(token).ok());
  CHECK(verifier->Verify(Signed({{"alg", "ES256"}}, Payload(), other)).ok());
  keys.dir().Write("public.pem", "no key at all");
  clock.Advance(absl::Seconds(2));
  CHECK(verifier->Verify(Signed({{"alg", "ES256"}}, Payload(), other)).ok());
}

TEST_CASE_METHOD(AuthFixture, "a JSON Web Key Set: the key is chosen by kid") {
  // The public key of RFC 7515 A.3, and ours, whose coordinates are the last 64 bytes of its SubjectPublicKeyInfo.
  const std::string pem = keys.pair().public_key;
  std::string base64;
  for (size_t at = pem.find('\n') + 1; pem[at] != '-'; ++at) {
    if (pem[at] == '=' || pem[at] == '\n') continue;
    base64.push_back(pem[at] == '+' ? '-' : pem[at] == '/' ? '_' : pem[at]);
  }
  const std::string der = *Base64UrlDecode(base64);
  const std::string x = Base64UrlEncode(der.substr(der.size() - 64, 32)),
                    y = Base64UrlEncode(der.substr(der.size() - 32));
  const json set = {{"keys",
                     {{{"kty", "RSA"}, {"kid", "rsa"}},
                      {{"kty", "EC"},
                       {"crv", "P-256"},
                       {"kid", "old"},
                       {"x", "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"},
                       {"y", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}},
                      {{"kty", "EC"}, {"crv", "P-256"}, {"kid", "new"}, {"x", x}, {"y", y}}}}};
  const auto by_set = Make(keys.dir().Write("keys.json", set.dump()));
  CHECK(by_set->Verify(Signed({{"alg", "ES256"}, {"kid", "new"}}, Payload(), keys.pair())).ok());
  CHECK(by_set->Verify(Signed({{"alg", "ES256"}}, Payload(), keys.pair())).ok());
  CHECK_FALSE(by_set->Verify(Signed({{"alg", "ES256"}, {"kid", "old"}}, Payload(), keys.pair())).ok());
  CHECK_FALSE(by_set->Verify(Signed({{"alg", "ES256"}, {"kid", "unknown"}}, Payload(), keys.pair())).ok());
}

TEST_CASE("a verifier needs a usable key") {
  const testing::ScratchDir dir;
  const auto code = [&](const std::string& file) {
    return TokenVerifier::Create({.public_key_file = file}).status().code();
  };
  CHECK(code("") == absl::StatusCode::kFailedPrecondition);
  CHECK(code(dir.File("absent.pem")) == absl::StatusCode::kUnavailable);
  CHECK(code(dir.Write("text", "hello")) == absl::StatusCode::kInvalidArgument);
  CHECK(code(dir.Write("empty.json", R"({"keys": []})")) == absl::StatusCode::kInvalidArgument);
  CHECK(code(dir.Write("cut.pem", "-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----\n")) ==
        absl::StatusCode::kInvalidArgument);
  // Points that are not on the curve must not become keys.
  CHECK_FALSE(Es256Key::FromCoordinates(std::string(32, '\1'), std::string(32, '\2')).ok());
}

TEST_CASE("a token file is read again when it changes") {
  const testing::ScratchDir dir;
  CHECK(TokenFile("").Get().status().code() == absl::StatusCode::kFailedPrecondition);
  CHECK(TokenFile(dir.File("absent")).Get().status().code() == absl::StatusCode::kUnavailable);
  const TokenFile file(dir.Write("token", "abc\n"));
  CHECK(*file.Get() == "abc");
}

TEST_CASE("roles and permissions") {
  const auto may = [](std::vector<std::string> roles, std::string_view permission) {
    return Authorize({"ann", "acme", std::move(roles)}, permission).ok();
  };
  CHECK(may({"viewer"}, "anomalies.read"));
  CHECK_FALSE(may({"viewer"}, "anomalies.write"));
  CHECK_FALSE(may({"viewer"}, "jobs.create"));
  CHECK(may({"analyst"}, "jobs.create"));
  CHECK(may({"analyst"}, "feedback.write"));
  CHECK_FALSE(may({"analyst"}, "models.write"));
  CHECK_FALSE(may({"analyst"}, "models.train"));
  CHECK(may({"operator"}, "models.write"));
  CHECK(may({"admin"}, "schedules.write"));
  CHECK_FALSE(may({"admin"}, "tenants.admin"));
  CHECK(may({"service"}, "tenants.admin"));
  CHECK_FALSE(may({}, "anomalies.read"));
  CHECK_FALSE(may({"superuser", "*"}, "anomalies.read"));
  CHECK(may({"superuser", "viewer"}, "anomalies.read"));

  CHECK(CheckPermissionName("anomalies.read").ok());
  CHECK(CheckPermissionName("public").ok());
  for (const char* bad : {"", "anomalies", ".read", "anomalies.raed", "a.b.read", "*"}) {
    INFO(bad);
    CHECK_FALSE(CheckPermissionName(bad).ok());
  }
  const absl::Status denied = Authorize({"ann", "acme", {"viewer"}}, "jobs.create");
  CHECK(denied.code() == absl::StatusCode::kPermissionDenied);
  CHECK(GetReasonMetadata(denied)["permission"] == "jobs.create");
}

}  // namespace
}  // namespace vedette::runtime
