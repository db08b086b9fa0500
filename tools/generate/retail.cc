// Store-product pairs by day: Poisson demand with a week's rhythm and promotions, sold from a shelf that is refilled to a
// level when it falls below a point, two days later. A demand spike multiplies demand for a day or two; phantom stock is
// stock that the system shows and the shelf lacks: nothing sells while on_hand stands still above zero.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "generate/rows.h"

namespace vedette::generate {
namespace {

constexpr std::string_view kCategories[] = {"beverages", "dairy", "bakery", "household", "produce", "snacks"};
constexpr double kWeek[] = {0.9, 0.85, 0.9, 1.0, 1.25, 1.4, 0.7};  // Monday first; 2024-01-01 was a Monday
constexpr int64_t kProductsPerStore = 20;
constexpr int64_t kLeadDays = 2;
constexpr double kSpikeLength = 1.5, kPhantomLength = 9;

struct Shelf {
  int64_t on_hand = 0, on_order = 0, arrives = -1;

  void Receive(int64_t day) {
    if (on_order == 0 || day < arrives) return;
    on_hand += on_order;
    on_order = 0;
  }
  void Reorder(int64_t day, int64_t point, int64_t level) {
    if (on_order > 0 || on_hand >= point) return;
    on_order = level - on_hand;
    arrives = day + kLeadDays;
  }
};

void WritePair(const Options& o, int64_t index, RowWriter& out) {
  Rng rng(o.seed, static_cast<uint64_t>(index) + 1);
  const std::string store = fmt::format("store-{:03}", index / kProductsPerStore + 1);
  const std::string product = fmt::format("sku-{:04}", index % kProductsPerStore + 1);
  const std::string_view category = kCategories[static_cast<size_t>(index % kProductsPerStore) % std::size(kCategories)];
  const double base = std::max(4.0, LogNormal(rng, 12, 0.6));
  const double list_price = std::round(LogNormal(rng, 4, 0.5) * 100) / 100;
  const auto level = static_cast<int64_t>(base * 10);
  const auto point = static_cast<int64_t>(base * 5);
  Shelf shelf{level, 0, -1};
  const double start = StartProbability(o.anomaly_rate, (kSpikeLength * 2 + kPhantomLength) / 3);
  int64_t left = 0, promo_left = 0;
  bool phantom = false;
  for (int64_t day = 0; day < o.periods && !out.Done(); ++day) {
    shelf.Receive(day);
    if (promo_left > 0) {
      --promo_left;
    } else if (Chance(rng, 0.02)) {
      promo_left = 7;
    }
    const bool promo = promo_left > 0;
    if (left == 0 && shelf.on_hand > 0 && Chance(rng, start)) {
      phantom = Chance(rng, 1.0 / 3);
      left = phantom ? 6 + static_cast<int64_t>(rng.Below(7)) : 1 + static_cast<int64_t>(rng.Below(2));
    }
    const bool spike = left > 0 && !phantom;
    const double mean = base * kWeek[day % 7] * (promo ? 1.6 : 1) * (spike ? rng.Uniform(5, 9) : 1);
    const int64_t demand = Poisson(rng, mean);
    if (spike) shelf.on_hand = std::max(shelf.on_hand, demand);  // the store had borrowed stock
    const int64_t sold = left > 0 && phantom ? 0 : std::min(demand, shelf.on_hand);
    shelf.on_hand -= sold;
    if (!(left > 0 && phantom)) shelf.Reorder(day, point, level);
    out.Text(store).Text(product).Text(category).Text(DayText(day)).Integer(sold).Integer(shelf.on_hand);
    out.Number(promo ? list_price * 0.8 : list_price, 2).Integer(promo ? 1 : 0);
    out.EndRow(left == 0 ? "" : phantom ? "phantom_stock" : "demand_spike");
    if (left > 0) --left;
  }
}

}  // namespace

void WriteRetail(const Options& options, RowWriter& out) {
  out.Header("store,product,category,day,units_sold,on_hand,price,promotion");
  for (int64_t i = 0; i < options.entities && !out.Done(); ++i) WritePair(options, i, out);
}

}  // namespace vedette::generate
