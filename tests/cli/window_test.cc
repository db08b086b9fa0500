// --window: rows together with those before them, from the command line.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <numbers>
#include <set>

#include "cli/program.h"

namespace vedette::cli_test {
namespace {

bool Says(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

/// Temperature and pressure that swing, 24 rows a turn. In the broken rows the temperature is one of another time of
/// the turn.
std::string Swing(int rows, const std::set<int>& broken) {
  std::string text = "temperature,pressure,mode\n";
  for (int i = 0; i < rows; ++i) {
    const double turn = 2 * std::numbers::pi * i / 24, other = broken.contains(i) ? std::numbers::pi : 0;
    const double jitter = (i * 7919 % 101) / 1000.0;
    text += fmt::format("{:.3f},{:.3f},{}\n", 20 + 5 * std::sin(turn + 0.4 + other) + jitter,
                        100 + 8 * std::cos(turn) - jitter, i % 24 < 12 ? "day" : "night");
  }
  return text;
}

const std::set<int> kBroken = {100, 211, 328};

}  // namespace

TEST_CASE("detect --window finds a value that does not follow from those before it, and names its row") {
  const Folder folder;
  const std::string file = folder.Write("s.csv", Swing(500, kBroken));
  const auto r = Vedette({"detect", file, "-a", "knn", "--window", "4", "--contamination", "0.03", "-f", "json", "-q"});
  INFO(r.err);
  REQUIRE(r.code == 0);
  const auto json = r.json();
  CHECK(json["window"] == 4);
  int named = 0;
  for (const auto& a : json["anomalies"]) {
    const int row = a["row_index"];
    const auto& top = a["anomalous_features"][0];
    if (!kBroken.contains(row - top["lag"].get<int>())) continue;
    ++named;
    CHECK(top["feature_name"] == "temperature");
    if (top["lag"] == 2) CHECK(Says(a["explanation"], "temperature 2 rows before is "));
  }
  CHECK(named >= 11);  // of 12: three broken rows, each in four windows
  CHECK(json["anomalies"].size() <= 15);

  const auto text = Vedette({"detect", file, "-a", "knn", "--window", "4", "--contamination", "0.03"});
  CHECK(Says(text.out, "Window: each row with the 3 rows before it"));
  CHECK(Says(text.out, "temperature 3 rows before: "));
  const auto csv =
      Vedette({"detect", file, "-a", "knn", "--window", "4", "--contamination", "0.03", "-f", "csv", "-q"});
  CHECK(Says(csv.out, "contribution_1,lag_1,feature_2"));
  CHECK_FALSE(Says(Vedette({"detect", file, "-a", "knn", "-f", "csv", "-q"}).out, "lag_1"));
  // Without a window these rows are like any other.
  const auto alone = Vedette({"detect", file, "-a", "iforest", "--contamination", "0.03", "-f", "json", "-q"}).json();
  CHECK(alone["window"] == 1);
  CHECK(alone["anomalies"][0]["anomalous_features"][0]["lag"] == 0);
  CHECK(Vedette({"detect", file, "-a", "knn", "-q"}).out ==
        Vedette({"detect", file, "-a", "knn", "-q", "--window", "1"}).out);
}

TEST_CASE("a stored model has its window; a file scored in pieces gives the same scores") {
  const Folder folder;
  const std::string usual = folder.Write("usual.csv", Swing(400, {})),
                    file = folder.Write("s.csv", Swing(5000, kBroken));
  const std::string model = folder.Path("m.vdt");
  REQUIRE(Vedette({"fit", usual, "-a", "knn", "--window", "4", "--model", model}).code == 0);
  const std::vector<std::string> score = {"score", file, "--model", model, "-f", "csv", "--all-rows", "-q"};
  std::vector<std::string> pieces = score;
  pieces.insert(pieces.end(), {"--sample-rows", "100"});
  const auto whole = Vedette(score), cut = Vedette(pieces);
  INFO(whole.err << cut.err);
  REQUIRE(whole.code == 0);
  REQUIRE(cut.code == 0);
  const auto rows = [](const std::string& text) {
    std::multiset<std::string> out;
    for (size_t begin = 0, end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1)
      out.insert(text.substr(begin, end - begin));
    return out;
  };
  CHECK(rows(whole.out) == rows(cut.out));
  CHECK(rows(whole.out).size() == 5001);
  std::vector<std::string> few = pieces;
  few.insert(few.end(), {"--limit", "7"});
  const auto highest = rows(Vedette(few).out), all = rows(whole.out);
  CHECK(highest.size() == 8);
  for (const auto& line : highest) CHECK(all.contains(line));
  // One row: from memory and from the file, by the stored window.
  const std::vector<std::string> explain = {"explain", file, "--model", model, "--row", "213", "-q"};
  std::vector<std::string> found = explain;
  found.insert(found.end(), {"--sample-rows", "100"});
  const auto a = Vedette(explain), b = Vedette(found);
  INFO(a.out << a.err);
  CHECK(a.code == 0);
  CHECK(a.out == b.out);
  CHECK(Says(a.out, "temperature 2 rows before is "));
  CHECK(Says(a.out, "temperature[-2] "));
  CHECK(Says(a.out, "Over all rows: temperature "));
  CHECK(Says(a.out, "stay as they are"));
  std::vector<std::string> twice = explain;
  twice.insert(twice.end(), {"--window", "3"});
  const auto refused = Vedette(twice);
  CHECK(refused.code == 2);
  CHECK(Says(refused.err, "a stored model has its window"));
}

TEST_CASE("explain --window: a part for each column and row of the window, in every format") {
  const Folder folder;
  const std::string file = folder.Write("s.csv", Swing(500, kBroken));
  for (const char* method : {"native", "kernel_shap"}) {
    const auto r = Vedette(
        {"explain", file, "--row", "101", "-a", "knn", "--window", "3", "--method", method, "-f", "json", "-q"});
    INFO(r.err);
    REQUIRE(r.code == 0);
    const auto json = r.json();
    CHECK(json["window"] == 3);
    REQUIRE(json["contributions"].size() == 9);
    CHECK(json["contributions"][0]["feature_name"] == "temperature");
    CHECK(json["contributions"][0]["lag"] == 1);
    CHECK(json["raw_data"]["mode"] == "day");
  }
  const auto first = Vedette({"explain", file, "--row", "0", "-a", "knn", "--window", "3", "-f", "json", "-q"}).json();
  for (const auto& c : first["contributions"])
    CHECK(c["actual_value"] == first["raw_data"][c["feature_name"].get<std::string>()]);
}

TEST_CASE("a file that does not fit is fitted on drawn rows, each with those before it") {
  const Folder folder;
  const std::string file = folder.Write("s.csv", Swing(6000, kBroken));
  const std::vector<std::string> args = {"detect", file, "-a",   "knn", "--window", "4", "--sample-rows",
                                         "2000",   "-f", "json", "-q",  "--limit",  "16"};
  const auto r = Vedette(args);
  INFO(r.err);
  REQUIRE(r.code == 0);
  const auto json = r.json();
  CHECK(json["sampled"] == true);
  CHECK(json["training_rows"] == 2000);
  int named = 0;
  for (const auto& a : json["anomalies"]) {
    const auto& top = a["anomalous_features"][0];
    named += kBroken.contains(a["row_index"].get<int>() - top["lag"].get<int>());
  }
  CHECK(named >= 11);
  CHECK(Vedette(args).out == r.out);
}

TEST_CASE("a sample with windows has as many rows as were asked for, or as memory holds windows of") {
  const Folder folder;
  const auto rows = [&](int count, int columns, std::vector<std::string> more) {
    std::string text;
    for (int j = 0; j < columns; ++j) text += fmt::format("{}c{}", j == 0 ? "" : ",", j);
    for (int i = 0; i < count; ++i)
      for (int j = 0; j < columns; ++j) text += fmt::format("{}{}", j == 0 ? '\n' : ',', (i * 7919 + j * 101) % 997);
    more.insert(more.begin(), {"detect", folder.Write("t.csv", text + "\n"), "-a", "hbos", "-f", "json", "-n", "1"});
    return Vedette(more);
  };
  const auto fitted = [](const Outcome& r) {
    INFO(r.err);
    REQUIRE(r.code == 0);
    return r.json()["training_rows"].get<int>();
  };
  const Outcome asked = rows(2000, 2, {"--sample-rows", "500", "--window", "600"});
  CHECK(fitted(asked) == 500);
  CHECK(asked.err.empty());
  // 16 MiB hold 209,715 rows of 10 numbers: a file of 696 with its windows, and as many rows of one that is a bit
  // larger.
  const std::vector<std::string> little = {"--window", "100", "--memory-limit", "16"};
  CHECK(rows(696, 10, little).json()["sampled"] == false);
  const Outcome more = rows(697, 10, little);
  CHECK(more.json()["sampled"] == true);
  CHECK(fitted(more) == 696);
  CHECK(more.err.empty());
  CHECK(fitted(rows(3000, 10, little)) == 689);

  const Outcome fewer = rows(1500, 10, {"--window", "100", "--memory-limit", "16", "--sample-rows", "1000"});
  CHECK(fitted(fewer) == 694);
  CHECK(Says(fewer.err,
             "fitted on 694 rows, not 1000: --memory-limit leaves room for no more with a window of 100; raise"));
  const Outcome few = rows(300, 10, {"--window", "1000", "--memory-limit", "16"});
  CHECK(fitted(few) == 69);
  CHECK(Says(few.err, "fitted on 69 rows: --memory-limit leaves room for no more with a window of 1000; raise"));
  const Outcome none = rows(50, 200, {"--window", "500", "--memory-limit", "16"});
  CHECK(none.code == 1);
  CHECK(Says(none.err,
             "--memory-limit leaves room to fit on 6 of its 50 rows with a window of 500; raise it, or take a smaller "
             "--window"));
}

TEST_CASE("more rows to sort than are held: the limit that was given is too large, or none was given") {
  const Folder folder;
  const std::string file = folder.Write("s.csv", Swing(1500, {})), model = folder.Path("m.vdt");
  REQUIRE(Vedette({"fit", folder.Write("f.csv", Swing(200, {})), "-a", "hbos", "-x", "pressure,mode", "--window",
                   "1000", "--model", model})
              .code == 0);
  const auto score = [&](const char* limit) {
    return Vedette({"score", file, "--model", model, "--sample-rows", "100", "--all-rows", "--limit", limit, "-q"});
  };
  const auto large = score("1200"), unlimited = score("0");
  CHECK(large.code == 1);
  CHECK(Says(large.err, "more than 1000 rows to sort, each with the 999 before it: use a smaller --limit, or"));
  CHECK(unlimited.code == 1);
  CHECK(Says(unlimited.err, "use --limit, or"));
  CHECK(score("1000").code == 0);
  // Nothing is fitted, so that no note speaks of how many rows there was room for.
  const std::vector<std::string> little = {"--model", model, "--memory-limit", "16", "--sample-rows", "1000"};
  for (std::vector<std::string> args : {std::vector<std::string>{"score", file}, {"explain", file, "--row", "7"}}) {
    args.insert(args.end(), little.begin(), little.end());
    const auto r = Vedette(args);
    CHECK(r.code == 0);
    CHECK_FALSE(Says(r.err, "fitted on"));
  }
}

TEST_CASE("windows out of range are refused with the range") {
  const Folder folder;
  const std::string file = folder.Write("s.csv", Swing(60, {}));
  for (const char* window : {"0", "-1", "1001", "1000000000", "99999999999999999999", "x", "2.5", ""}) {
    CAPTURE(window);
    for (const char* command : {"detect", "evaluate", "fit", "explain"}) {
      const auto r = Vedette({command, file, "--window", window});
      CHECK(r.code == 2);
      CHECK(Says(r.err, "--window"));
    }
  }
  std::string wide;
  for (int j = 0; j < 30; ++j) wide += fmt::format("{}c{}", j == 0 ? "" : ",", j);
  wide += "\n";
  for (int i = 0; i < 9; ++i) {
    for (int j = 0; j < 30; ++j) wide += fmt::format("{}{}", j == 0 ? "" : ",", (i * 31 + j * 17) % 23 + 0.5);
    wide += "\n";
  }
  const auto r = Vedette({"detect", folder.Write("wide.csv", wide), "--window", "1000"});
  CHECK(r.code == 1);
  CHECK(Says(r.err, "a window of 1000 rows of 30 features makes 30000 features; there may be 20000"));
}

TEST_CASE("evaluate --window measures with windows") {
  const Folder folder;
  std::string text = Swing(500, kBroken);
  std::string labelled;
  int row = -1;
  for (size_t begin = 0, end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1, ++row) {
    labelled += text.substr(begin, end - begin) + (row < 0 ? ",odd" : kBroken.contains(row) ? ",1" : ",0") + "\n";
  }
  const std::string file = folder.Write("l.csv", labelled);
  const auto auc = [&](const char* window) {
    const auto r = Vedette({"evaluate", file, "--label", "odd", "-a", "knn", "--scaling", "standard", "-x",
                            "pressure,mode", "--window", window, "-f", "json", "-q"});
    INFO(r.err);
    REQUIRE(r.code == 0);
    return r.json()[0];
  };
  CHECK(auc("1")["features"] == 1);
  CHECK(auc("3")["features"] == 3);
  CHECK(auc("3")["roc_auc"].get<double>() > auc("1")["roc_auc"].get<double>());
  CHECK(auc("3")["roc_auc"].get<double>() > 0.95);
}

}  // namespace vedette::cli_test
