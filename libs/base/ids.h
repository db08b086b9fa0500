#pragma once

#include <absl/time/time.h>

#include <string>
#include <string_view>

namespace vedette {

/// Random UUID (version 4, RFC 9562), from the operating system's generator. Never from a seeded Rng.
std::string NewUuid();
/// Time-ordered UUID (version 7, RFC 9562): sorts by creation, so it makes good primary keys.
std::string NewUuidV7(absl::Time now);
/// The same UUID (version 8, RFC 9562; from SHA-256) for the same name: ids of things that may be made twice.
std::string DerivedUuid(std::string_view name);
/// `bytes` random bytes as hexadecimal, for secrets and tokens.
std::string RandomHex(int bytes);

}  // namespace vedette
