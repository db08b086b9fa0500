#pragma once

#include <string>
#include <string_view>

namespace vedette {

/// SHA-256 in lower-case hexadecimal (64 characters).
std::string Sha256Hex(std::string_view bytes);

}  // namespace vedette
