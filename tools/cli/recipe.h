// From flags to a fitted model: algorithm, parameters, preparation, threshold, seed, threads.
#pragma once

#include <absl/status/statusor.h>

#include <memory>
#include <string>
#include <vector>

#include "base/context.h"
#include "base/thread_pool.h"
#include "cli/flags.h"
#include "cli/input.h"
#include "outlier/model.h"
#include "outlier/prepare_for.h"
#include "outlier/registry.h"
#include "outlier/selection.h"

namespace vedette::cli {

/// All algorithms of this program.
const outlier::Catalog& Algorithms();

/// Flags that commands share; each command lists the groups that it takes.
extern const FlagGroup kReadingFlags;  ///< --delimiter --memory-limit --sample-rows
extern const FlagGroup kModelFlags;    ///< --algorithm --param --contamination --threshold-percentile --threshold --seed --device
extern const FlagGroup kPrepareFlags;  ///< --ignore-columns --scaling --encoding --imputation --window
extern const FlagGroup kRunFlags;      ///< --threads --quiet

/// For commands that prepare rows with flags of their own.
inline constexpr Flag kWindowFlag = {
    .name = "window",
    .type = FlagType::kInt,
    .value_name = "N",
    .default_value = "1",
    .min = 1,
    .max = table::kMaxWindow,
    .doc =
        "look at each row together with the N - 1 rows before it, for rows of one series in order of time (one device, "
        "one "
        "account): finds what is odd in how values follow each other; 1: each row by itself"};

/// Where and with which seed the work runs. Owns the threads.
class Session {
 public:
  explicit Session(const Args& args);
  const Context& context() const { return context_; }
  bool quiet() const { return quiet_; }

 private:
  std::unique_ptr<ThreadPool> pool_;
  Context context_;
  bool quiet_ = false;
};

struct Recipe {
  std::string algorithm;  ///< or "auto"
  std::map<std::string, std::string> params;
  double contamination = 0.05;
  std::string threshold = {};  ///< a rule, or empty: contamination
  table::PrepareOptions prepare;
  outlier::LeftOpen open;            ///< --scaling, --encoding, --imputation auto
  std::string device = "auto";
  std::string label;     ///< column of known anomalies; "" = none
  std::string positive;  ///< its value that means anomaly; "" = 1, true...
};

/// Appends what is wrong with the model and preparation flags taken together.
void CheckRecipe(const Args& args, std::vector<std::string>* mistakes);
/// Appends what is wrong with `params` for this algorithm.
void CheckParams(const outlier::Descriptor& descriptor, const std::map<std::string, std::string>& params,
                 std::vector<std::string>* mistakes);
/// --device: appends what is wrong with it; puts it into the parameters of an algorithm that has a device, and returns
/// false when the algorithm has none.
void CheckDevice(const Args& args, std::vector<std::string>* mistakes);
bool ApplyDevice(const outlier::Descriptor& descriptor, std::string_view device,
                 std::map<std::string, std::string>* params);
Recipe RecipeFrom(const Args& args);
/// `window`: rows that one row of the matrix will tell of.
SampleOptions SampleOptionsFrom(const Args& args, const Session& session, int64_t window);

struct Fitted {
  std::unique_ptr<outlier::Model> model;
  std::string reason;              ///< why `auto` chose it; empty when the user did
  std::vector<outlier::Pick> picks;  ///< what `auto` weighed, best first
  std::vector<std::string> hints;  ///< what the user may want to know or change
};
absl::StatusOr<Fitted> FitModel(const Recipe& recipe, const Sample& sample, const Session& session);

absl::StatusOr<std::unique_ptr<outlier::Model>> LoadModel(const std::string& path);

/// The types to read a file with that `model` will score: the model's for the columns it uses, the file's own for the
/// others (shown, not used). Errors: a column of the model is missing, naming all of those.
absl::StatusOr<table::Schema> SchemaForModel(const Input& input, const table::CsvOptions& options,
                                             const outlier::Model& model);

/// Bad cells and notes of a reading, on stderr: the first few and the count.
void PrintReport(const table::ReadReport& report, const std::string& name, bool quiet);

}  // namespace vedette::cli
