#pragma once

#include <absl/time/time.h>

#include <string>

namespace vedette {

/// Random UUID (version 4, RFC 9562), from the operating system's generator. Never from a seeded Rng.
std::string NewUuid();
/// Time-ordered UUID (version 7, RFC 9562): sorts by creation, so it makes good primary keys.
std::string NewUuidV7(absl::Time now);
/// `bytes` random bytes as hexadecimal, for secrets and tokens.
std::string RandomHex(int bytes);

}  // namespace vedette
