// HTTP by libcurl.
#pragma once

#include <memory>

#include "llm/transport.h"

namespace vedette::llm {

/// Answers of more than this many bytes are refused while they arrive.
inline constexpr size_t kMaxReplyBytes = 1 << 20;

std::unique_ptr<Transport> NewCurlTransport();

}  // namespace vedette::llm
