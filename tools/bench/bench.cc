#include "bench/bench.h"

#include <algorithm>
#include <charconv>
#include <ctime>

#include "base/status.h"

namespace vedette::bench {

double CpuSeconds() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

double BestOf(int repeats, const std::function<void()>& run, double enough) {
  double best = 0;
  for (int i = 0; i < repeats; ++i) {
    const double start = CpuSeconds();
    run();
    const double seconds = CpuSeconds() - start;
    best = i == 0 ? seconds : std::min(best, seconds);
    if (seconds > enough) break;
  }
  return best;
}

absl::StatusOr<Flags> Flags::Parse(std::span<char* const> args, std::map<std::string, std::string> known) {
  Flags flags;
  flags.values_ = std::move(known);
  for (size_t i = 0; i < args.size(); ++i) {
    const std::string_view arg = args[i];
    if (!arg.starts_with("--")) return InvalidArgument("unexpected argument '{}'", arg);
    const size_t equals = arg.find('=');
    const std::string name(arg.substr(2, equals == std::string_view::npos ? equals : equals - 2));
    if (!flags.values_.contains(name)) return InvalidArgument("unknown flag --{}", name);
    if (equals != std::string_view::npos) {
      flags.values_[name] = arg.substr(equals + 1);
    } else if (++i < args.size()) {
      flags.values_[name] = args[i];
    } else {
      return InvalidArgument("--{} needs a value", name);
    }
  }
  return flags;
}

absl::StatusOr<int64_t> Flags::Int(const std::string& name, int64_t min, int64_t max) const {
  const std::string& text = Text(name);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < min || value > max) {
    return InvalidArgument("--{} must be a whole number from {} to {}, not '{}'", name, min, max, text);
  }
  return value;
}

}  // namespace vedette::bench
