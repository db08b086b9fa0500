// Monthly statements of properties: amount = level x growth x month factor x noise for each account, beside the budget
// that was made from the same without the noise. Errors are those that bookkeeping really makes.
#include <fmt/format.h>

#include <array>
#include <cmath>
#include <numbers>
#include <vector>

#include "generate/rows.h"

namespace vedette::generate {
namespace {

struct Account {
  std::string_view name;
  double level;      ///< per unit and month
  double seasonal;   ///< amplitude of the year's wave
  double peak;       ///< month of its top, 0 = January
  double noise;      ///< sigma of the log
};

constexpr std::array<Account, 12> kAccounts = {{
    {"4010 Rental income", 950, 0.01, 6, 0.015},
    {"4020 Parking income", 60, 0.02, 6, 0.03},
    {"4030 Laundry income", 14, 0.06, 0, 0.06},
    {"4110 Vacancy loss", -55, 0.25, 0, 0.12},
    {"5010 Payroll", -110, 0.03, 11, 0.03},
    {"5020 Repairs and maintenance", -85, 0.20, 7, 0.14},
    {"5030 Utilities", -95, 0.45, 0, 0.07},
    {"5040 Insurance", -38, 0.0, 0, 0.01},
    {"5050 Property tax", -120, 0.0, 0, 0.01},
    {"5060 Management fee", -42, 0.01, 6, 0.02},
    {"5070 Marketing", -16, 0.20, 4, 0.12},
    {"6010 Mortgage interest", -210, 0.0, 0, 0.005},
}};
constexpr std::string_view kRegions[] = {"north", "south", "west", "east"};

struct Cell {
  double amount = 0, budget = 0;
  bool missing = false;
  std::string_view kind;
};

constexpr double kMonthShare = 0.15;  // of the anomalous cells: whole months that were not delivered
constexpr double kShiftShare = 0.15;

/// cells[t][a] of one property without errors.
std::vector<std::array<Cell, kAccounts.size()>> CleanStatements(Rng& rng, int64_t periods) {
  const double units = 20 + static_cast<double>(rng.Below(180));
  const double growth = rng.Uniform(0.0, 0.006);
  std::array<double, kAccounts.size()> level;
  for (size_t a = 0; a < level.size(); ++a) level[a] = kAccounts[a].level * units * LogNormal(rng, 1, 0.15);
  std::vector<std::array<Cell, kAccounts.size()>> cells(static_cast<size_t>(periods));
  for (int64_t t = 0; t < periods; ++t) {
    for (size_t a = 0; a < level.size(); ++a) {
      const Account& account = kAccounts[a];
      const double wave = std::cos((static_cast<double>(t % 12) - account.peak) / 6 * std::numbers::pi);
      Cell& cell = cells[static_cast<size_t>(t)][a];
      cell.budget = level[a] * std::pow(1 + growth, static_cast<double>(t)) * (1 + account.seasonal * wave);
      cell.amount = cell.budget * LogNormal(rng, 1, account.noise);
    }
  }
  return cells;
}

void InjectErrors(Rng& rng, double rate, std::vector<std::array<Cell, kAccounts.size()>>* cells) {
  for (size_t t = 0; t < cells->size(); ++t) {
    if (Chance(rng, rate * kMonthShare)) {
      for (Cell& cell : (*cells)[t]) {
        cell.missing = true;
        cell.kind = "missing_month";
      }
      continue;
    }
    for (size_t a = 0; a < kAccounts.size(); ++a) {
      Cell& cell = (*cells)[t][a];
      if (!cell.kind.empty()) continue;
      // A period shift makes two cells wrong, so it is drawn half as often.
      if (t + 1 < cells->size() && Chance(rng, rate * kShiftShare / 2)) {
        Cell& next = (*cells)[t + 1][a];
        next.amount += cell.amount;
        cell.amount = 0;
        cell.kind = next.kind = "period_shift";
      } else if (Chance(rng, rate * (1 - kMonthShare - kShiftShare))) {
        const size_t k = Weighted(rng, {1, 1, 1.3});
        cell.kind = std::array<std::string_view, 3>{"sign_flip", "duplicate", "unit_error"}[k];
        constexpr double kUnits[] = {10, 1000, 0.1, 0.001};
        cell.amount *= k == 0 ? -1 : k == 1 ? 2 : kUnits[rng.Below(4)];
      }
    }
  }
}

}  // namespace

void WriteStatements(const Options& options, RowWriter& out) {
  out.Header("property,region,month,account,amount,budget,variance_pct");
  for (int64_t i = 0; i < options.entities && !out.Done(); ++i) {
    Rng rng(options.seed, static_cast<uint64_t>(i) + 1);
    const std::string name = fmt::format("P{:05}", i + 1);
    const std::string_view region = kRegions[rng.Below(4)];
    auto cells = CleanStatements(rng, options.periods);
    InjectErrors(rng, options.anomaly_rate, &cells);
    for (int64_t t = 0; t < options.periods && !out.Done(); ++t) {
      for (size_t a = 0; a < kAccounts.size() && !out.Done(); ++a) {
        const Cell& cell = cells[static_cast<size_t>(t)][a];
        out.Text(name).Text(region).Text(MonthText(t)).Text(kAccounts[a].name);
        if (cell.missing) {
          out.Missing().Number(cell.budget, 2).Missing();
        } else {
          out.Number(cell.amount, 2).Number(cell.budget, 2).Number(100 * (cell.amount / cell.budget - 1), 1);
        }
        out.EndRow(cell.kind);
      }
    }
  }
}

}  // namespace vedette::generate
