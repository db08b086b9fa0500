#pragma once

#include <httplib.h>

#include <string>
#include <string_view>

namespace vedette::gateway {

/// Answers with the file at `path` (decoded segments, "a/b.js"; "" is index.html) below `directory`. False when there
/// is no such regular file, when a link leads out of the folder, or when it is larger than 64 MiB.
bool ServeFile(const std::string& directory, std::string_view path, const httplib::Request& request,
               httplib::Response& response);

}  // namespace vedette::gateway
