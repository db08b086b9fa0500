#include <catch2/catch.hpp>

#include "base/status.h"
#include "echo.pb.h"
#include "runtime/paging.h"
#include "runtime/resource_name.h"
#include "runtime/status.h"

namespace vedette::runtime {

TEST_CASE("page sizes") {
  CHECK(*PageSize(0) == 50);
  CHECK(*PageSize(7) == 7);
  CHECK(*PageSize(1'000'000) == 1000);
  CHECK(*PageSize(0, 10, 20) == 10);
  CHECK(GetFieldViolations(PageSize(-1).status()).at(0).field == "page_size");
}

TEST_CASE("a page token continues its own listing only") {
  test::echo::v1::SayRequest request;
  request.set_text("severity = HIGH");
  (*request.mutable_labels())["a"] = "1";
  (*request.mutable_labels())["b"] = "2";
  const std::string fingerprint = RequestFingerprint(request);
  const std::vector<std::string> cursor = {"2024-05-01T00:00:00Z", std::string("id\0with nul", 11)};
  const std::string token = EncodePageToken(cursor, fingerprint);

  test::echo::v1::SayRequest next;
  (*next.mutable_labels())["b"] = "2";
  (*next.mutable_labels())["a"] = "1";
  next.set_text("severity = HIGH");
  next.set_page_token(token);
  next.set_page_size(20);
  CHECK(RequestFingerprint(next) == fingerprint);
  CHECK(*DecodePageToken(token, RequestFingerprint(next), 2) == cursor);

  next.set_text("severity = LOW");
  const absl::Status other = DecodePageToken(token, RequestFingerprint(next), 2).status();
  CHECK(other.code() == absl::StatusCode::kInvalidArgument);
  CHECK(GetFieldViolations(other).at(0).field == "page_token");
  CHECK_FALSE(DecodePageToken(token, fingerprint, 3).ok());
  CHECK(DecodePageToken("", fingerprint, 2)->empty());
  for (const std::string& bad : {std::string("x"), std::string("AAAA"), token + "AAAA", token.substr(0, token.size() - 4),
                                 std::string(100'000, 'A'), std::string("_____________________")}) {
    CHECK_FALSE(DecodePageToken(bad, fingerprint, 2).ok());
  }
}

TEST_CASE("order_by") {
  const std::vector<OrderField> fields = {{"create_time", "a.created"}, {"score", "a.score"}};
  CHECK(ParseOrderBy("  ", fields)->empty());
  const auto terms = ParseOrderBy("create_time desc , score", fields);
  REQUIRE(terms.ok());
  REQUIRE(terms->size() == 2);
  CHECK((*terms)[0].field->sql == "a.created");
  CHECK((*terms)[0].descending);
  CHECK_FALSE((*terms)[1].descending);
  CHECK(std::string(Message(ParseOrderBy("scoer", fields).status())).find("did you mean score") != std::string::npos);
  for (const char* bad : {"score,", ",", "score up", "score, score desc", "score; drop table x"}) {
    INFO(bad);
    CHECK_FALSE(ParseOrderBy(bad, fields).ok());
  }
}

TEST_CASE("a resource name is its collection and a UUID, and nothing else") {
  const std::string id = "0190a7c2-1111-7222-8333-444455556666";
  CHECK(*UuidOf("name", "jobs", "jobs/" + id) == id);
  for (const std::string& bad : std::vector<std::string>{id, "jobs/", "job/" + id, "jobs/" + id + "/tasks/1", "jobs//" + id, "jobs/" + id.substr(1) + "g", "jobsx" + id}) {
    INFO(bad);
    const auto parsed = UuidOf("job", "jobs", bad);
    CHECK(absl::IsInvalidArgument(parsed.status()));
    REQUIRE(GetFieldViolations(parsed.status()).size() == 1);
    CHECK(GetFieldViolations(parsed.status())[0].field == "job");
  }
}

}  // namespace vedette::runtime
