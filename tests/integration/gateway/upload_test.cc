#include <malloc.h>

#include "backend_app.h"

namespace vedette::gateway {
namespace {

int64_t PeakRss() {
  std::ifstream in("/proc/self/status");
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("VmHWM:")) return std::atoll(line.c_str() + 6) << 10;
  }
  return 0;
}

void ResetPeakRss() { std::ofstream("/proc/self/clear_refs") << "5"; }

}  // namespace

TEST_CASE("a raw body is uploaded", "[gateway]") {
  TestGateway gateway;
  auto client = gateway.Client();
  const auto answer =
      client.Post("/v1/datasets:upload?display_name=May%20rents&request_id=r1&delimiter=%3B", "a;b\n1;2\n", "text/csv");
  REQUIRE(answer);
  INFO(answer->body);
  CHECK(answer->status == 200);
  const auto dataset = nlohmann::json::parse(answer->body);
  CHECK(dataset["name"] == "datasets/1");
  CHECK(dataset["size_bytes"] == "8");
  CHECK(gateway.seen.upload.display_name() == "May rents");
  CHECK(gateway.seen.upload.request_id() == "r1");
  CHECK(gateway.seen.upload.delimiter() == ";");
  CHECK(gateway.seen.end.sha256().size() == 64);

  CHECK(client.Post("/v1/datasets:upload", "", "text/csv")->status == 200);  // ingest has the last word
  CHECK(gateway.seen.end.size_bytes() == 0);
  CHECK(Error(client.Post("/v1/datasets:upload?displayname=x", "a", "text/csv"))["message"] ==
        "displayname: unknown field; did you mean display_name?");
  CHECK(Error(client.Post("/v1/datasets:upload", "{}", "application/json"))["code"] == 415);
}

TEST_CASE("a form is uploaded", "[gateway]") {
  TestGateway gateway;
  auto client = gateway.Client();
  httplib::MultipartFormDataItems form = {{"display_name", "May", "", ""},
                                          {"delimiter", ",", "", ""},
                                          {"file", std::string(300'000, 'x'), "may.csv", "text/csv"}};
  auto answer = client.Post("/v1/datasets:upload", form);
  REQUIRE(answer);
  INFO(answer->body);
  CHECK(answer->status == 200);
  CHECK(gateway.seen.upload.display_name() == "May");
  CHECK(gateway.seen.upload_bytes == 300'000);
  form = {{"file", "a\n1\n", "may.csv", "text/csv"}};
  CHECK(client.Post("/v1/datasets:upload", form)->status == 200);
  CHECK(gateway.seen.upload.display_name() == "may.csv");
  CHECK(gateway.seen.upload_bytes == 4);

  form = {{"file", "a\n1\n", "may.csv", "text/csv"}, {"display_name", "late", "", ""}};
  CHECK(Error(client.Post("/v1/datasets:upload", form))["message"].get<std::string>().find("before") !=
        std::string::npos);
  form = {{"display_name", "May", "", ""}};
  CHECK(Error(client.Post("/v1/datasets:upload", form))["code"] == 400);
  form = {{"colour", "May", "", ""}, {"file", "a", "a.csv", ""}};
  CHECK(Error(client.Post("/v1/datasets:upload", form))["code"] == 400);
  form = {{"display_name", std::string(5000, 'x'), "", ""}, {"file", "a", "a.csv", ""}};
  CHECK(Error(client.Post("/v1/datasets:upload", form))["code"] == 400);
  CHECK(Error(client.Post("/v1/datasets:upload", "--x\r\nbroken", "multipart/form-data; boundary=x"))["code"] == 400);
}

TEST_CASE("100 MiB go through in bounded memory", "[gateway]") {
  TestGateway gateway;
  constexpr size_t kBytes = 100 << 20;
  auto client = gateway.Client();
  const std::string block(64 << 10, '7');
  malloc_trim(0);
  ResetPeakRss();
  const int64_t before = PeakRss();
  const auto answer = client.Post(
      "/v1/datasets:upload", kBytes,
      [&](size_t, size_t length, httplib::DataSink& sink) {
        return sink.write(block.data(), std::min(length, block.size()));
      },
      "text/csv");
  REQUIRE(answer);
  CHECK(answer->status == 200);
  CHECK(gateway.seen.upload_bytes == kBytes);
  CHECK(gateway.seen.largest_part <= 1 << 20);
  CHECK(gateway.seen.largest_part >= 64 << 10);
  const int64_t grown = PeakRss() - before;  // of gateway, service and client together
  INFO("peak memory grew by " << grown << " bytes");
  CHECK(grown < 48 << 20);
}

TEST_CASE("a chunked body of unknown length is uploaded", "[gateway]") {
  TestGateway gateway;
  int sent = 0;
  const auto answer = gateway.Client().Post(
      "/v1/datasets:upload",
      [&](size_t, httplib::DataSink& sink) {
        const std::string block(100'000, 'x');
        if (++sent > 30) return sink.done(), true;
        return sink.write(block.data(), block.size());
      },
      "application/octet-stream");
  REQUIRE(answer);
  CHECK(answer->status == 200);
  CHECK(gateway.seen.upload_bytes == 3'000'000);
}

TEST_CASE("an upload beyond the limit is cut off", "[gateway]") {
  TestGateway gateway([](v1::Config& c) { c.mutable_http()->set_max_upload_mb(1); });
  CHECK(Error(gateway.Client().Post("/v1/datasets:upload", std::string(3 << 20, 'x'), "text/csv"))["code"] == 413);
  CHECK(gateway.seen.Await(gateway.seen.uploads_broken));
}

TEST_CASE("a client that breaks off takes its upload with it", "[gateway]") {
  TestGateway gateway;
  auto client = gateway.Client();
  size_t sent = 0;
  const auto answer = client.Post(
      "/v1/datasets:upload", 100 << 20,
      [&](size_t, size_t, httplib::DataSink& sink) {
        const std::string block(64 << 10, 'x');
        sent += block.size();
        return sent < (4 << 20) && sink.write(block.data(), block.size());
      },
      "text/csv");
  CHECK_FALSE(answer);
  client.stop();
  CHECK(gateway.seen.Await(gateway.seen.uploads_broken));
  CHECK(gateway.seen.upload_bytes == 0);
}

TEST_CASE("ingest may end an upload early", "[gateway]") {
  TestGateway gateway;
  auto client = gateway.Client();
  // The first upload's answer: the rest of the body is read and dropped.
  const auto known = client.Post("/v1/datasets:upload?display_name=known", std::string(20 << 20, 'x'), "text/csv");
  REQUIRE(known);
  CHECK(known->status == 200);
  CHECK(nlohmann::json::parse(known->body)["name"] == "datasets/1");
  const auto bad = client.Post("/v1/datasets:upload?display_name=bad", std::string(600'000, 'x'), "text/csv");
  CHECK(Error(bad)["message"] == "line 1: not a table");
}

}  // namespace vedette::gateway
