#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>

// Read by LeakSanitizer when a test is built with it: Debian's gRPC does not give back c-ares' tables at the end.
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() { return "leak:libcares\n"; }
