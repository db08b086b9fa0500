#include "runtime/auth.h"

#include <absl/container/flat_hash_map.h>

#include <algorithm>
#include <mutex>
#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "base/status.h"
#include "runtime/es256.h"
#include "runtime/log.h"
#include "runtime/status.h"
#include "runtime/watched_file.h"

namespace vedette::runtime {
namespace {

using nlohmann::json;

constexpr size_t kMaxBearerBytes = 8 << 10;
constexpr size_t kMaxCachedTokens = 10'000;
constexpr size_t kMaxRoles = 32;
constexpr size_t kMaxNameBytes = 200;
constexpr size_t kMaxKeys = 100;

struct NamedKey {
  std::string id;  ///< empty for a PEM file
  Es256Key key;
};

absl::Status Refuse(std::string_view reason, std::string_view message) {
  return WithReason(absl::UnauthenticatedError(std::string(message)), reason);
}

std::string StringMember(const json& object, const char* name) {
  const auto it = object.find(name);
  return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
}

absl::StatusOr<std::vector<NamedKey>> ParseKeys(const std::string& text) {
  std::vector<NamedKey> keys;
  if (text.find("-----BEGIN") != std::string::npos) {
    ASSIGN_OR_RETURN(Es256Key key, Es256Key::FromPublicPem(text));
    keys.push_back({"", std::move(key)});
    return keys;
  }
  const json document = json::parse(text, nullptr, false);
  if (!document.is_object() || !document.contains("keys") || !document["keys"].is_array()) {
    return InvalidArgument("neither a PEM public key nor a JSON Web Key Set");
  }
  for (const json& jwk : document["keys"]) {
    if (!jwk.is_object() || StringMember(jwk, "kty") != "EC" || StringMember(jwk, "crv") != "P-256") continue;
    const std::optional<std::string> x = Base64UrlDecode(StringMember(jwk, "x"));
    const std::optional<std::string> y = Base64UrlDecode(StringMember(jwk, "y"));
    if (!x || !y) return InvalidArgument("key \"{}\": x and y must be base64url", StringMember(jwk, "kid"));
    ASSIGN_OR_RETURN(Es256Key key, Es256Key::FromCoordinates(*x, *y));
    keys.push_back({StringMember(jwk, "kid"), std::move(key)});
    if (keys.size() > kMaxKeys) return InvalidArgument("more than {} keys", kMaxKeys);
  }
  if (keys.empty()) return InvalidArgument("the key set holds no EC key on P-256");
  return keys;
}

/// The three parts of a compact JWS (RFC 7515 section 7.1).
struct Parts {
  std::string_view signed_part;  ///< header "." payload
  json header, payload;
  std::string signature;
};

std::optional<Parts> Split(std::string_view token) {
  const size_t first = token.find('.');
  const size_t second = first == std::string_view::npos ? first : token.find('.', first + 1);
  if (second == std::string_view::npos || token.find('.', second + 1) != std::string_view::npos) return std::nullopt;
  const auto header = Base64UrlDecode(token.substr(0, first));
  const auto payload = Base64UrlDecode(token.substr(first + 1, second - first - 1));
  auto signature = Base64UrlDecode(token.substr(second + 1));
  if (!header || !payload || !signature) return std::nullopt;
  Parts parts{token.substr(0, second), json::parse(*header, nullptr, false), json::parse(*payload, nullptr, false),
              *std::move(signature)};
  if (!parts.header.is_object() || !parts.payload.is_object()) return std::nullopt;
  return parts;
}

/// NumericDate (RFC 7519 section 2). Nothing when it is missing or no number of a sane size.
std::optional<absl::Time> TimeMember(const json& object, const char* name) {
  const auto it = object.find(name);
  if (it == object.end() || !it->is_number()) return std::nullopt;
  const double seconds = it->get<double>();
  if (!(seconds >= 0 && seconds < 1e11)) return std::nullopt;
  return absl::UnixEpoch() + absl::Seconds(seconds);
}

bool HasAudience(const json& payload, const std::string& wanted) {
  const auto it = payload.find("aud");
  if (it == payload.end()) return false;
  if (it->is_string()) return it->get<std::string>() == wanted;
  return it->is_array() && std::any_of(it->begin(), it->end(),
                                       [&](const json& v) { return v.is_string() && v.get<std::string>() == wanted; });
}

absl::StatusOr<Identity> ReadIdentity(const json& payload) {
  Identity identity;
  identity.subject = StringMember(payload, "sub");
  identity.tenant = StringMember(payload, "tenant");
  if (identity.subject.empty() || identity.subject.size() > kMaxNameBytes) {
    return Refuse("TOKEN_INVALID", "the token has no usable sub");
  }
  if (identity.tenant.size() > kMaxNameBytes || (payload.contains("tenant") && !payload["tenant"].is_string())) {
    return Refuse("TOKEN_INVALID", "the token has no usable tenant");
  }
  if (payload.contains("roles")) {
    const json& roles = payload["roles"];
    if (!roles.is_array() || roles.size() > kMaxRoles) return Refuse("TOKEN_INVALID", "the token has no usable roles");
    for (const json& role : roles) {
      if (!role.is_string()) return Refuse("TOKEN_INVALID", "the token has no usable roles");
      identity.roles.push_back(role.get<std::string>());
    }
  }
  return identity;
}

}  // namespace

bool Identity::HasRole(std::string_view role) const {
  return std::find(roles.begin(), roles.end(), role) != roles.end();
}

absl::StatusOr<KeyPair> GenerateKeyPair() {
  ASSIGN_OR_RETURN(const Es256Key key, Es256Key::Generate());
  KeyPair pair;
  ASSIGN_OR_RETURN(pair.private_key, key.PrivatePem());
  ASSIGN_OR_RETURN(pair.public_key, key.PublicPem());
  return pair;
}

absl::StatusOr<std::string> SignToken(const Claims& claims, std::string_view private_key_pem) {
  ASSIGN_OR_RETURN(const Es256Key key, Es256Key::FromPrivatePem(private_key_pem));
  json header = {{"alg", "ES256"}, {"typ", "JWT"}};
  if (!claims.key_id.empty()) header["kid"] = claims.key_id;
  const absl::Time now = Clock::System().Now();
  json payload = {{"iss", claims.issuer},
                  {"aud", claims.audience},
                  {"sub", claims.subject},
                  {"roles", claims.roles},
                  {"iat", absl::ToUnixSeconds(now)},
                  {"nbf", absl::ToUnixSeconds(claims.not_before == absl::InfinitePast() ? now : claims.not_before)},
                  {"exp", absl::ToUnixSeconds(claims.expires)}};
  if (!claims.tenant.empty()) payload["tenant"] = claims.tenant;
  constexpr auto kReplace = json::error_handler_t::replace;  // dump must not throw on bytes that are not UTF-8
  const std::string text = Base64UrlEncode(header.dump(-1, ' ', false, kReplace)) + "." +
                           Base64UrlEncode(payload.dump(-1, ' ', false, kReplace));
  ASSIGN_OR_RETURN(const std::string signature, key.Sign(text));
  return text + "." + Base64UrlEncode(signature);
}

struct TokenVerifier::State {
  VerifierOptions options;
  const Clock& clock;
  mutable std::mutex mutex;
  WatchedFile file;
  std::vector<NamedKey> keys;
  uint64_t generation = 0;  ///< of the keys
  struct Cached {
    Identity identity;
    absl::Time not_before, expires;
  };
  absl::flat_hash_map<std::string, Cached> cache;  ///< by SHA-256 of the token

