// What the program may assume of the place it prints to.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vedette::cli {

/// Columns of the terminal behind `fd`, 80 when it is none; at least 40.
int TerminalWidth(int fd);
bool IsTerminal(int fd);
/// A terminal, and neither NO_COLOR is set nor TERM is "dumb".
bool UseColour(int fd);

enum class Style { kPlain, kBold, kDim, kRed, kBoldRed, kYellow, kGreen };
/// The text in that style, or as it is when `colour` is false.
std::string Styled(std::string_view text, Style style, bool colour);

/// Breaks at spaces so that no line is longer than `width` characters; a longer word stands alone.
std::vector<std::string> Wrap(std::string_view text, size_t width);

/// A line on stderr that tells how far a long step has come: only when stderr is a terminal and the step has taken a
/// second. Cleared by Done or destruction. Calls may come from any one thread.
class Progress {
 public:
  explicit Progress(std::string label, bool quiet = false);
  ~Progress() { Done(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  /// share in [0, 1], or negative when the total is not known; `detail` is shown behind it.
  void Update(double share, std::string_view detail = {});
  void Done();

 private:
  std::string label_;
  bool enabled_ = false;
  bool shown_ = false;
  std::chrono::steady_clock::time_point started_, last_;
};

}  // namespace vedette::cli
