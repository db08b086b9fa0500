// Devices that report every hour. Battery follows a day of use and a night of charging; signal depends on where the
// device lives; latency grows as the signal falls; crashes are rare. Half-way a release goes out to all; on a few
// devices it does harm.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "generate/rows.h"

namespace vedette::generate {
namespace {

struct Device {
  std::string_view model;
  double drain, signal, warmth, crash_rate;
};

constexpr std::string_view kModels[] = {"A100", "A200", "B7", "C3"};
constexpr int64_t kShiftHours = 48;
constexpr double kLevelShiftShare = 0.25;  // of the anomalous rows

enum class Anomaly { kNone, kSpike, kDrift, kDropout, kShift };
constexpr std::string_view kNames[] = {"", "spike", "drift", "dropout", "level_shift"};

Device NewDevice(Rng& rng) {
  const size_t m = Weighted(rng, {4, 3, 2, 1});
  return {kModels[m], rng.Uniform(1.5, 3.0) + 0.3 * static_cast<double>(m), rng.Uniform(-95, -60), rng.Uniform(24, 30),
          LogNormal(rng, 0.02, 0.5)};
}

/// An anomaly in progress.
struct Episode {
  Anomaly kind = Anomaly::kNone;
  int64_t left = 0, age = 0;
  size_t metric = 0;
};

void Begin(Rng& rng, Episode& e) {
  e.kind = std::array{Anomaly::kSpike, Anomaly::kDrift, Anomaly::kDropout}[Weighted(rng, {3, 1, 1})];
  e.age = 0;
  e.metric = rng.Below(3);
  e.left = e.kind == Anomaly::kSpike ? 1 + static_cast<int64_t>(rng.Below(3))
                                     : (e.kind == Anomaly::kDrift ? 18 : 3) + static_cast<int64_t>(rng.Below(6));
}
constexpr double kMeanLength = (3 * 2.0 + 20.5 + 5.5) / 5;

void WriteDevice(const Options& o, int64_t index, RowWriter& out) {
  Rng rng(o.seed, static_cast<uint64_t>(index) + 1);
  const Device device = NewDevice(rng);
  const std::string name = fmt::format("device-{:05}", index + 1);
  const int64_t release = o.periods / 2;
  const int64_t shift_end = std::min(o.periods, release + kShiftHours);
  const double shifted_share =
      shift_end > release ? static_cast<double>(shift_end - release) / static_cast<double>(o.periods) : 1;
  const bool harmed = Chance(rng, std::min(1.0, kLevelShiftShare * o.anomaly_rate / shifted_share));
  const double start = StartProbability(o.anomaly_rate * (1 - kLevelShiftShare), kMeanLength);
  double battery = rng.Uniform(60, 100);
  Episode e;
  for (int64_t t = 0; t < o.periods && !out.Done(); ++t) {
    const double hour = static_cast<double>(t % 24);
    const double activity = std::max(0.1, std::sin((hour - 6) / 18 * std::numbers::pi));
    const bool shifted = harmed && t >= release && t < shift_end;
    if (e.left == 0) e.kind = Anomaly::kNone;
    if (e.left == 0 && !shifted && Chance(rng, start)) Begin(rng, e);
    const Anomaly now = shifted ? Anomaly::kShift : e.kind;
    const bool night = hour < 6;
    const double drain = device.drain * (shifted ? 2.5 : 1) * (now == Anomaly::kDrift && e.metric == 0 ? 2 : 1);
    battery = std::clamp(battery + (night ? 14.0 : -drain * (0.5 + activity)) + rng.Normal() * 0.4, 1.0, 100.0);
    double signal = device.signal + 3 * rng.Normal();
    double temperature = device.warmth + 5 * activity + 0.8 * rng.Normal();
    double latency = LogNormal(rng, 40 + std::max(0.0, -70 - signal) * 4, 0.15);
    double crashes = static_cast<double>(Poisson(rng, device.crash_rate * activity * (shifted ? 60 : 1)));
    double data = LogNormal(rng, 30 * activity + 1, 0.4);
    if (now == Anomaly::kSpike) {
      if (e.metric == 0) crashes += static_cast<double>(4 + rng.Below(8));
      if (e.metric == 1) latency *= rng.Uniform(8, 20);
      if (e.metric == 2) data *= rng.Uniform(15, 40);
    } else if (now == Anomaly::kDrift) {
      temperature += 0.7 * static_cast<double>(e.age);
      if (e.metric == 1) signal -= 1.0 * static_cast<double>(e.age);
      if (e.metric == 2) latency *= 1 + 0.15 * static_cast<double>(e.age);
    } else if (shifted) {
      latency *= 1.6;
      temperature += 4;
    }
    out.Text(name).Text(HourText(t)).Text(device.model).Text(t < release ? "2.0.4" : "2.1.0");
    if (now == Anomaly::kDropout) {
      out.Number(battery, 1).Missing().Number(temperature, 1).Missing().Integer(0).Number(0, 1);
    } else {
      out.Number(battery, 1).Number(signal, 1).Number(temperature, 1).Number(latency, 1);
      out.Integer(static_cast<int64_t>(crashes)).Number(data, 1);
    }
    out.EndRow(kNames[static_cast<size_t>(now)]);
    if (e.left > 0) --e.left, ++e.age;
  }
}

}  // namespace

void WriteTelemetry(const Options& options, RowWriter& out) {
  out.Header("device,time,model,app_version,battery_pct,signal_dbm,temperature_c,latency_ms,crashes,data_mb");
  for (int64_t i = 0; i < options.entities && !out.Done(); ++i) WriteDevice(options, i, out);
}

}  // namespace vedette::generate
