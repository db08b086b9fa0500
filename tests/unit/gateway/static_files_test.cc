#include "services/gateway/adapters/static_files.h"

#include <catch2/catch.hpp>
#include <filesystem>

#include "support/test_app.h"

namespace vedette::gateway {

TEST_CASE("files below the folder, and nothing else", "[gateway]") {
  const testing::ScratchDir outside;
  const std::string secret = outside.Write("secret.txt", "secret");
  const testing::ScratchDir dir;
  const std::string root = std::filesystem::path(dir.Write("index.html", "<p>")).parent_path();
  std::filesystem::create_directory(root + "/assets");
  dir.Write("assets/app.js", "1");
  dir.Write(".env", "secret");
  std::filesystem::create_symlink(secret, root + "/link.txt");

  const auto serve = [&](const std::string& path, const std::string& tag = "") {
    httplib::Request request;
    if (!tag.empty()) request.set_header("If-None-Match", tag);
    httplib::Response response;
    return std::pair(ServeFile(root, path, request, response), response);
  };
  const auto [found, index] = serve("");
  REQUIRE(found);
  CHECK(index.body == "<p>");
  CHECK(index.get_header_value("Content-Type") == "text/html; charset=utf-8");
  CHECK(serve("assets/app.js").second.get_header_value("Content-Type") == "text/javascript; charset=utf-8");
  CHECK(serve("index.html", index.get_header_value("ETag")).second.status == 304);
  for (const char* path : {"missing", "assets", ".env", "link.txt", "../secret.txt", "assets/..%2f..%2fsecret.txt",
                           "%2e%2e/secret.txt", "assets//app.js"}) {
    INFO(path);
    CHECK_FALSE(serve(path).first);
  }
}

}  // namespace vedette::gateway
