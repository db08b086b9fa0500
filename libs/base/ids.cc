#include "base/ids.h"

#include <fmt/format.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <vector>

namespace vedette {
namespace {

void Fill(unsigned char* out, int n) {
  // Without randomness no id is safe to hand out; there is nothing to fall back on.
  if (RAND_bytes(out, n) != 1) std::abort();
}

std::string Format(std::array<unsigned char, 16>& b, int version) {
  b[6] = static_cast<unsigned char>((b[6] & 0x0f) | (version << 4));
  b[8] = static_cast<unsigned char>((b[8] & 0x3f) | 0x80);
  std::string out;
  for (int i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) out += '-';
    fmt::format_to(std::back_inserter(out), "{:02x}", b[i]);
  }
  return out;
}

}  // namespace

std::string NewUuid() {
  std::array<unsigned char, 16> b{};
  Fill(b.data(), 16);
  return Format(b, 4);
}

std::string NewUuidV7(absl::Time now) {
  std::array<unsigned char, 16> b{};
  Fill(b.data(), 16);
  const auto ms = static_cast<uint64_t>(absl::ToUnixMillis(now));
  for (int i = 0; i < 6; ++i) b[i] = static_cast<unsigned char>(ms >> (8 * (5 - i)));
  return Format(b, 7);
}

std::string DerivedUuid(std::string_view name) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(name.data()), name.size(), digest.data());
  std::array<unsigned char, 16> b{};
  std::copy_n(digest.begin(), b.size(), b.begin());
  return Format(b, 8);
}

std::string RandomHex(int bytes) {
  std::vector<unsigned char> b(static_cast<size_t>(bytes));
  Fill(b.data(), bytes);
  std::string out;
  for (const unsigned char byte : b) fmt::format_to(std::back_inserter(out), "{:02x}", byte);
  return out;
}

}  // namespace vedette
