// What detector.h promises, tried on every algorithm of the list.
#include <atomic>
#include <numeric>
#include <set>
#include <stop_token>
#include <thread>

#include "conformance/conformance_support.h"

namespace vedette::outlier::conformance {

TEST_CASE("descriptors are complete and their defaults are valid") {
  std::set<std::string_view> names;
  const std::set<std::string_view> families = {"probabilistic", "linear", "proximity", "ensemble", "neural",
                                            "supervised"};
  CHECK(std::is_sorted(AllAlgorithms().begin(), AllAlgorithms().end(),
                       [](const Descriptor* a, const Descriptor* b) { return a->name < b->name; }));
  FOR_EACH_ALGORITHM(d) {
    CHECK(names.insert(d.name).second);
    CHECK(families.count(d.family) == 1);
    CHECK(d.summary.size() > 40);
    CHECK(d.paper.size() > 20);
    CHECK(!d.fit_cost.empty());
    CHECK(!d.score_cost.empty());
    REQUIRE(d.make != nullptr);
    REQUIRE(d.cost != nullptr);
    const auto defaults = ParamSet::Make(d.params, {});
    INFO(defaults.status());
    REQUIRE(defaults.ok());
    // The canonical form of the parameters is itself accepted, and stays as it is.
    const auto again = ParamSet::Make(d.params, defaults->Canonical());
    REQUIRE(again.ok());
    CHECK(again->Canonical() == defaults->Canonical());
    for (const ParamSpec& spec : d.params) {
      INFO(spec.name);
      CHECK(spec.summary.size() > 20);
      const std::string name(spec.name);
      std::vector<std::string> wrong = {"", "nonsense", "nan"};
      if (spec.type == ParamType::kInt || spec.type == ParamType::kReal) {
        CHECK(spec.min < spec.max);
        wrong.insert(wrong.end(), {fmt::format("{}", spec.max + std::max(1.0, std::fabs(spec.max))), "inf", "1e400", "1x"});
        wrong.push_back(fmt::format("{}", spec.min - std::max(1.0, std::fabs(spec.min))));
      }
      if (spec.type == ParamType::kInt) wrong.push_back("1.5");
      if (spec.type == ParamType::kText) wrong = {"", "two words", "\x01"};  // what a text means is checked by the fit
      for (const std::string& text : wrong) {
        INFO("'" << text << "'");
        const auto params = ParamSet::Make(d.params, {{name, text}});
        CHECK(params.status().code() == absl::StatusCode::kInvalidArgument);
        CHECK(std::string(params.status().message()).find(name) != std::string::npos);
      }
    }
    CHECK(ParamSet::Make(d.params, {{"no_such_parameter", "1"}}).status().code() == absl::StatusCode::kInvalidArgument);
  }
}

TEST_CASE("the cost of a fit is finite, and larger for more rows and more features") {
  FOR_EACH_ALGORITHM(d) {
    const auto defaults = ParamSet::Make(d.params, {});
    REQUIRE(defaults.ok());
    Cost last;
    for (const auto& [rows, features] : {std::pair<int64_t, int64_t>{1, 1}, {1000, 5}, {100000, 5}, {100000, 50}}) {
      INFO(rows << " x " << features);
      const Cost cost = d.cost(*defaults, rows, features);
      for (const double value : {cost.fit_seconds, cost.score_seconds_per_row, cost.fit_bytes, cost.model_bytes}) {
        CHECK((std::isfinite(value) && value > 0));
      }
      CHECK(cost.fit_seconds >= last.fit_seconds);
      CHECK(cost.score_seconds_per_row >= last.score_seconds_per_row);
      CHECK(cost.fit_bytes >= last.fit_bytes);
      CHECK(cost.model_bytes >= last.model_bytes);
      last = cost;
    }
  }
}

TEST_CASE("training rows score as they do as new rows, unless the algorithm says otherwise") {
  const Matrix X = Cloud(kSanitized ? 100 : 300, 3);
  FOR_EACH_ALGORITHM(d) {
    const auto detector = Fitted(d, X);
    CHECK(SameBits(Training(*detector), Scores(*detector, X)) == !d.own_training_scores);
  }
}

TEST_CASE("incremental algorithms learn from further rows, before and after loading; the others say so") {
  const Matrix X = Cloud(400, 3), more = Cloud(200, 3, 13), fresh = Cloud(50, 3, 14);
  FOR_EACH_ALGORITHM(d) {
    const auto detector = Fitted(d, X);
    if (!d.incremental) {
      CHECK(detector->Update(more, Context{}).code() == absl::StatusCode::kUnimplemented);
      continue;
    }
    ByteWriter out;
    detector->Save(out);
    const auto loaded = MakeDetector(d);
    ByteReader in(out.bytes());
    REQUIRE(loaded->Load(in).ok());
    const std::vector<double> before = Scores(*detector, fresh);
    REQUIRE(detector->Update(more, Context{}).ok());
    REQUIRE(loaded->Update(more, Context{}).ok());
    CHECK(detector->training_scores().empty());
    const std::vector<double> after = Scores(*detector, fresh);
    CHECK(AllFinite(after));
    CHECK(!SameBits(before, after));
    CHECK(SameBits(after, Scores(*loaded, fresh)));
  }
}

TEST_CASE("labels are asked for where they are needed, and refused where there are too few") {
  const Matrix X = Cloud(200, 3);
  FOR_EACH_ALGORITHM(d) {
    if (!d.needs_labels) {
      CHECK(MakeDetector(d)->FitLabelled(X, Labels(X), Context{}).code() == absl::StatusCode::kUnimplemented);
      continue;
    }
    CHECK(MakeDetector(d)->Fit(X, Context{}).code() == absl::StatusCode::kFailedPrecondition);
    const std::vector<Label> none(200, Label::kUnknown);
    CHECK(MakeDetector(d)->FitLabelled(X, none, Context{}).code() == absl::StatusCode::kInvalidArgument);
  }
}

TEST_CASE("every choice and every bound of every parameter can be fitted or is refused in words") {
  const Matrix X = Cloud(60, 3);
  FOR_EACH_ALGORITHM(d) {
    for (const ParamSpec& spec : d.params) {
      std::vector<std::string> values;
      if (spec.type == ParamType::kBool) values = {"true", "false"};
      if (spec.type == ParamType::kChoice) {
        for (size_t begin = 0; begin <= spec.choices.size();) {
          const size_t end = std::min(spec.choices.find('|', begin), spec.choices.size());
          values.emplace_back(spec.choices.substr(begin, end - begin));
          begin = end + 1;
        }
      }
      if (spec.type == ParamType::kInt || spec.type == ParamType::kReal) {
        values = {fmt::format("{}", spec.min), fmt::format("{}", std::min(spec.max, d.family == "neural" ? 100.0 : kSanitized ? 200.0 : 1000.0))};
      }
      if (spec.type == ParamType::kText) values = {std::string(spec.default_value), "nonsense", "++", ":=", "-1"};
      for (const std::string& value : values) {
        INFO(spec.name << " = " << value);
        const auto detector = MakeDetector(d, {{std::string(spec.name), value}});
        const absl::Status status = Fit(d, *detector, X);
        INFO(status);
        if (status.ok()) {
          CHECK(AllFinite(Training(*detector)));
        } else {
          const bool no_device = spec.name == "device" && value == "cuda" && absl::IsFailedPrecondition(status);
          CHECK((no_device || absl::IsInvalidArgument(status)));
          CHECK(status.message().size() > 10);
        }
      }
    }
  }
}

TEST_CASE("the same seed gives the same bits at 1, 2 and 5 threads") {
  FOR_EACH_ALGORITHM(d) {
    const Matrix X = Cloud(RowsFor(d, kSanitized ? 1200 : 2500, 5), 5), fresh = Cloud(RowsToScore(d, 700, X.rows(), 5), 5, 8);
    std::vector<double> training, scores;
    for (const int threads : {0, 1, 2, 5}) {
      if (kThreadSanitized && (threads == 1 || threads == 2)) continue;  // five see each other most
      std::unique_ptr<ThreadPool> pool;
      if (threads > 0) pool = std::make_unique<ThreadPool>(threads);
      Context ctx;
      ctx.pool = pool.get();
      const auto detector = Fitted(d, X, ctx);
      if (threads == 0) {
        training = Training(*detector);
        scores = Scores(*detector, fresh, ctx);
        continue;
      }
      CHECK(SameBits(training, Training(*detector)));
      CHECK(SameBits(scores, Scores(*detector, fresh, ctx)));
    }
  }
}

TEST_CASE("deterministic algorithms do not look at the seed, random ones repeat with it") {
  const Matrix X = Cloud(400, 4);
  FOR_EACH_ALGORITHM(d) {
    Context one, two;
    one.seed = 1;
    two.seed = 2;
    const std::vector<double> first = Training(*Fitted(d, X, one));
    CHECK(SameBits(first, Training(*Fitted(d, X, one))));
    if (d.deterministic) CHECK(SameBits(first, Training(*Fitted(d, X, two))));
  }
}

TEST_CASE("a row's score does not depend on its batch") {
  const Matrix X = Cloud(600, 6), fresh = Cloud(kSanitized ? 64 : 101, 6, 9);
  FOR_EACH_ALGORITHM(d) {
    const auto detector = Fitted(d, X);
    const std::vector<double> whole = Scores(*detector, fresh);
    std::vector<double> single;
    for (int64_t i = 0; i < fresh.rows(); ++i) single.push_back(Scores(*detector, fresh.view().Rows(i, 1))[0]);
    CHECK(SameBits(whole, single));
    const std::vector<double> tail = Scores(*detector, fresh.view().Rows(37, fresh.rows() - 37));
    CHECK(SameBits(tail, std::vector<double>(whole.begin() + 37, whole.end())));
  }
}

TEST_CASE("saved and loaded, the scores and explanations keep their bits") {
  const Matrix X = Cloud(300, 4), fresh = Cloud(50, 4, 10);
  FOR_EACH_ALGORITHM(d) {
    const auto detector = Fitted(d, X);
    ByteWriter out;
    detector->Save(out);
    const auto loaded = MakeDetector(d);
    ByteReader in(out.bytes());
    REQUIRE(loaded->Load(in).ok());
    CHECK(in.Finish().ok());
    CHECK(loaded->features() == 4);
    CHECK(loaded->training_scores().empty());
    CHECK(SameBits(Scores(*detector, fresh), Scores(*loaded, fresh)));
    ByteWriter again;
    loaded->Save(again);
    CHECK(again.bytes() == out.bytes());
    if (!d.explains) continue;
    const auto a = detector->Explain(fresh, Context{}), b = loaded->Explain(fresh, Context{});
    REQUIRE((a.ok() && b.ok()));
    for (int64_t j = 0; j < 4; ++j) {
      CHECK(std::equal(a->contributions.col(j).begin(), a->contributions.col(j).end(), b->contributions.col(j).begin()));
    }
  }
}

TEST_CASE("a planted far outlier stands out, in training and when new") {
  Matrix X = Cloud(300, 3);
  Matrix far(1, 3);
  for (int64_t j = 0; j < 3; ++j) {
    // Far on every column, against the correlation, yet not so far that a histogram puts everything else in one bin.
    far(0, j) = X(17, j) = (j == 1 ? -9 : 9) * std::pow(10.0, static_cast<double>(j));
  }
  const Matrix clean = Cloud(300, 3);
  FOR_EACH_ALGORITHM(d) {
    std::vector<double> scores = Training(*Fitted(d, X));
    const double planted = scores[17];
    std::nth_element(scores.begin(), scores.begin() + 150, scores.end());
    CHECK(planted > scores[150]);
    CHECK(std::count_if(scores.begin(), scores.end(), [&](double s) { return s > planted; }) <= 3);
    const auto detector = Fitted(d, clean);
    std::vector<double> normal = Training(*detector);
    std::sort(normal.begin(), normal.end());
    CHECK(Scores(*detector, far)[0] > normal[285]);
  }
}

TEST_CASE("permuted rows have permuted scores (deterministic algorithms)") {
  const int64_t n = 101;
  const Matrix X = Cloud(n, 4), fresh = Cloud(40, 4, 11);
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), int64_t{0});
  Rng(3).Shuffle(order);
  Matrix shuffled(n, 4);
  for (int64_t j = 0; j < 4; ++j) {
    for (int64_t i = 0; i < n; ++i) shuffled(i, j) = X(order[static_cast<size_t>(i)], j);
  }
  FOR_EACH_ALGORITHM(d) {
    if (!d.deterministic) continue;
    const auto one = Fitted(d, X), two = Fitted(d, shuffled);
    for (size_t i = 0; i < order.size(); ++i) {
      CHECK(two->training_scores()[i] == Approx(one->training_scores()[static_cast<size_t>(order[i])]).epsilon(1e-9).margin(1e-12));
    }
    const std::vector<double> a = Scores(*one, fresh), b = Scores(*two, fresh);
    for (size_t i = 0; i < a.size(); ++i) CHECK(b[i] == Approx(a[i]).epsilon(1e-9).margin(1e-12));
  }
}

