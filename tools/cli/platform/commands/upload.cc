// vedette upload: a file into the platform, and its analysis.
#include <fmt/format.h>
#include <sys/stat.h>

#include <cstdio>
#include <filesystem>
#include <memory>

#include "base/hash.h"
#include "base/ids.h"
#include "base/status.h"
#include "cli/command.h"
#include "cli/platform/client.h"
#include "cli/recipe.h"
#include "cli/terminal.h"
#include "explain/words.h"
#include "vedette/ingest/v1/ingest.grpc.pb.h"

namespace vedette::cli {
namespace {

constexpr size_t kPartBytes = 256 << 10;

constexpr Flag kFlags[] = {
    {.name = "analyze", .type = FlagType::kSwitch, .doc = "start an analysis and follow it to its end"},
    {.name = "name", .type = FlagType::kText, .value_name = "TEXT", .doc = "what the dataset is called (default: the file's name)"},
    {.name = "chunk-rows", .type = FlagType::kInt, .value_name = "N", .default_value = "0", .min = 0, .max = 100000, .doc = "rows in one task; 0: as the platform is set"},
    {.name = "no-wait", .type = FlagType::kSwitch, .doc = "with --analyze: print the job's name and leave"},
    {.name = "quiet", .type = FlagType::kSwitch, .doc = "no progress", .letter = 'q'},
};
constexpr Flag kModel[] = {
    {.name = "algorithm",
     .type = FlagType::kText,
     .value_name = "NAME",
     .default_value = "auto",
     .doc = "an algorithm of 'vedette algorithms', or auto",
     .letter = 'a'},
    {.name = "param",
     .type = FlagType::kPairs,
     .value_name = "NAME=VALUE",
     .doc = "a parameter of the algorithm",
     .letter = 'p'},
    {.name = "contamination",
     .type = FlagType::kReal,
     .value_name = "X",
     .min = 1e-9,
     .max = 0.5,
     .doc = "share of rows expected to be odd (default: the algorithm's)"},
    {.name = "threshold",
     .type = FlagType::kText,
     .value_name = "RULE",
     .doc = "instead of a share, a rule that looks at the scores, as NAME or NAME:VALUE; see 'vedette detect --help'"},
    {.name = "label-column",
     .type = FlagType::kText,
     .value_name = "COLUMN",
     .doc = "for algorithms that learn from labels: the column that says which rows are known, 1 or true (an anomaly), "
            "0 or false (normal), empty (not known)"},
    {.name = "seed",
     .type = FlagType::kInt,
     .value_name = "N",
     .default_value = "42",
     .min = 1,
     .max = 9e18,
     .doc = "the same seed gives the same result"},
    {.name = "ignore-columns",
     .type = FlagType::kList,
     .value_name = "A,B",
     .doc = "columns not to look at",
     .letter = 'x'},
    kWindowFlag,
};

void Check(const Args& args, std::vector<std::string>* mistakes) {
  if (const std::string& threshold = args.Text("threshold"); !threshold.empty()) {
    if (args.Given("contamination")) mistakes->push_back("--threshold is a rule instead of --contamination: give one of them");
    const auto rule = outlier::ThresholdRule::Parse(threshold);
    if (!rule.ok()) mistakes->push_back(fmt::format("--threshold: {}", Message(rule.status())));
  }
  const std::string& algorithm = args.Text("algorithm");
  if (algorithm == "auto") {
    if (!args.Pairs("param").empty()) mistakes->push_back("--param needs --algorithm");
    if (args.Given("label-column"))
      mistakes->push_back("--label-column needs --algorithm: auto chooses among those that learn without labels");
    return;
  }
  const auto found = Algorithms().Find(algorithm);
  if (!found.ok()) {
    mistakes->push_back(fmt::format("--algorithm: {}", Message(found.status())));
  } else {
    CheckParams(**found, args.Pairs("param"), mistakes);
    if ((*found)->needs_labels && args.Text("label-column").empty() && args.Switch("analyze")) {
      mistakes->push_back(fmt::format(
          "--label-column is missing: {} learns from a column that says which rows are known anomalies", algorithm));
    }
    if (!(*found)->needs_labels && args.Given("label-column")) {
      mistakes->push_back(
          fmt::format("--label-column: {} learns without labels; --ignore-columns leaves a column out", algorithm));
    }
  }
}

absl::StatusOr<ingest::v1::Dataset> Upload(const Platform& platform, const std::string& path, const std::string& name, bool quiet) {
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return InvalidArgument("{} is a folder", path);
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), std::fclose);
  if (file == nullptr) return NotFound("{} cannot be opened", path);
  ASSIGN_OR_RETURN(const auto stub, platform.Stub<ingest::v1::IngestService>("ingest"));
  runtime::ClientCall call(platform.Out(absl::Hours(12)));
  ingest::v1::Dataset dataset;
  const auto writer = stub->UploadDataset(call.context(), &dataset);
  ingest::v1::UploadDatasetRequest part;
  part.mutable_metadata()->set_display_name(name);
  part.mutable_metadata()->set_request_id(NewUuid());
  bool open = writer->Write(part);
  Progress progress("uploading", quiet);
  Sha256 hash;
  int64_t sent = 0;
  std::string buffer(kPartBytes, '\0');
  size_t n = 0;
  while (open && (n = std::fread(buffer.data(), 1, buffer.size(), file.get())) > 0) {
    hash.Update({buffer.data(), n});
    part.set_data(buffer.data(), n);
    open = writer->Write(part);
    sent += static_cast<int64_t>(n);
    progress.Update(info.st_size > 0 ? static_cast<double>(sent) / static_cast<double>(info.st_size) : -1);
  }
  if (std::ferror(file.get()) != 0) {
    call.context()->TryCancel();
    (void)writer->Finish();
    return DataLoss("{} could not be read to its end", path);
  }
  if (open) {
    part.mutable_end()->set_size_bytes(sent);
    part.mutable_end()->set_sha256(hash.Hex());
    writer->Write(part);
  }
  writer->WritesDone();
  if (const grpc::Status status = writer->Finish(); !status.ok()) return Annotate(runtime::FromGrpcStatus(status), path);
  return dataset;
}

