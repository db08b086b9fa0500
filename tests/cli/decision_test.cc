// What a score becomes on the command line: label, probabilities, confidence, p-value, rejection; gaps and categories
// as they are.
#include <algorithm>
#include <catch2/catch.hpp>

#include "cli/program.h"

namespace vedette::cli_test {
namespace {

bool Has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("every row says both probabilities, confidence, p-value, and where asked, whether a person should decide") {
  const Folder folder;
  const auto file = folder.Write("t.csv", SmallTable());
  const auto r = Vedette(
      {"detect", file, "-a", "knn", "-f", "json", "--all-rows", "--threshold", "mad:3", "--rejection", "4", "-q"});
  INFO(r.err);
  REQUIRE(r.code == 0);
  const auto j = r.json();
  CHECK(j["threshold_rule"].get<std::string>().starts_with("mad:"));
  CHECK(j["rejection_tolerance"] == 4);
  REQUIRE(j["anomalies"].size() == 200);
  for (const auto& row : j["anomalies"]) {
    for (const char* share : {"probability", "linear_probability", "confidence", "p_value"}) {
      CHECK(row[share].get<double>() >= 0);
      CHECK(row[share].get<double>() <= 1);
    }
    CHECK(row["rejected"].is_boolean());
    CHECK(row["is_anomaly"].get<bool>() == (row["anomaly_score"].get<double>() > j["threshold"].get<double>()));
  }
  CHECK(j["anomalies"][0]["linear_probability"] == 1);  // the highest training score
  CHECK(j["anomalies"][0]["row_index"] == 100);
  const auto plain = Vedette({"detect", file, "-a", "knn", "-f", "json", "-q"}).json();
  CHECK_FALSE(plain["anomalies"][0].contains("rejected"));
  const auto csv = Vedette({"detect", file, "-a", "knn", "-f", "csv", "-q", "--rejection", "4", "--all-rows"});
  CHECK(Has(csv.out.substr(0, csv.out.find('\n')), ",confidence,linear_probability,p_value,rejected,"));
  CHECK(Has(Vedette({"detect", file, "-a", "knn", "--rejection", "4"}).out, "Better left to a person: "));
}

TEST_CASE("a false discovery rate decides about the rows of a file that a model scores") {
  const Folder folder;
  const auto file = folder.Write("t.csv", SmallTable()), model = folder.Path("m.vdt");
  REQUIRE(Vedette({"fit", file, "-a", "knn", "--model", model, "--contamination", "0.3"}).code == 0);
  const auto by_threshold = Vedette({"score", file, "--model", model, "-f", "json", "-q"}).json();
  const auto r = Vedette({"score", file, "--model", model, "-f", "json", "-q", "--false-discovery-rate", "0.9"});
  INFO(r.err);
  REQUIRE(r.code == 0);
  const auto by_rate = r.json();
  CHECK(by_rate["false_discovery_rate"] == 0.9);
  CHECK(by_rate["anomalies_found"] < by_threshold["anomalies_found"]);
  for (const auto& row : by_rate["anomalies"]) CHECK(row["severity"] != "none");
  CHECK(Vedette({"score", file, "--model", model, "--false-discovery-rate", "2"}).code != 0);
  CHECK(Vedette({"score", file, "--model", model, "--rejection", "-1"}).code != 0);
  const auto large = Vedette({"detect", file, "-a", "knn", "--sample-rows", "100", "--false-discovery-rate", "0.1"});
  CHECK(large.code != 0);
  CHECK(Has(large.err, "--sample-rows"));
}

TEST_CASE("iforest takes gaps and categories as they are, unless told otherwise") {
  const Folder folder;
  std::string text = "price,weight,colour\n";
  for (int i = 0; i < 200; ++i) {
    const std::string weight = i == 60 ? "" : std::to_string((i * 37) % 11 + 20);
    text += std::to_string((i * 53) % 17 + 10) + "," + weight + "," +
            (i == 90      ? "beige"
             : i % 2 == 0 ? "red"
                          : "green") +
            "\n";
  }
  const auto file = folder.Write("t.csv", text);
  const auto r = Vedette({"detect", file, "-a", "iforest", "-f", "json", "-q", "--contamination", "0.01"});
  INFO(r.err);
  REQUIRE(r.code == 0);
  const auto j = r.json();
  REQUIRE(j["anomalies"].size() == 2);
  for (const auto& row : j["anomalies"]) {
    const auto& feature = row["anomalous_features"][0];
    CHECK((row["row_index"] == 60 || row["row_index"] == 90));
    CHECK(feature["feature_name"] == (row["row_index"] == 60 ? "weight" : "colour"));
    if (row["row_index"] == 60) CHECK(feature["actual_value"].is_null());
    if (row["row_index"] == 90) CHECK(feature["actual_value"] == "beige");
  }
  CHECK(Vedette({"detect", file, "-a", "iforest", "--encoding", "onehot", "--imputation", "median"}).code == 0);
  const auto wrong = Vedette({"detect", file, "-a", "ecod", "--encoding", "native"});
  CHECK(wrong.code != 0);
  CHECK(Has(wrong.err, "--encoding native"));
  CHECK(Vedette({"detect", file, "-a", "ecod"}).code == 0);
  // Stored, it takes what training never had.
  const auto model = folder.Path("m.vdt");
  REQUIRE(Vedette({"fit", file, "-a", "iforest", "--model", model}).code == 0);
  const auto fresh = folder.Write("f.csv", "price,weight,colour\n,,mauve\n15,25,red\n");
  const auto scored = Vedette({"score", fresh, "--model", model, "-f", "json", "--all-rows", "-q"});
  REQUIRE(scored.code == 0);
  CHECK(scored.json()["anomalies"][0]["row_index"] == 0);
}

}  // namespace vedette::cli_test