  State(VerifierOptions o, const Clock& c) : options(std::move(o)), clock(c), file(options.public_key_file) {}

  /// Under the lock. Keeps the old keys when the new file is bad.
  absl::Status Refresh(absl::Time now) {
    absl::Status status;
    const std::optional<std::string> content = file.Poll(now, &status);
    if (!content) return status;
    absl::StatusOr<std::vector<NamedKey>> fresh = ParseKeys(*content);
    if (!fresh.ok()) return Annotate(fresh.status(), file.path());
    keys = *std::move(fresh);
    ++generation;
    cache.clear();
    return absl::OkStatus();
  }

  absl::Status CheckTimes(const Cached& entry, absl::Time now) const {
    if (now > entry.expires + options.skew) return Refuse("TOKEN_EXPIRED", "the token has expired");
    if (now < entry.not_before - options.skew) return Refuse("TOKEN_NOT_YET_VALID", "the token is not valid yet");
    return absl::OkStatus();
  }

  /// Everything but the time.
  absl::StatusOr<Cached> Check(std::string_view token, const std::vector<NamedKey>& trusted) const {
    const std::optional<Parts> parts = Split(token);
    if (!parts) return Refuse("TOKEN_INVALID", "the token is not a JSON Web Token");
    // The algorithm is ours to choose, never the token's: "none" and HS256 with a public key as secret are old attacks.
    if (StringMember(parts->header, "alg") != "ES256" || parts->header.contains("crit")) {
      return Refuse("TOKEN_INVALID", "the token must be signed with ES256");
    }
    const std::string kid = StringMember(parts->header, "kid");
    const bool good = std::any_of(trusted.begin(), trusted.end(), [&](const NamedKey& k) {
      return (kid.empty() || k.id.empty() || k.id == kid) && k.key.Verify(parts->signed_part, parts->signature);
    });
    if (!good) return Refuse("TOKEN_INVALID", "the token's signature is not valid");
    if (StringMember(parts->payload, "iss") != options.issuer) return Refuse("TOKEN_INVALID", "unknown token issuer");
    if (!HasAudience(parts->payload, options.audience)) {
      return Refuse("TOKEN_INVALID", "the token is for another audience");
    }
    const std::optional<absl::Time> expires = TimeMember(parts->payload, "exp");
    if (!expires) return Refuse("TOKEN_INVALID", "the token does not say when it expires");
    absl::Time not_before = absl::InfinitePast();
    if (parts->payload.contains("nbf")) {
      const std::optional<absl::Time> nbf = TimeMember(parts->payload, "nbf");
      if (!nbf) return Refuse("TOKEN_INVALID", "the token's nbf is not a time");
      not_before = *nbf;
    }
    ASSIGN_OR_RETURN(Identity identity, ReadIdentity(parts->payload));
    return Cached{std::move(identity), not_before, *expires};
  }
};

TokenVerifier::TokenVerifier(std::unique_ptr<State> state) : state_(std::move(state)) {}
TokenVerifier::~TokenVerifier() = default;

absl::StatusOr<std::unique_ptr<TokenVerifier>> TokenVerifier::Create(VerifierOptions options, const Clock& clock) {
  if (options.public_key_file.empty()) {
    return FailedPrecondition("auth.public_key_file is not set: without a key nobody could be let in");
  }
  auto state = std::make_unique<State>(std::move(options), clock);
  RETURN_IF_ERROR(state->Refresh(clock.Now()));
  return std::unique_ptr<TokenVerifier>(new TokenVerifier(std::move(state)));
}

absl::StatusOr<Identity> TokenVerifier::Verify(std::string_view token) const {
  if (token.empty()) return Refuse("TOKEN_MISSING", "a bearer token is needed");
  if (token.size() > kMaxBearerBytes) return Refuse("TOKEN_INVALID", "the token is too long");
  const absl::Time now = state_->clock.Now();
  const std::string digest = Sha256Hex(token);
  std::vector<NamedKey> keys;
  uint64_t generation = 0;
  {
    const std::lock_guard lock(state_->mutex);
    if (absl::Status status = state_->Refresh(now); !status.ok()) {
      LogWarning("the public keys cannot be read again; the old ones stay", {{"error", Message(status)}});
    }
    if (const auto it = state_->cache.find(digest); it != state_->cache.end()) {
      RETURN_IF_ERROR(state_->CheckTimes(it->second, now));
      return it->second.identity;
    }
    keys = state_->keys;
    generation = state_->generation;
  }
  ASSIGN_OR_RETURN(State::Cached entry, state_->Check(token, keys));
  RETURN_IF_ERROR(state_->CheckTimes(entry, now));
  Identity identity = entry.identity;
  const std::lock_guard lock(state_->mutex);
  if (state_->cache.size() >= kMaxCachedTokens) state_->cache.clear();
  // Keys that changed meanwhile cleared the cache; what the old ones vouched for must not come back into it.
  if (generation == state_->generation) state_->cache.insert_or_assign(digest, std::move(entry));
  return identity;
}

struct TokenFile::State {
  mutable std::mutex mutex;
  WatchedFile file;
  std::string token;
  explicit State(std::string path) : file(std::move(path)) {}
};

TokenFile::TokenFile(std::string path) : state_(std::make_unique<State>(std::move(path))) {}
TokenFile::~TokenFile() = default;

absl::StatusOr<std::string> TokenFile::Get() const {
  const std::lock_guard lock(state_->mutex);
  if (state_->file.path().empty()) return FailedPrecondition("auth.service_token_file is not set");
  absl::Status status;
  if (std::optional<std::string> content = state_->file.Poll(Clock::System().Now(), &status)) {
    while (!content->empty() && std::isspace(static_cast<unsigned char>(content->back()))) content->pop_back();
    if (!content->empty()) state_->token = *std::move(content);
  }
  if (!state_->token.empty()) return state_->token;
  return Unavailable("no token in {}", state_->file.path());
}

}  // namespace vedette::runtime