absl::StatusOr<jobs::v1::Job> Analyze(const Platform& platform, const std::string& dataset, const Args& args) {
  ASSIGN_OR_RETURN(const auto stub, platform.Stub<jobs::v1::JobService>("job-orchestrator"));
  jobs::v1::AnalyzeDatasetRequest request;
  request.set_dataset(dataset);
  request.set_request_id(NewUuid());
  request.set_chunk_rows(args.Int("chunk-rows"));
  auto* detector = request.mutable_detector();
  detector->set_algorithm(args.Text("algorithm"));
  detector->mutable_parameters()->insert(args.Pairs("param").begin(), args.Pairs("param").end());
  if (args.Given("contamination")) detector->set_contamination(args.Real("contamination"));
  detector->set_threshold(args.Text("threshold"));
  detector->set_label_column(args.Text("label-column"));
  detector->set_seed(static_cast<uint64_t>(args.Int("seed")));
  for (const std::string& column : args.List("ignore-columns")) detector->mutable_prepare()->add_ignore_columns(column);
  detector->mutable_prepare()->set_window(static_cast<int32_t>(args.Int("window")));
  return runtime::Call(*stub, &jobs::v1::JobService::Stub::AnalyzeDataset, platform.Out(), request);
}

absl::StatusOr<int> Run(const Args& args) {
  ASSIGN_OR_RETURN(const Platform platform, Platform::Open(args));
  const std::string& path = args.At(0);
  const std::string name = args.Given("name") ? args.Text("name") : std::filesystem::path(path).filename().string();
  ASSIGN_OR_RETURN(const ingest::v1::Dataset dataset, Upload(platform, path, name, args.Switch("quiet")));
  fmt::print("{}: {} rows, {} columns, from {}\n", dataset.name(), explain::FormatCount(dataset.row_count()), dataset.columns_size(),
             explain::SafeText(path, 200));
  for (const std::string& note : dataset.notes()) fmt::print("note: {}\n", explain::SafeText(note, 300));
  if (dataset.bad_cell_count() > 0) {
    fmt::print("{} bad cells treated as missing, first: line {}, column {}: {}\n", explain::FormatCount(dataset.bad_cell_count()),
               dataset.bad_cells(0).line(), explain::SafeText(dataset.bad_cells(0).column()), dataset.bad_cells(0).reason());
  }
  if (!args.Switch("analyze")) return kOk;
  ASSIGN_OR_RETURN(jobs::v1::Job job, Analyze(platform, dataset.name(), args));
  if (args.Switch("no-wait")) {
    fmt::print("{}: {}\n", job.name(), jobs::v1::Job::State_Name(job.state()));
    return kOk;
  }
  ASSIGN_OR_RETURN(job, FollowJob(platform, job.name(), args.Switch("quiet")));
  fmt::print("{}", JobSummary(job));
  return job.state() == jobs::v1::Job::SUCCEEDED ? kOk : kFailed;
}

constexpr Positional kPositionals[] = {{"FILE", "a CSV file, plain or gzip"}};
const FlagGroup kGroups[] = {{"Uploading", kFlags}, {"Algorithm and columns", kModel}, kHomeFlags};
constexpr Example kExamples[] = {
    {"vedette upload sales.csv --analyze", "store it, find what is odd, wait for the result"},
    {"vedette upload cases.csv --analyze -a xgbod --label-column fraud", "learn from the rows whose label is known"},
    {"vedette anomalies list --filter 'severity >= HIGH'", "then: the worst of it"}};

}  // namespace

extern const Command k_upload;
const Command k_upload = {
    .name = "upload",
    .section = Section::kPlatform,
    .order = 5,
    .summary = "Stream a file into the platform and, if asked, analyse it.",
    .usage = "vedette upload FILE [--analyze] [options]",
    .positionals = kPositionals,
    .flags = kGroups,
    .examples = kExamples,
    .check = Check,
    .run = Run,
};

}  // namespace vedette::cli
