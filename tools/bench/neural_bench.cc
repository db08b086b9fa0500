// Neural algorithms beside PyTorch: the same networks, losses, data, epochs and batches, one thread each, in the same
// run.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <sstream>
#include <vector>

#include "base/status.h"
#include "bench/bench.h"
#include "bench/peers.h"
#include "neural/algorithms.h"

namespace vedette::bench {
namespace {

/// What both sides run: the peer has these sizes written down.
struct Mirror {
  std::string_view algorithm;
  std::map<std::string, std::string> params;
  int64_t epochs, batch;
};

const std::vector<Mirror>& Mirrors() {
  static const std::vector<Mirror> mirrors = {
      {"autoencoder", {{"encoding", "8"}, {"epochs", "20"}, {"batch_size", "32"}, {"validation_split", "0"}}, 20, 32},
      {"vae", {{"epochs", "20"}}, 20, 32},
      {"deep_svdd", {{"epochs", "50"}}, 50, 32},
      {"ae1svm", {{"epochs", "10"}}, 10, 32},
      {"so_gaal", {{"stop_epochs", "20"}, {"batch_size", "500"}}, 60, 500},
      {"alad", {{"epochs", "10"}}, 10, 32},
  };
  return mirrors;
}

absl::StatusOr<double> Ours(const Mirror& mirror, MatrixView X, int repeats) {
  const auto& all = neural::Algorithms();
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const outlier::Descriptor* d) { return d->name == mirror.algorithm; });
  if (found == all.end()) return NotFound("there is no algorithm {}", mirror.algorithm);
  std::map<std::string, std::string> given = mirror.params;
  given["device"] = "cpu";
  ASSIGN_OR_RETURN(const outlier::ParamSet params, outlier::ParamSet::Make((*found)->params, given));
  absl::Status status;
  const double seconds = BestOf(repeats, [&] { status.Update((*found)->make(params)->Fit(X, {})); });
  if (!status.ok()) return Annotate(status, mirror.algorithm);
  return seconds;
}

}  // namespace

absl::Status RunNeural(std::span<char* const> args) {
  ASSIGN_OR_RETURN(const Flags flags,
                   Flags::Parse(args, {{"synthetic", "1000x20"}, {"repeats", "3"}, {"algorithms", "all"}}));
  ASSIGN_OR_RETURN(const int64_t repeats, flags.Int("repeats", 1, 100));
  long long n = 0, d = 0;
  const std::string& shape = flags.Text("synthetic");
  if (std::sscanf(shape.c_str(), "%lldx%lld", &n, &d) != 2 || n < 1 || d < 1 || n > 100000000 / d) {
    return InvalidArgument("--synthetic '{}' is not ROWSxCOLUMNS of at most 1e8 cells", shape);
  }
  std::vector<Mirror> chosen;
  for (const Mirror& mirror : Mirrors()) {
    const std::string wanted = "," + flags.Text("algorithms") + ",";
    if (wanted == ",all," || wanted.find(fmt::format(",{},", mirror.algorithm)) != std::string::npos)
      chosen.push_back(mirror);
  }
  if (chosen.empty())
    return InvalidArgument("--algorithms '{}' names none that has a mirror", flags.Text("algorithms"));
  const Matrix X = Normal(n, d);
  // The module's libraries are loaded once a process, before anything is timed.
  RETURN_IF_ERROR(Ours({"deep_svdd", {{"epochs", "1"}}, 1, 32}, X.view().Rows(0, 1), 1).status());

  fmt::print(
      "Fit with training scores on normal {}x{}, processor seconds of one thread\n{:<14} {:>7} {:>6} {:>10} {:>10} "
      "{:>8}\n",
      n, d, "algorithm", "epochs", "batch", "ours s", "PyTorch s", "ratio");
  std::vector<double> ratios;
  for (const Mirror& mirror : chosen) {
    ASSIGN_OR_RETURN(const double ours, Ours(mirror, X, static_cast<int>(repeats)));
    const auto peer =
        Torch(X, fmt::format("{}:{}:{}", mirror.algorithm, mirror.epochs, mirror.batch), static_cast<int>(repeats));
    const auto theirs = peer.find(std::string(mirror.algorithm));
    if (theirs == peer.end()) {
      fmt::print("{:<14} {:>7} {:>6} {:>10.4f}\n", mirror.algorithm, mirror.epochs, mirror.batch, ours);
      continue;
    }
    ratios.push_back(theirs->second / ours);
    fmt::print("{:<14} {:>7} {:>6} {:>10.4f} {:>10.4f} {:>7.2f}x\n", mirror.algorithm, mirror.epochs, mirror.batch,
               ours, theirs->second, ratios.back());
    std::fflush(stdout);
  }
  if (!ratios.empty())
    fmt::print("least ratio: {:.2f}x (above 1: faster than PyTorch)\n",
               *std::min_element(ratios.begin(), ratios.end()));
  return absl::OkStatus();
}

}  // namespace vedette::bench
