#include <catch2/catch.hpp>

#include "outlier/registry.h"

namespace vedette::outlier {
namespace {

constexpr ParamSpec kSpecs[] = {
    {.name = "n_neighbors", .type = ParamType::kInt, .default_value = "5", .min = 1, .max = 1000, .summary = "neighbours"},
    {.name = "bins", .type = ParamType::kInt, .default_value = "10", .min = 0, .max = 100, .choices = "auto=0", .summary = "b"},
    {.name = "share", .type = ParamType::kReal, .default_value = "0.5", .min = 0, .max = 1, .summary = "share"},
    {.name = "scale", .type = ParamType::kBool, .default_value = "true", .summary = "scale first"},
    {.name = "metric", .type = ParamType::kChoice, .default_value = "euclidean", .choices = "euclidean|manhattan", .summary = "m"},
};

std::string Wrong(const std::map<std::string, std::string>& given) {
  const auto params = ParamSet::Make(kSpecs, given);
  REQUIRE(params.status().code() == absl::StatusCode::kInvalidArgument);
  return std::string(params.status().message());
}

}  // namespace

TEST_CASE("parameters: defaults, given values and words for values") {
  const auto defaults = ParamSet::Make(kSpecs, {});
  REQUIRE(defaults.ok());
  CHECK(defaults->Int("n_neighbors") == 5);
  CHECK(defaults->Real("share") == 0.5);
  CHECK(defaults->Bool("scale"));
  CHECK(defaults->Choice("metric") == "euclidean");
  const auto given = ParamSet::Make(
      kSpecs, {{"n_neighbors", "+7"}, {"bins", "AUTO"}, {"share", "1e-1"}, {"scale", "No"}, {"metric", "Manhattan"}});
  REQUIRE(given.ok());
  CHECK(given->Int("n_neighbors") == 7);
  CHECK(given->Int("bins") == 0);
  CHECK(given->Real("share") == 0.1);
  CHECK_FALSE(given->Bool("scale"));
  CHECK(given->Choice("metric") == "manhattan");
  CHECK(given->Canonical() == std::map<std::string, std::string>{{"n_neighbors", "7"}, {"bins", "0"}, {"share", "0.1"},
                                                                 {"scale", "false"}, {"metric", "manhattan"}});
}

TEST_CASE("parameters: all mistakes at once, each with what would be right") {
  const std::string text = Wrong({{"n_neigbors", "3"}, {"share", "1.5"}, {"metric", "manhatan"}, {"scale", "maybe"}});
  CHECK(text.find("unknown parameter 'n_neigbors' (did you mean 'n_neighbors'?)") != std::string::npos);
  CHECK(text.find("'share' is '1.5': must be a number from 0 to 1") != std::string::npos);
  CHECK(text.find("did you mean 'manhattan'?") != std::string::npos);
  CHECK(text.find("'scale' is 'maybe': must be true or false") != std::string::npos);
  CHECK(Wrong({{"n_neighbors", "0"}}).find("a whole number from 1 to 1000") != std::string::npos);
  CHECK(Wrong({{"bins", "101"}}).find("or 'auto'") != std::string::npos);
  for (const char* bad : {"", " 5", "5 ", "5.0", "0x5", "five", "99999999999999999999", "-"}) Wrong({{"n_neighbors", bad}});
  for (const char* bad : {"", "nan", "inf", "1e999", "0,5", "0.5x"}) Wrong({{"share", bad}});
  CHECK(Wrong({{std::string(10000, 'x'), "1"}}).size() < 400);
}

TEST_CASE("the nearest name is found only when it is near") {
  const std::vector<std::string> names = {"iforest", "ecod", "copod", "knn"};
  CHECK(Nearest("iforrest", names) == "iforest");
  CHECK(Nearest("ECOD", names) == "ecod");
  CHECK(Nearest("kn", names) == "knn");
  CHECK(Nearest("autoencoder", names).empty());
  CHECK(Nearest("", names).empty());
}

TEST_CASE("the catalog finds algorithms by name and helps with a typo") {
  const Catalog catalog({AllAlgorithms()});
  REQUIRE(catalog.Find("ecod").ok());
  CHECK((*catalog.Find("ecod"))->name == "ecod");
  const auto typo = catalog.Find("ecodd");
  CHECK(typo.status().code() == absl::StatusCode::kNotFound);
  CHECK(std::string(typo.status().message()).find("did you mean 'ecod'?") != std::string::npos);
  CHECK(std::string(catalog.Find("something").status().message()).find("there are: ") != std::string::npos);
}

}  // namespace vedette::outlier
