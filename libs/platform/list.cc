#include "platform/list.h"

#include <fmt/format.h>

#include "base/hash.h"
#include "base/status.h"
#include "runtime/paging.h"

namespace vedette::platform {
namespace {

// "(event_time, id) < ($3::timestamptz, $4::uuid)"
std::string AfterCursor(const ListSpec& spec, size_t first_param) {
  std::string keys, values;
  for (size_t i = 0; i < spec.keys.size(); ++i) {
    keys += fmt::format("{}{}", i > 0 ? ", " : "", spec.keys[i].sql);
    values += fmt::format("{}${}::{}", i > 0 ? ", " : "", first_param + i, spec.keys[i].type);
  }
  return fmt::format("({}) {} ({})", keys, spec.descending ? "<" : ">", values);
}

std::string CursorColumn(size_t i) { return fmt::format("cursor_{}", i); }

}  // namespace

absl::StatusOr<std::string> ListRows(storage::Tx& tx, const ListSpec& spec, const ListRequest& request,
                                     const std::function<bool(const storage::Row&)>& row) {
  const std::string fingerprint = Sha256Hex(fmt::format("{}\n{}", spec.from, request.filter)).substr(0, 16);
  ASSIGN_OR_RETURN(const std::vector<std::string> cursor,
                   runtime::DecodePageToken(request.page_token, fingerprint, spec.keys.size()));
  ASSIGN_OR_RETURN(const runtime::SqlFilter filter, runtime::FilterToSql(request.filter, spec.filter));

  storage::Params params(filter.params.begin(), filter.params.end());
  std::string cursors, order;
  for (size_t i = 0; i < spec.keys.size(); ++i) {
    cursors += fmt::format(", ({})::text as {}", spec.keys[i].sql, CursorColumn(i));
    order += fmt::format("{}{}{}", i > 0 ? ", " : "", spec.keys[i].sql, spec.descending ? " desc" : "");
  }
  std::string where = fmt::format("({})", filter.where);
  if (!cursor.empty()) {
    where += " and " + AfterCursor(spec, params.size() + 1);
    params.insert(params.end(), cursor.begin(), cursor.end());
  }
  params.emplace_back(int64_t{request.page_size} + 1);  // one more tells whether there is a next page
  const std::string sql = fmt::format("select {}{} from {} where {} order by {} limit ${}", spec.columns, cursors,
                                      spec.from, where, order, params.size());
  ASSIGN_OR_RETURN(const storage::Result found, tx.Exec(sql, params));

  int taken = 0;
  while (taken < found.rows() && taken < request.page_size && row(found[taken])) ++taken;
  if (taken == found.rows() || taken == 0) return std::string();
  std::vector<std::string> last;
  for (size_t i = 0; i < spec.keys.size(); ++i) last.emplace_back(found[taken - 1].Text(CursorColumn(i)));
  return runtime::EncodePageToken(last, fingerprint);
}

}  // namespace vedette::platform
