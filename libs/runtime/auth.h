// Who calls: JSON Web Tokens (RFC 7519) signed with ES256 (RFC 7518), and nothing else. What a caller may do is in
// permissions.h. A token's claims: iss, aud, exp, nbf, iat, sub, tenant (string), roles (array of strings).
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

namespace vedette::runtime {

struct Identity {
  std::string subject;
  std::string tenant;  ///< empty for a service that acts for any tenant
  std::vector<std::string> roles;

  bool HasRole(std::string_view role) const;
  bool is_service() const { return HasRole("service"); }
};

/// A P-256 key pair, PEM (PKCS #8 and SubjectPublicKeyInfo).
struct KeyPair {
  std::string private_key;
  std::string public_key;
};
absl::StatusOr<KeyPair> GenerateKeyPair();

struct Claims {
  std::string subject;
  std::string tenant;
  std::vector<std::string> roles;
  std::string issuer = "vedette";
  std::string audience = "vedette";
  absl::Time not_before = absl::InfinitePast();  ///< InfinitePast: now
  absl::Time expires;                            ///< required
  std::string key_id;                            ///< "kid" of the header; empty: none
};
/// The token, for Authorization: Bearer. For `vedette up`, tools and tests; services only verify.
absl::StatusOr<std::string> SignToken(const Claims& claims, std::string_view private_key_pem);

struct VerifierOptions {
  std::string public_key_file;  ///< PEM, or a JWKS (RFC 7517) with EC P-256 keys; read again when it changes
  std::string issuer = "vedette";
  std::string audience = "vedette";
  absl::Duration skew = absl::Seconds(60);
};

/// Checks tokens. Thread-safe; remembers what it verified until the token expires or the keys change.
class TokenVerifier {
 public:
  /// Fails when the key file cannot be read or holds no usable key.
  static absl::StatusOr<std::unique_ptr<TokenVerifier>> Create(VerifierOptions options,
                                                               const Clock& clock = Clock::System());
  ~TokenVerifier();
  /// UNAUTHENTICATED with a reason (TOKEN_EXPIRED, TOKEN_INVALID...); never says more than a stranger may know.
  absl::StatusOr<Identity> Verify(std::string_view token) const;

 private:
  struct State;
  explicit TokenVerifier(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// A token in a file, read again when the file changes (checked once a second). Thread-safe.
class TokenFile {
 public:
  explicit TokenFile(std::string path);
  ~TokenFile();
  /// UNAVAILABLE when the file cannot be read and was never read; FAILED_PRECONDITION when no path was given.
  absl::StatusOr<std::string> Get() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vedette::runtime
