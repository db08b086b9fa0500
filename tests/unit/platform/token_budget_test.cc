#include "platform/token_budget.h"

#include <catch2/catch.hpp>

#include "base/ids.h"
#include "support/support.h"

namespace vedette::platform {
namespace {

std::unique_ptr<TokenBudget> Budget(messaging::Connection& nats, long per_day = 1000) {
  auto budget = TokenBudget::Open(nats, per_day);
  INFO(budget.status());
  REQUIRE(budget.ok());
  return *std::move(budget);
}

}  // namespace

TEST_CASE("the day's tokens of a tenant are those of all processes together, and outlive them") {
  const auto a = testing::NewNatsConnection(), b = testing::NewNatsConnection();
  const std::string tenant = "acme * > " + NewUuid(), other = NewUuid();
  const absl::Time today = absl::Now();
  const auto one = Budget(*a), two = Budget(*b);
  CHECK(one->Take(tenant, 600, today).empty());
  CHECK(two->Take(tenant, 600, today) == llm::kOverBudget);
  CHECK(two->Take(tenant, 400, today).empty());
  CHECK(two->Take(other, 600, today).empty());
  CHECK(two->Take(tenant, 600, today + absl::Hours(24)).empty());
  one->Settle(tenant, 600, 100, today);
  CHECK(two->Take(tenant, 600, today) == llm::kOverBudget);
  CHECK(two->Take(tenant, 500, today).empty());
  CHECK(Budget(*a)->Take(tenant, 1, today) == llm::kOverBudget);  // a process that was started afresh
  one->Settle(tenant, 100, 900, today);  // used more than was taken: it is counted all the same
  CHECK(Budget(*a, 1799)->Take(tenant, 1, today) == llm::kOverBudget);
  CHECK(Budget(*a, 1801)->Take(tenant, 1, today).empty());
}

TEST_CASE("when nobody can say what is left, nothing is spent, and the answer does not wait") {
  const testing::TempDir dir;
  auto server = devcluster::NatsServer::Start({.data_dir = dir.path() + "/nats", .token = RandomHex(16)});
  REQUIRE(server.ok());
  const auto nats = messaging::Connection::Connect({.url = (*server)->Url(), .token = (*server)->token()});
  REQUIRE(nats.ok());
  const auto budget = Budget(**nats);
  REQUIRE((*server)->Kill().ok());
  CHECK(budget->Take("acme", 1, absl::Now()) == llm::kBudgetUnknown);
  budget->Settle("acme", 1, 0, absl::Now());  // logged, no more
}

}  // namespace vedette::platform
