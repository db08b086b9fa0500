// Any bytes: no crash, no report of a sanitizer, and the table is sound: cut in two it is the same, and written and read
// again it is the same.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "table/csv.h"
#include "table/prepare.h"

namespace {

using vedette::table::CsvReader;
using vedette::table::Table;
using vedette::table::ToCsv;

void Require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  // An inflated input is bounded, so that no run takes long.
  const vedette::table::CsvOptions options{.max_record_bytes = 1 << 20, .max_text_bytes = 4 << 20};
  const auto whole = vedette::table::ReadCsvText(text, options);

  Table last;
  CsvReader reader(options, [&last](Table&& batch) {
    last = std::move(batch);
    return absl::OkStatus();
  });
  reader.UseOneBatch();
  const size_t cut = size == 0 ? 0 : data[size / 2] % (size + 1);
  absl::Status status = reader.Feed(text.substr(0, cut));
  if (status.ok()) status = reader.Feed(text.substr(cut));
  if (status.ok()) status = reader.Finish();
  Require(status.ok() == whole.ok(), "cut in two, the input is read otherwise");
  if (!whole.ok()) return 0;
  Require(ToCsv(last) == ToCsv(whole->table), "cut in two, the input gives another table");

  const auto again = vedette::table::ReadCsvText(ToCsv(whole->table));
  Require(again.ok(), "what was written is not read");
  Require(ToCsv(again->table) == ToCsv(whole->table), "what was written is read as another table");

  const auto preparation = vedette::table::Preparation::Fit(whole->table, {});
  if (preparation.ok()) Require(preparation->Apply(whole->table).ok(), "the training table cannot be prepared");
  return 0;
}