TEST_CASE("a cancelled or late computation says so") {
  const Matrix X = Cloud(600, 4);
  FOR_EACH_ALGORITHM(d) {
    std::stop_source stop;
    stop.request_stop();
    Context cancelled;
    cancelled.stop = stop.get_token();
    Context late;
    late.deadline = absl::Now() - absl::Seconds(1);
    CHECK(Fit(d, *MakeDetector(d), X, cancelled).code() == absl::StatusCode::kCancelled);
    CHECK(Fit(d, *MakeDetector(d), X, late).code() == absl::StatusCode::kDeadlineExceeded);
    const auto detector = Fitted(d, X);
    std::vector<double> scores(600);
    CHECK(detector->Score(X, scores, cancelled).code() == absl::StatusCode::kCancelled);
    CHECK(detector->Score(X, scores, late).code() == absl::StatusCode::kDeadlineExceeded);
    if (d.explains) {
      CHECK(detector->Explain(X, cancelled).status().code() == absl::StatusCode::kCancelled);
      CHECK(detector->Explain(X.view().Rows(0, 1), cancelled).status().code() == absl::StatusCode::kCancelled);
    }
    if (d.incremental) CHECK(detector->Update(X, cancelled).code() == absl::StatusCode::kCancelled);
  }
}

TEST_CASE("a computation that is stopped on its way says so, or was done") {
  const Matrix X = Cloud(kThreadSanitized ? 150 : 600, 4);
  ThreadPool pool(2);
  const auto stopped = [&](int64_t turns, const auto& work) {
    std::stop_source stop;
    Context ctx;
    ctx.pool = &pool;
    ctx.stop = stop.get_token();
    std::atomic<bool> running{false};
    std::thread other([&] {
      running.wait(false);
      for (std::atomic<int64_t> turn = 0; turn < turns; ++turn) continue;
      stop.request_stop();
    });
    running = true;
    running.notify_one();
    const absl::Status status = work(ctx);
    other.join();
    return status.ok() || absl::IsCancelled(status);
  };
  FOR_EACH_ALGORITHM(d) {
    const auto detector = Fitted(d, X);
    std::vector<double> scores(static_cast<size_t>(X.rows()));
    for (int64_t turns = 1; turns < 1000000; turns *= kThreadSanitized ? 100 : 10) {
      CHECK(stopped(turns, [&](const Context& ctx) { return Fit(d, *MakeDetector(d), X, ctx); }));
      CHECK(stopped(turns, [&](const Context& ctx) { return detector->Score(X, scores, ctx); }));
    }
  }
}

