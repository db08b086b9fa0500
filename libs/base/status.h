// Errors are values: absl::Status and absl::StatusOr everywhere inside. These helpers build them with fmt
// patterns (Debian's absl::string_view is not std::string_view, so absl::StrCat does not take ours).
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

namespace vedette {

template <typename... Args>
absl::Status InvalidArgument(fmt::format_string<Args...> pattern, Args&&... args) {
  return absl::InvalidArgumentError(fmt::format(pattern, std::forward<Args>(args)...));
}
template <typename... Args>
absl::Status NotFound(fmt::format_string<Args...> pattern, Args&&... args) {
  return absl::NotFoundError(fmt::format(pattern, std::forward<Args>(args)...));
}
template <typename... Args>
absl::Status FailedPrecondition(fmt::format_string<Args...> pattern, Args&&... args) {
  return absl::FailedPreconditionError(fmt::format(pattern, std::forward<Args>(args)...));
}
template <typename... Args>
absl::Status Unavailable(fmt::format_string<Args...> pattern, Args&&... args) {
  return absl::UnavailableError(fmt::format(pattern, std::forward<Args>(args)...));
}
template <typename... Args>
absl::Status ResourceExhausted(fmt::format_string<Args...> pattern, Args&&... args) {
  return absl::ResourceExhaustedError(fmt::format(pattern, std::forward<Args>(args)...));
}
template <typename... Args>
absl::Status DataLoss(fmt::format_string<Args...> pattern, Args&&... args) {
  return absl::DataLossError(fmt::format(pattern, std::forward<Args>(args)...));
}
template <typename... Args>
absl::Status Internal(fmt::format_string<Args...> pattern, Args&&... args) {
  return absl::InternalError(fmt::format(pattern, std::forward<Args>(args)...));
}

/// The status message as std::string_view.
inline std::string_view Message(const absl::Status& status) {
  return {status.message().data(), status.message().size()};
}

/// The same code with `where` put in front of the message: "reading a.csv: line 3: ...".
inline absl::Status Annotate(const absl::Status& status, std::string_view where) {
  if (status.ok()) return status;
  absl::Status out(status.code(), fmt::format("{}: {}", where, Message(status)));
  status.ForEachPayload([&out](absl::string_view url, const absl::Cord& payload) { out.SetPayload(url, payload); });
  return out;
}

}  // namespace vedette

#define VEDETTE_CONCAT_INNER(a, b) a##b
#define VEDETTE_CONCAT(a, b) VEDETTE_CONCAT_INNER(a, b)

/// Returns the status from this function unless it is OK.
#define RETURN_IF_ERROR(expr)                              \
  do {                                                     \
    if (absl::Status status_macro_ = (expr); !status_macro_.ok()) return status_macro_; \
  } while (false)

/// ASSIGN_OR_RETURN(auto value, Compute()): value, or returns Compute()'s error from this function.
#define ASSIGN_OR_RETURN(lhs, expr) ASSIGN_OR_RETURN_IMPL(VEDETTE_CONCAT(status_or_, __LINE__), lhs, expr)
#define ASSIGN_OR_RETURN_IMPL(tmp, lhs, expr) \
  auto tmp = (expr);                          \
  if (!tmp.ok()) return tmp.status();         \
  lhs = *std::move(tmp)
