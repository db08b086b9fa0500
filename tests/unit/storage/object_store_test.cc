#include "storage/object_store.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <thread>

#include "support/support.h"

namespace vedette::storage {

namespace fs = std::filesystem;

TEST_CASE("objects: put, get, range, list, delete") {
  const testing::TempDir dir;
  const auto store = DirectoryObjectStore::Create(dir.path() + "/objects");
  REQUIRE(store.ok());
  ObjectStore& s = **store;
  const std::string bytes("a\0b\xff", 4);
  REQUIRE(s.Put("t1/d1/chunk-0001", bytes).ok());
  REQUIRE(s.Put("t1/d1", "an object where others have a folder").ok());
  REQUIRE(s.Put("t1/d1.x", "").ok());
  REQUIRE(s.Put("t2/d9", "0123456789").ok());
  CHECK(*s.Get("t1/d1/chunk-0001", 4) == bytes);
  CHECK(absl::IsResourceExhausted(s.Get("t1/d1/chunk-0001", 3).status()));
  CHECK(absl::IsNotFound(s.Get("t1/none", 3).status()));
  CHECK(absl::IsNotFound(s.Get("t2/d9/deeper", 3).status()));
  CHECK(*s.GetRange("t2/d9", 3, 4) == "3456");
  CHECK(*s.GetRange("t2/d9", 8, 100) == "89");
  CHECK(s.GetRange("t2/d9", 10, 1)->empty());
  CHECK(absl::IsOutOfRange(s.GetRange("t2/d9", 11, 1).status()));
  CHECK(absl::IsInvalidArgument(s.GetRange("t2/d9", -1, 1).status()));
  CHECK(*s.Exists("t1/d1.x"));
  CHECK_FALSE(*s.Exists("t1/d2"));
  const auto keys = [&](std::string_view prefix, int limit, std::string_view after = "") {
    std::vector<std::string> out;
    const auto list = s.List(prefix, limit, after);
    REQUIRE(list.ok());
    for (const ObjectInfo& o : *list) out.push_back(o.key);
    return out;
  };
  CHECK(keys("", 10) == std::vector<std::string>{"t1/d1", "t1/d1.x", "t1/d1/chunk-0001", "t2/d9"});
  CHECK(keys("t1/d1", 10) == std::vector<std::string>{"t1/d1", "t1/d1/chunk-0001"});
  CHECK(keys("", 2, "t1/d1") == std::vector<std::string>{"t1/d1.x", "t1/d1/chunk-0001"});
  CHECK(keys("t3", 10).empty());
  CHECK(s.Delete("t1/d1/chunk-0001").ok());
  CHECK(s.Delete("t1/d1/chunk-0001").ok());
  CHECK_FALSE(fs::exists(dir.path() + "/objects/t1/d1"));
  CHECK(*s.Exists("t1/d1"));
}

TEST_CASE("objects appear whole or not at all") {
  const testing::TempDir dir;
  const auto store = DirectoryObjectStore::Create(dir.path(), {.max_object_bytes = 10});
  REQUIRE(store.ok());
  REQUIRE((*store)->Put("k", "old").ok());
  {
    const auto w = (*store)->Open("k");
    REQUIRE(w.ok());
    CHECK((*w)->Write("new, half").ok());
    CHECK(*(*store)->Get("k", 100) == "old");
  }
  CHECK(*(*store)->Get("k", 100) == "old");
  CHECK(fs::is_empty(dir.path() + "/.tmp"));
  const auto w = (*store)->Open("k");
  CHECK((*w)->Write("12345").ok());
  CHECK((*w)->Write("67890").ok());
  CHECK(absl::IsResourceExhausted((*w)->Write("1")));
  CHECK_FALSE((*w)->Commit().ok());
  CHECK((*store)->Put("k", "new").ok());
  CHECK(*(*store)->Get("k", 100) == "new");
}

TEST_CASE("hostile keys stay inside the store") {
  const testing::TempDir dir;
  std::ofstream(dir.path() + "/secret~") << "secret";
  const auto store = DirectoryObjectStore::Create(dir.path() + "/objects");
  REQUIRE(store.ok());
  const std::string hostile[] = {"",
                                 "/",
                                 "..",
                                 "../secret",
                                 "a/../../secret",
                                 "a//b",
                                 "/etc/passwd",
                                 "a/",
                                 "a/.",
                                 "./a",
                                 ".tmp/x",
                                 "a/.hidden",
                                 std::string("a\0b", 3),
                                 "a\nb",
                                 "a b",
                                 "a\\b",
                                 "~",
                                 "a~",
                                 "ä",
                                 "%2e%2e/secret",
                                 "a:b",
                                 "a*",
                                 std::string(201, 'a'),
                                 std::string(2000, 'a'),
                                 "1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17"};
  for (const std::string& key : hostile) {
    INFO(key);
    CHECK(absl::IsInvalidArgument((*store)->Put(key, "x")));
    CHECK(absl::IsInvalidArgument((*store)->Get(key, 100).status()));
    CHECK(absl::IsInvalidArgument((*store)->GetRange(key, 0, 1).status()));
    CHECK(absl::IsInvalidArgument((*store)->Stat(key).status()));
    CHECK(absl::IsInvalidArgument((*store)->Delete(key)));
  }
  CHECK(absl::IsInvalidArgument((*store)->List("../..", 10).status()));
  CHECK(fs::exists(dir.path() + "/secret~"));
  // A link planted in the folder is not followed.
  fs::create_symlink(dir.path() + "/secret~", dir.path() + "/objects/link~");
  CHECK_FALSE((*store)->Get("link", 100).ok());
  CHECK((*store)->List("", 10)->empty());
  CHECK((*store)->Put(std::string(200, 'k') + "/A-Z_0.9=@+", "x").ok());
}

TEST_CASE("writers and deleters of one folder do not trip over each other") {
  const testing::TempDir dir;
  const auto store = DirectoryObjectStore::Create(dir.path(), {.sync = false});
  REQUIRE(store.ok());
  std::atomic<int> failures{0};
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 200; ++i) {
          const std::string key = "shared/folder/" + std::to_string(t);
          if (!(*store)->Put(key, "x").ok() || !(*store)->Delete(key).ok()) ++failures;
        }
      });
    }
  }
  CHECK(failures == 0);
  CHECK((*store)->List("", 10)->empty());
}

TEST_CASE("a store without a usable folder is refused") {
  CHECK(absl::IsInvalidArgument(DirectoryObjectStore::Create("/").status()));
  CHECK(absl::IsInvalidArgument(DirectoryObjectStore::Create("").status()));
  const testing::TempDir dir;
  CHECK(absl::IsNotFound(DirectoryObjectStore::Create(dir.path() + "/no/such/parent").status()));
}

}  // namespace vedette::storage
