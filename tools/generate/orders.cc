// A table of orders. Retail and wholesale orders form two groups in each of which quantity, price, weight, shipping and
// amount depend on each other. The four kinds of anomaly are those of ADBench (Han et al., NeurIPS 2022), made with the
// meaning of the columns: global, local, clustered, dependency.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "generate/rows.h"

namespace vedette::generate {
namespace {

constexpr std::string_view kCountries[] = {"DE", "FR", "GB", "PL", "US"};
constexpr double kDistances[] = {300, 800, 1200, 900, 7500};  // km, median
constexpr std::string_view kPayments[] = {"card", "invoice", "transfer", "wallet"};

struct Order {
  size_t country = 0, payment = 0;
  bool wholesale = false;
  double quantity = 1, price = 0, discount = 0, weight = 0, distance = 0, shipping = 0, lead_days = 0, amount = 0;
};

void Settle(Order& o, Rng& rng) {
  o.weight = o.quantity * LogNormal(rng, 0.6, 0.15);
  o.shipping = (3 + 0.35 * o.weight + 0.004 * o.distance) * LogNormal(rng, 1, 0.06);
  o.amount = o.quantity * o.price * (1 - o.discount / 100) + o.shipping;
}

Order NormalOrder(Rng& rng) {
  Order o;
  o.country = Weighted(rng, {5, 3, 3, 2, 1});
  o.wholesale = Chance(rng, 0.3);
  o.payment = o.wholesale ? Weighted(rng, {1, 6, 3, 0}) : Weighted(rng, {6, 1, 1, 3});
  o.quantity = o.wholesale ? 20 + static_cast<double>(Poisson(rng, 60)) : 1 + static_cast<double>(Poisson(rng, 1.5));
  o.price = o.wholesale ? LogNormal(rng, 14, 0.25) : LogNormal(rng, 28, 0.3);
  o.discount = o.wholesale ? std::clamp(12 + 4 * rng.Normal(), 0.0, 25.0) : Chance(rng, 0.25) ? 5.0 * static_cast<double>(1 + rng.Below(3)) : 0.0;
  o.distance = LogNormal(rng, kDistances[o.country], 0.25);
  o.lead_days = 1 + static_cast<double>(Poisson(rng, (o.wholesale ? 3 : 1) + o.distance / 2000));
  Settle(o, rng);
  return o;
}

/// Far outside in one column.
Order GlobalAnomaly(Rng& rng) {
  Order o = NormalOrder(rng);
  switch (rng.Below(4)) {
    case 0:
      o.price *= rng.Uniform(15, 60);
      Settle(o, rng);
      break;
    case 1:
      o.lead_days += static_cast<double>(40 + rng.Below(60));
      break;
    case 2:
      o.discount = rng.Uniform(60, 99);
      Settle(o, rng);
      break;
    default:
      o.quantity *= 30;
      Settle(o, rng);
  }
  return o;
}

/// Ordinary for the other kind of customer, odd for this one.
Order LocalAnomaly(Rng& rng) {
  Order o = NormalOrder(rng);
  if (o.wholesale) {
    o.quantity = 1 + static_cast<double>(rng.Below(4));
    o.price = LogNormal(rng, 28, 0.3);
  } else {
    o.quantity = 20 + static_cast<double>(Poisson(rng, 60));
    o.price = LogNormal(rng, 14, 0.25);
  }
  Settle(o, rng);
  return o;
}

/// One of a group of nearly equal orders.
Order ClusterAnomaly(Rng& rng) {
  Order o;
  o.country = 3;
  o.payment = 3;
  o.wholesale = true;
  o.quantity = 9 + static_cast<double>(rng.Below(3));
  o.price = 99 + 0.5 * rng.Normal();
  o.distance = 2400 + 20 * rng.Normal();
  o.lead_days = 1;
  Settle(o, rng);
  return o;
}

/// Every value is ordinary, but they do not belong together.
Order DependencyAnomaly(Rng& rng) {
  Order o = NormalOrder(rng);
  switch (rng.Below(3)) {
    case 0:
      o.amount *= Chance(rng, 0.5) ? rng.Uniform(0.1, 0.4) : rng.Uniform(2.5, 6);
      break;
    case 1:
      o.weight = o.wholesale ? LogNormal(rng, 1.5, 0.3) : LogNormal(rng, 45, 0.2);
      break;
    default:
      o.shipping = o.wholesale ? LogNormal(rng, 4, 0.1) : LogNormal(rng, 40, 0.2);
  }
  return o;
}

}  // namespace

void WriteTable(const Options& options, RowWriter& out) {
  out.Header(
      "order_id,ordered_at,country,channel,payment,quantity,unit_price,discount_pct,weight_kg,distance_km,shipping,lead_days,"
      "amount");
  constexpr std::string_view kNames[] = {"global", "local", "cluster", "dependency"};
  for (int64_t i = 0; i < options.entities && !out.Done(); ++i) {
    Rng rng(options.seed, static_cast<uint64_t>(i) + 1);
    std::string_view kind;
    Order o;
    if (Chance(rng, options.anomaly_rate)) {
      const size_t k = Weighted(rng, {3, 2, 2, 3});
      kind = kNames[k];
      o = k == 0 ? GlobalAnomaly(rng) : k == 1 ? LocalAnomaly(rng) : k == 2 ? ClusterAnomaly(rng) : DependencyAnomaly(rng);
    } else {
      o = NormalOrder(rng);
    }
    out.Text(fmt::format("O{:07}", i + 1)).Text(HourText(i / 4)).Text(kCountries[o.country]);
    out.Text(o.wholesale ? "wholesale" : "retail").Text(kPayments[o.payment]).Number(o.quantity, 0).Number(o.price, 2);
    out.Number(o.discount, 1).Number(o.weight, 2);
    if (Chance(rng, 0.01)) {
      out.Missing();  // the address could not be located
    } else {
      out.Number(o.distance, 0);
    }
    out.Number(o.shipping, 2).Number(o.lead_days, 0).Number(o.amount, 2);
    out.EndRow(kind);
  }
}

}  // namespace vedette::generate