TEST_CASE("explanations have the right shape, are finite, and add up where they say so") {
  const Matrix X = Cloud(400, 5), fresh = Cloud(60, 5, 12);
  FOR_EACH_ALGORITHM(d) {
    const auto detector = Fitted(d, X);
    const auto a = detector->Explain(fresh, Context{});
    if (!d.explains) {
      CHECK(a.status().code() == absl::StatusCode::kUnimplemented);
      continue;
    }
    INFO(a.status());
    REQUIRE(a.ok());
    CHECK(!a->space.empty());
    REQUIRE((a->contributions.rows() == 60 && a->contributions.cols() == 5));
    REQUIRE(((a->expected.rows() == 60 || a->expected.rows() == 1) && a->expected.cols() == 5));
    const std::vector<double> scores = Scores(*detector, fresh);
    for (int64_t i = 0; i < 60; ++i) {
      double sum = 0;
      for (int64_t j = 0; j < 5; ++j) {
        CHECK(std::isfinite(a->contributions(i, j)));
        CHECK(std::isfinite(a->Expected(i, j)));
        sum += a->contributions(i, j);
      }
      if (a->space == "score") CHECK(sum == Approx(scores[static_cast<size_t>(i)]).epsilon(1e-9));
    }
  }
}

TEST_CASE("explanations have the same bits alone, among others, and on several threads") {
  const Matrix X = Cloud(kSanitized ? 60 : 200, 5), fresh = Cloud(70, 5, 12);
  ThreadPool pool(3);
  FOR_EACH_ALGORITHM(d) {
    if (!d.explains) continue;
    const auto detector = Fitted(d, X);
    const auto all = detector->Explain(fresh, Context{}), threads = detector->Explain(fresh, Context{.pool = &pool});
    REQUIRE((all.ok() && threads.ok()));
    const auto differ = [&](const Attribution& a, int64_t first, int64_t rows) {
      int64_t cells = 0;
      for (int64_t i = 0; i < rows; ++i) {
        for (int64_t j = 0; j < 5; ++j) {
          cells += a.contributions(i, j) != all->contributions(first + i, j) ? 1 : 0;
          cells += a.Expected(i, j) != all->Expected(first + i, j) ? 1 : 0;
        }
      }
      return cells;
    };
    CHECK(differ(*threads, 0, 70) == 0);
    for (const auto& [first, rows] : {std::pair<int64_t, int64_t>(0, 1), {17, 1}, {3, 4}, {5, 19}, {20, 50}}) {
      const auto some = detector->Explain(fresh.view().Rows(first, rows), Context{});
      REQUIRE(some.ok());
      CHECK(differ(*some, first, rows) == 0);
    }
  }
}

