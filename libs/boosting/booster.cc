#include "boosting/booster.h"

#include <dlfcn.h>
#include <xgboost/c_api.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <future>
#include <limits>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "base/status.h"

namespace vedette::boosting {
namespace {

using Json = nlohmann::json;

constexpr const char* kFileName = "libxgboost.so.0";
constexpr int64_t kExactRows = 50000;

/// The functions that are used. The library stays loaded: it is asked for by fits only, and costs each process that
/// starts with it 4 ms.
struct Library {
  decltype(&XGBGetLastError) last_error = nullptr;
  decltype(&XGDMatrixCreateFromMat) matrix_create = nullptr;
  decltype(&XGDMatrixSetFloatInfo) matrix_set = nullptr;
  decltype(&XGDMatrixFree) matrix_free = nullptr;
  decltype(&XGBoosterCreate) create = nullptr;
  decltype(&XGBoosterFree) free = nullptr;
  decltype(&XGBoosterSetParam) set_param = nullptr;
  decltype(&XGBoosterUpdateOneIter) update = nullptr;
  decltype(&XGBoosterSaveModelToBuffer) save = nullptr;

  absl::Status Check(int code) const {
    return code == 0 ? absl::OkStatus() : Internal("libxgboost: {}", std::string(last_error()).substr(0, 500));
  }
};

template <typename Function>
void Find(void* handle, const char* name, Function* function, std::string* missing) {
  *function = reinterpret_cast<Function>(dlsym(handle, name));
  if (*function == nullptr) *missing += fmt::format(" {}", name);
}

absl::StatusOr<Library> Open() {
  void* handle = dlopen(kFileName, RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    return FailedPrecondition(
        "{} cannot be loaded; fitting needs it (Debian's package libxgboost0), scoring a fitted model does not",
        kFileName);
  }
  Library lib;
  std::string missing;
  Find(handle, "XGBGetLastError", &lib.last_error, &missing);
  Find(handle, "XGDMatrixCreateFromMat", &lib.matrix_create, &missing);
  Find(handle, "XGDMatrixSetFloatInfo", &lib.matrix_set, &missing);
  Find(handle, "XGDMatrixFree", &lib.matrix_free, &missing);
  Find(handle, "XGBoosterCreate", &lib.create, &missing);
  Find(handle, "XGBoosterFree", &lib.free, &missing);
  Find(handle, "XGBoosterSetParam", &lib.set_param, &missing);
  Find(handle, "XGBoosterUpdateOneIter", &lib.update, &missing);
  Find(handle, "XGBoosterSaveModelToBuffer", &lib.save, &missing);
  if (!missing.empty()) return FailedPrecondition("{} is too old, it lacks{}", kFileName, missing);
  return lib;
}

const absl::StatusOr<Library>& TheLibrary() {
  static const absl::StatusOr<Library> library = Open();
  return library;
}

/// Owns a handle of the library.
class Handle {
 public:
  explicit Handle(int (*free)(void*)) : free_(free) {}
  ~Handle() {
    if (handle_ != nullptr) free_(handle_);
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  void** address() { return &handle_; }
  void* get() const { return handle_; }

 private:
  int (*free_)(void*);
  void* handle_ = nullptr;
};

absl::Status Configure(const Library& lib, void* booster, int64_t rows, const BoosterOptions& o, uint64_t seed) {
  const std::pair<const char*, std::string> params[] = {
      {"verbosity", "0"},
      {"nthread", "1"},
      {"booster", "gbtree"},
      {"objective", "binary:logistic"},
      {"base_score", "0.5"},
      {"tree_method", rows <= kExactRows ? "exact" : "hist"},
      {"max_depth", fmt::format("{}", o.depth)},
      {"eta", fmt::format("{}", o.learning_rate)},
      {"min_child_weight", fmt::format("{}", o.min_child_weight)},
      {"lambda", fmt::format("{}", o.reg_lambda)},
      {"subsample", fmt::format("{}", o.subsample)},
      {"scale_pos_weight", fmt::format("{}", o.positive_weight)},
      {"seed", fmt::format("{}", seed % 2147483647)},
      {"seed_per_iteration", "1"},
  };
  for (const auto& [name, value] : params) RETURN_IF_ERROR(lib.Check(lib.set_param(booster, name, value.c_str())));
  return absl::OkStatus();
}

/// One tree of the library's JSON, nodes that pruning cut off left out.
BoostedTree TreeOf(const Json& json) {
  const auto left = json.at("left_children").get<std::vector<int32_t>>(),
             right = json.at("right_children").get<std::vector<int32_t>>();
  const auto feature = json.at("split_indices").get<std::vector<int32_t>>();
  const auto value = json.at("split_conditions").get<std::vector<float>>(),
             cover = json.at("sum_hessian").get<std::vector<float>>();
  BoostedTree out;
  std::vector<size_t> open = {0};
  while (!open.empty() && out.feature.size() <= left.size()) {
    const size_t node = open.back();
    open.pop_back();
    const bool leaf = left.at(node) < 0;
    out.feature.push_back(leaf ? -1 : feature.at(node));
    out.value.push_back(value.at(node));
    out.cover.push_back(cover.at(node));
    if (leaf) continue;
    open.push_back(static_cast<size_t>(right.at(node)));
    open.push_back(static_cast<size_t>(left.at(node)));
  }
  return out;
}

absl::StatusOr<BoostedTrees> TreesOf(std::string_view text, int64_t features) {
  BoostedTrees out;
  try {
    const Json json = Json::parse(text);
    for (const Json& tree : json.at("learner").at("gradient_booster").at("model").at("trees")) {
      if (!out.Add(TreeOf(tree), features))
        return absl::InternalError("libxgboost: a tree is not whole, or not finite");
    }
  } catch (const std::exception& e) {
    return Internal("libxgboost: its model is not as expected: {}", e.what());
  }
  if (out.size() == 0) return absl::InternalError("libxgboost grew no tree");
  return out;
}

/// All that the library reads while it learns. It cannot be told to stop, and the first round over many rows takes
/// seconds; so it learns on a thread of its own, which goes on to the end of its round when the caller has left.
struct Training {
  std::vector<float> rows, labels;
  int64_t features = 0;
  BoosterOptions options;
  uint64_t seed = 0;
  std::atomic<bool> stop{false};
  std::atomic<int64_t> rounds{0};
};
using Learned = absl::StatusOr<BoostedTrees>;

Learned Learn(const Library& lib, Training& t) {
  Handle matrix(lib.matrix_free), booster(lib.free);
  const auto n = static_cast<int64_t>(t.labels.size());
  RETURN_IF_ERROR(
      lib.Check(lib.matrix_create(t.rows.data(), static_cast<bst_ulong>(n), static_cast<bst_ulong>(t.features),
                                  std::numeric_limits<float>::quiet_NaN(), matrix.address())));
  t.rows = {};  // the library has a copy
  RETURN_IF_ERROR(lib.Check(lib.matrix_set(matrix.get(), "label", t.labels.data(), static_cast<bst_ulong>(n))));
  void* const training = matrix.get();
  RETURN_IF_ERROR(lib.Check(lib.create(&training, 1, booster.address())));
  RETURN_IF_ERROR(Configure(lib, booster.get(), n, t.options, t.seed));
  for (int64_t round = 0; round < t.options.trees; ++round) {
    if (t.stop) return absl::CancelledError("cancelled");
    RETURN_IF_ERROR(lib.Check(lib.update(booster.get(), static_cast<int>(round), matrix.get())));
    t.rounds = round + 1;
  }
  bst_ulong size = 0;
  const char* bytes = nullptr;
  RETURN_IF_ERROR(lib.Check(lib.save(booster.get(), R"({"format": "json"})", &size, &bytes)));
  return TreesOf({bytes, size}, t.features);
}

/// Those whose callers have left. Waited for when the program ends: the library must not be taken down under them.
class LeftBehind {
 public:
  static LeftBehind& Instance() {
    static LeftBehind instance;
    return instance;
  }
  void Add(std::future<Learned> learning) {
    const std::lock_guard<std::mutex> lock(mutex_);
    learning_.push_back(std::move(learning));
  }
  /// Each holds its rows until its round ends: RESOURCE_EXHAUSTED when there are kMost.
  absl::Status CheckRoom() {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::erase_if(learning_, [](const auto& l) { return l.wait_for(kNow) == std::future_status::ready; });
    if (learning_.size() < kMost) return absl::OkStatus();
    return ResourceExhausted("{} fits that were stopped are still at their last round of trees, try again in some seconds",
                             learning_.size());
  }

