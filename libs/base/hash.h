#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace vedette {

/// SHA-256 in lower-case hexadecimal (64 characters).
std::string Sha256Hex(std::string_view bytes);

/// SHA-256 of bytes that arrive piece by piece.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void Update(std::string_view bytes);
  /// Of everything so far, as Sha256Hex; more may follow.
  std::string Hex() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vedette