TEST_CASE("scores that come with explanations have the bits of scores: new rows, training rows, rows that tie") {
  const Matrix X = Cloud(kSanitized ? 60 : 200, 5);
  Matrix grid = X;
  for (int64_t j = 0; j < grid.cols(); ++j) {
    for (double& x : grid.col(j)) x = std::round(x);
  }
  FOR_EACH_ALGORITHM(d) {
    if (!d.explains) continue;
    for (const Matrix& fitted : {X, grid}) {
      const auto detector = Fitted(d, fitted);
      for (const Matrix& asked : {Cloud(33, 5, 12), fitted}) {
        const auto a = detector->Explain(asked, Context{});
        REQUIRE(a.ok());
        if (!a->scores.empty()) CHECK((a->scores == Scores(*detector, asked)));
      }
    }
  }
}

TEST_CASE("a value that is odd in one column only is blamed on that column") {
  const Matrix X = Cloud(500, 5, 7, 1);  // all columns of one scale: some algorithms work in the units they are given
  Matrix odd(5, 5);                      // row k: typical values but in column k
  for (int64_t k = 0; k < 5; ++k) odd(k, k) = 8;
  FOR_EACH_ALGORITHM(d) {
    if (!d.explains) continue;
    const auto a = Fitted(d, X)->Explain(odd, Context{});
    REQUIRE(a.ok());
    for (int64_t k = 0; k < 5; ++k) {
      int64_t most = 0;
      for (int64_t j = 1; j < 5; ++j) {
        if (a->contributions(k, j) > a->contributions(k, most)) most = j;
      }
      INFO("row " << k);
      CHECK(most == k);
    }
  }
}

}  // namespace vedette::outlier::conformance
