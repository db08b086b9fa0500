#include "messaging/cloud_event.h"

#include <catch2/catch.hpp>

#include "messaging/publish.h"

namespace vedette::messaging {

TEST_CASE("an event survives its headers") {
  const CloudEvent e{.id = "a 1%",
                     .source = "vedette/ingest",
                     .type = "vedette.dataset.ready.v1",
                     .time = absl::FromUnixMicros(1709210096123456),
                     .subject = "Grüße \"quoted\"\r\n\xF0\x9F\x98\x80",
                     .tenant = "t1",
                     .traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                     .extensions = {{"sequence", "7"}},
                     .data = std::string("\0\xff", 2)};
  const auto headers = ToHeaders(e);
  REQUIRE(headers.ok());
  for (const auto& [k, v] : *headers) {
    INFO(k);
    CHECK(k.starts_with("ce-"));
    for (const char c : v) CHECK((c > 0x20 && c < 0x7f));
  }
  CHECK((*headers)[1] == std::pair<std::string, std::string>("ce-id", "a%201%25"));
  const auto back = FromHeaders(*headers, e.data);
  REQUIRE(back.ok());
  CHECK(back->id == e.id);
  CHECK(back->source == e.source);
  CHECK(back->type == e.type);
  CHECK(back->time == e.time);
  CHECK(back->subject == e.subject);
  CHECK(back->tenant == e.tenant);
  CHECK(back->traceparent == e.traceparent);
  CHECK(back->datacontenttype == "application/protobuf");
  CHECK(back->extensions == e.extensions);
  CHECK(back->data == e.data);
}

TEST_CASE("events that cannot be are refused") {
  const CloudEvent good{.id = "1", .source = "s", .type = "t"};
  const auto refused = [&](auto change) {
    CloudEvent e = good;
    change(e);
    return absl::IsInvalidArgument(ToHeaders(e).status());
  };
  CHECK(refused([](CloudEvent& e) { e.id.clear(); }));
  CHECK(refused([](CloudEvent& e) { e.subject = "\xff"; }));
  CHECK(refused([](CloudEvent& e) { e.subject = "\xed\xa0\x80"; }));
  CHECK(refused([](CloudEvent& e) { e.subject = "\xc0\x80"; }));
  CHECK(refused([](CloudEvent& e) { e.subject = std::string(5000, 'x'); }));
  CHECK(refused([](CloudEvent& e) { e.extensions["Upper"] = "x"; }));
  CHECK(refused([](CloudEvent& e) { e.extensions["tenantid"] = "other"; }));

  const Headers base = *ToHeaders(good);
  const auto unreadable = [&](Headers h) { return absl::IsInvalidArgument(FromHeaders(h, "").status()); };
  CHECK_FALSE(unreadable(base));
  CHECK(unreadable({}));
  CHECK(unreadable({{"ce-specversion", "0.3"}, {"ce-id", "1"}, {"ce-source", "s"}, {"ce-type", "t"}}));
  for (const char* bad : {"%", "%4", "%GG", "%FF", "a%C3"}) {
    Headers h = base;
    h.emplace_back("ce-subject", bad);
    CHECK(unreadable(h));
  }
  Headers h = base;
  h.emplace_back("ce-time", "yesterday");
  CHECK(unreadable(h));
}

TEST_CASE("subjects") {
  CHECK(CheckSubject("work.score.t1").ok());
  for (const char* bad : {"", ".", "a.", ".a", "a..b", "a b", "a.*", "a.>", "a\n", "ä"}) {
    INFO(bad);
    CHECK(absl::IsInvalidArgument(CheckSubject(bad)));
  }
  CHECK(absl::IsInvalidArgument(CheckSubject(std::string(256, 'a'))));
  CHECK(SubjectToken("t1") == "t1");
  CHECK(SubjectToken("a.b *>=é") == "a=2Eb=20=2A=3E=3D=C3=A9");
  CHECK(SubjectToken("") == "=");
  CHECK(CheckSubject("work." + SubjectToken("a.b c")).ok());
}

}  // namespace vedette::messaging
