// The stored form of a model, version 3, little-endian:
//   "VDTM", u32 version, sections in fixed order (each: u64 length, bytes), SHA-256 of all before it as 64 hex digits.
// Sections: identity, preparation, detector state, score scale, background, typical values, training scores.
// Version 1 had no rule in its score scale, and version 2 no training scores; both are still read.
#include <cmath>

#include "base/hash.h"
#include "base/status.h"
#include "outlier/model.h"
#include "outlier/state.h"

namespace vedette::outlier {
namespace {

constexpr std::string_view kMagic = "VDTM";
constexpr uint32_t kFormatVersion = 3, kOldestVersion = 1;
constexpr size_t kDigestSize = 64;
constexpr uint64_t kMaxParams = 1000;
constexpr size_t kMaxTableName = 4096;

template <typename Write>
void Section(ByteWriter& out, const Write& write) {
  ByteWriter section;
  write(section);
  out.String(section.bytes());
}

/// Reads the next section whole: `read` must use up its bytes.
template <typename Read>
absl::Status NextSection(ByteReader& in, std::string_view name, const Read& read) {
  const std::string bytes = in.String();
  RETURN_IF_ERROR(in.status());
  ByteReader section(bytes);
  absl::Status status = read(section);
  if (status.ok()) status = section.Finish();
  return Annotate(status, fmt::format("section '{}'", name));
}

}  // namespace

std::string Model::Serialize() const {
  ByteWriter out;
  for (const char c : kMagic) out.U8(static_cast<uint8_t>(c));
  out.U32(kFormatVersion);
  Section(out, [this](ByteWriter& w) {
    w.String(descriptor_->name);
    w.U64(params_.size());
    for (const auto& [name, value] : params_) {
      w.String(name);
      w.String(value);
    }
    w.U64(seed_);
    w.I64(training_rows_);
  });
  Section(out, [this](ByteWriter& w) { preparation_.Save(w); });
  Section(out, [this](ByteWriter& w) { detector_->Save(w); });
  Section(out, [this](ByteWriter& w) { scale_.Save(w); });
  Section(out, [this](ByteWriter& w) {
    w.I64(background_.rows());
    w.I64(background_.cols());
    w.Doubles({background_.data(), static_cast<size_t>(background_.rows() * background_.cols())});
  });
  Section(out, [this](ByteWriter& w) { w.Doubles(typical_); });
  Section(out, [this](ByteWriter& w) {
    w.String(source_.table);
    w.U64(source_.rows.size());
    for (const int64_t row : source_.rows) w.I64(row);
    w.Doubles(training_scores_);
  });
  std::string bytes = out.Take();
  bytes += Sha256Hex(bytes);
  return bytes;
}

absl::StatusOr<std::unique_ptr<Model>> Model::Parse(const Catalog& catalog, std::string_view bytes) {
  if (bytes.substr(0, kMagic.size()) != kMagic) return absl::DataLossError("not a model: it does not start with VDTM");
  if (bytes.size() < kMagic.size() + 4 + kDigestSize) return absl::DataLossError("the model is cut off");
  const std::string_view body = bytes.substr(0, bytes.size() - kDigestSize);
  ByteReader in(body.substr(kMagic.size()));
  const uint32_t version = in.U32();
  if (version < kOldestVersion || version > kFormatVersion) {
    return DataLoss("the model has format version {}, this program reads versions {} to {}", version, kOldestVersion, kFormatVersion);
  }
  if (Sha256Hex(body) != bytes.substr(body.size())) return absl::DataLossError("the model is damaged: its checksum does not match");

  auto model = std::make_unique<Model>();
  std::string algorithm;
  RETURN_IF_ERROR(NextSection(in, "identity", [&](ByteReader& r) {
    algorithm = r.String();
    const uint64_t count = r.U64();
    if (count > kMaxParams) r.Fail("too many parameters");
    for (uint64_t i = 0; i < count && r.ok(); ++i) {
      std::string name = r.String();
      model->params_[std::move(name)] = r.String();
    }
    model->seed_ = r.U64();
    model->training_rows_ = ReadInt(r, "the number of training rows", 1, int64_t{1} << 48);
    return r.status();
  }));
  ASSIGN_OR_RETURN(model->descriptor_, catalog.Find(algorithm));
  const auto params = ParamSet::Make(model->descriptor_->params, model->params_);
  if (!params.ok()) return DataLoss("the model's parameters: {}", Message(params.status()));
  model->params_ = params->Canonical();
  RETURN_IF_ERROR(NextSection(in, "preparation", [&](ByteReader& r) -> absl::Status {
    ASSIGN_OR_RETURN(model->preparation_, table::Preparation::Load(r));
    return absl::OkStatus();
  }));
  const auto d = static_cast<int64_t>(model->preparation_.features().size());
  RETURN_IF_ERROR(NextSection(in, "detector", [&](ByteReader& r) {
    model->detector_ = model->descriptor_->make(*params);
    absl::Status loaded = model->detector_->Load(r);
    if (loaded.ok() && model->detector_->features() != d) {
      loaded = DataLoss("it has {} features, the preparation has {}", model->detector_->features(), d);
    }
    return loaded;
  }));
  RETURN_IF_ERROR(NextSection(in, "score scale", [&](ByteReader& r) -> absl::Status {
    ASSIGN_OR_RETURN(model->scale_, ScoreScale::Load(r));
    return absl::OkStatus();
  }));
  RETURN_IF_ERROR(NextSection(in, "background", [&](ByteReader& r) {
    const int64_t rows = ReadInt(r, "the number of rows", 0, 1 << 20);
    const int64_t cols = ReadInt(r, "the number of columns", d, d);
    const std::vector<double> values = r.Doubles();
    if (r.ok() && static_cast<int64_t>(values.size()) != rows * cols) r.Fail("its size is wrong");
    for (const double x : values) {
      if (std::isinf(x) || (std::isnan(x) && model->descriptor_->nan != NanPolicy::kNative)) r.Fail("a value is not finite");
    }
    if (!r.ok()) return r.status();
    model->background_ = Matrix(rows, cols);
    std::copy(values.begin(), values.end(), model->background_.data());
    return absl::OkStatus();
  }));
  RETURN_IF_ERROR(NextSection(in, "typical values", [&](ByteReader& r) {
    model->typical_ = ReadDoubles(r, "the typical values", d);
    return r.status();
  }));
  if (version >= 3) {
    RETURN_IF_ERROR(NextSection(in, "training scores", [&](ByteReader& r) { return model->ReadTrainingScores(r); }));
  }
  RETURN_IF_ERROR(in.Finish());
  return model;
}

absl::Status Model::ReadTrainingScores(ByteReader& in) {
  source_.table = in.String();
  if (source_.table.size() > kMaxTableName) in.Fail("the table's name is too long");
  const uint64_t rows = in.U64();
  if (rows != 0 && rows != static_cast<uint64_t>(training_rows_)) in.Fail("the number of rows is wrong");
  int64_t last = -1;
  for (uint64_t i = 0; i < rows && in.ok(); ++i) {
    const int64_t row = in.I64();
    if (row <= last) in.Fail("the rows are not in order");
    source_.rows.push_back(row);
    last = row;
  }
  training_scores_ = ReadDoubles(in, "the training scores", source_.table.empty() ? 0 : training_rows_);
  return in.status();
}

}  // namespace vedette::outlier