 private:
  static constexpr size_t kMost = 16;
  static constexpr std::chrono::seconds kNow{0};
  std::mutex mutex_;
  std::vector<std::future<Learned>> learning_;
};

}  // namespace

absl::StatusOr<BoostedTrees> TrainTrees(std::vector<float> rows, int64_t features, std::vector<float> labels,
                                        const BoosterOptions& options, const Context& ctx) {
  constexpr std::chrono::milliseconds kLook(10);
  RETURN_IF_ERROR(ctx.Check());
  const absl::StatusOr<Library>& lib = TheLibrary();
  RETURN_IF_ERROR(lib.status());
  const auto training = std::make_shared<Training>();
  training->rows = std::move(rows);
  training->labels = std::move(labels);
  training->features = features;
  training->options = options;
  training->seed = ctx.seed;
  RETURN_IF_ERROR(LeftBehind::Instance().CheckRoom());
  std::future<Learned> learning;
  try {
    learning = std::async(std::launch::async, [&lib, training] { return Learn(*lib, *training); });
  } catch (const std::system_error& e) {
    return ResourceExhausted("no thread can be started: {}", e.what());
  }
  int64_t told = 0;
  while (learning.wait_for(kLook) != std::future_status::ready) {
    if (absl::Status status = ctx.Check(); !status.ok()) {
      training->stop = true;
      LeftBehind::Instance().Add(std::move(learning));
      return status;
    }
    const int64_t rounds = training->rounds;
    if (ctx.progress && rounds > told) ctx.progress(static_cast<double>(rounds) / static_cast<double>(options.trees));
    told = rounds;
  }
  if (ctx.progress) ctx.progress(1);
  return learning.get();
}

}  // namespace vedette::boosting
