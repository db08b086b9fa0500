#include <catch2/catch.hpp>
#include <map>
#include <thread>

#include "base/hash.h"
#include "base/status.h"
#include "services/model-cache/core/cache.h"

namespace vedette::model_cache {
namespace {

/// One key, in memory.
class FakeStore final : public ModelStore {
 public:
  absl::StatusOr<Acquired> Acquire(const std::string&, const ModelKey&, absl::Duration) override {
    const std::lock_guard lock(mutex);
    if (model) return Acquired(*model);
    if (leased) return Acquired(std::monostate());
    leased = true;
    return Acquired(Lease{.id = "l", .key_hash = "k", .expire_time = {}});
  }
  absl::StatusOr<Lease> Renew(const std::string&, const std::string&, absl::Duration) override { return absl::AbortedError("lost"); }
  absl::Status Release(const std::string&, const std::string&) override {
    const std::lock_guard lock(mutex);
    leased = false;
    return absl::OkStatus();
  }
  absl::StatusOr<Model> Commit(const std::string&, const std::string&, const Model& m) override {
    const std::lock_guard lock(mutex);
    if (!leased) return absl::AbortedError("lost");
    leased = false;
    model = m;
    return m;
  }
  absl::StatusOr<Model> Get(const std::string&, const std::string&) override { return NotFound("none"); }
  absl::StatusOr<std::vector<Model>> List(const std::string&, const Listing&) override { return std::vector<Model>{}; }
  absl::StatusOr<Model> Invalidate(const std::string&, const std::string&, const std::string&) override { return NotFound("none"); }
  absl::StatusOr<Statistics> Statistics7Days(const std::string&) override { return Statistics{}; }
  absl::Status Expire() override { return absl::OkStatus(); }

  std::mutex mutex;
  std::optional<Model> model;
  bool leased = false;
};

class FakeBytes final : public ModelBytes {
 public:
  class FakeWriter final : public Writer {
   public:
    FakeWriter(FakeBytes* owner, std::string id) : owner_(owner), id_(std::move(id)) {}
    absl::Status Write(std::string_view bytes) override {
      text_ += bytes;
      return absl::OkStatus();
    }
    absl::Status Commit() override {
      owner_->all[id_] = text_;
      return absl::OkStatus();
    }

   private:
    FakeBytes* owner_;
    std::string id_, text_;
  };
  absl::StatusOr<std::unique_ptr<Writer>> Open(const std::string&, const std::string& id) override {
    return std::make_unique<FakeWriter>(this, id);
  }
  absl::StatusOr<std::shared_ptr<const std::string>> Get(const std::string&, const std::string& id) override {
    return std::make_shared<const std::string>(all[id]);
  }
  absl::Status Delete(const std::string&, const std::string& id) override {
    all.erase(id);
    return absl::OkStatus();
  }
  std::map<std::string, std::string> all;
};

std::function<std::optional<std::string_view>()> Parts(std::vector<std::string_view> parts) {
  return [parts = std::move(parts), i = size_t{0}]() mutable -> std::optional<std::string_view> {
    if (i == parts.size()) return std::nullopt;
    return parts[i++];
  };
}

const ModelKey kKey{.subject = "datasets/d", .metric = {}, .schema = {"a:numeric"}, .algorithm = "iforest", .parameters = {}, .feature_set = "f"};

}  // namespace

TEST_CASE("the key is the same for the same things, and the tenant is part of it") {
  ModelKey other = kKey;
  other.parameters = {{"b", "2"}, {"a", "1"}};
  ModelKey same = kKey;
  same.parameters = {{"a", "1"}, {"b", "2"}};
  CHECK(KeyHash("t", other) == KeyHash("t", same));
  CHECK(KeyHash("t", kKey) != KeyHash("u", kKey));
  CHECK(KeyHash("t", kKey) != KeyHash("t", other));
  CHECK(CanonicalJson("t", kKey).starts_with(R"({"tenant":"t","algorithm":"iforest")"));
  const ModelKey read = ParseCanonicalJson(CanonicalJson("t", other));
  CHECK(CanonicalJson("t", read) == CanonicalJson("t", other));
}

TEST_CASE("one caller trains while the others wait for its model") {
  FakeStore store;
  FakeBytes bytes;
  Cache cache(&store, &bytes, {}, Clock::System());
  const auto first = cache.Acquire("t", kKey, absl::Now(), {});
  REQUIRE(first.ok());
  REQUIRE(std::holds_alternative<Lease>(*first));
  std::atomic<bool> got{false};
  std::thread waiter([&] {
    const auto second = cache.Acquire("t", kKey, absl::Now() + absl::Seconds(30), {});
    got = second.ok() && std::holds_alternative<Model>(*second);
  });
  const std::string text = "model bytes";
  const auto stored = cache.Store("t", {.lease_id = "l", .sha256 = Sha256Hex(text), .size_bytes = 11, .training_rows = 5, .training_seconds = 1, .ttl = {}},
                                  Parts({"model ", "bytes"}));
  REQUIRE(stored.ok());
  waiter.join();
  CHECK(got);
  CHECK(bytes.all.at(stored->id) == text);
}

TEST_CASE("a caller that may not wait is told that somebody trains") {
  FakeStore store;
  FakeBytes bytes;
  Cache cache(&store, &bytes, {}, Clock::System());
  REQUIRE(cache.Acquire("t", kKey, absl::Now(), {}).ok());
  const auto second = cache.Acquire("t", kKey, absl::Now(), {});
  REQUIRE(second.ok());
  CHECK(std::holds_alternative<std::monostate>(*second));
}

TEST_CASE("bytes that are not what was promised, or come too late, leave nothing behind") {
  FakeStore store;
  FakeBytes bytes;
  Cache cache(&store, &bytes, {}, Clock::System());
  const Upload upload{.lease_id = "l", .sha256 = Sha256Hex("abc"), .size_bytes = 3, .training_rows = 1, .training_seconds = 0, .ttl = {}};
  REQUIRE(cache.Acquire("t", kKey, absl::Now(), {}).ok());
  CHECK(cache.Store("t", upload, Parts({"abd"})).status().code() == absl::StatusCode::kDataLoss);
  CHECK(cache.Store("t", upload, Parts({"ab"})).status().code() == absl::StatusCode::kDataLoss);
  CHECK(cache.Store("t", upload, Parts({"abc", "d"})).status().code() == absl::StatusCode::kDataLoss);
  REQUIRE(cache.Release("t", "l").ok());
  CHECK(cache.Store("t", upload, Parts({"abc"})).status().code() == absl::StatusCode::kAborted);
  CHECK(bytes.all.empty());
}

}  // namespace vedette::model_cache
