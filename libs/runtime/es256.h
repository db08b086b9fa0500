// ECDSA over P-256 with SHA-256 as JWS uses it (RFC 7518 section 3.4), and base64url (RFC 4648 section 5, no padding).
// Used by auth.cc; OpenSSL's types stay in es256.cc.
#pragma once

#include <absl/status/statusor.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace vedette::runtime {

std::string Base64UrlEncode(std::string_view bytes);
/// Nothing when there is a character outside of the alphabet, padding, or an impossible length.
std::optional<std::string> Base64UrlDecode(std::string_view text);

class Es256Key {
 public:
  /// A key that is not on P-256 is refused.
  static absl::StatusOr<Es256Key> FromPublicPem(std::string_view pem);
  static absl::StatusOr<Es256Key> FromPrivatePem(std::string_view pem);
  /// Coordinates of the point, 32 bytes each (JWK members x and y, decoded).
  static absl::StatusOr<Es256Key> FromCoordinates(std::string_view x, std::string_view y);
  static absl::StatusOr<Es256Key> Generate();

  absl::StatusOr<std::string> PublicPem() const;
  absl::StatusOr<std::string> PrivatePem() const;
  /// r and s, 32 bytes each.
  absl::StatusOr<std::string> Sign(std::string_view message) const;
  bool Verify(std::string_view message, std::string_view signature) const;

 private:
  explicit Es256Key(std::shared_ptr<void> key) : key_(std::move(key)) {}
  std::shared_ptr<void> key_;  // EVP_PKEY; signing and verifying with it is thread-safe
};

}  // namespace vedette::runtime
