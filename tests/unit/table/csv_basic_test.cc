#include <catch2/catch.hpp>

#include "table/csv.h"

using vedette::table::ReadCsvText;
using vedette::table::ToCsv;

TEST_CASE("csv: a small file becomes typed columns") {
  const auto file = ReadCsvText("a,b\n1,x\n2.5,y\n");
  REQUIRE(file.ok());
  CHECK(ToCsv(file->table) == "a,b\n1,x\n2.5,y\n");
}
