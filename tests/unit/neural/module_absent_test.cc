// What a user without the module is told.
#include <cstdlib>

#include "neural/module_loader.h"
#include "neural_testing.h"

namespace vedette::neural {
namespace {

TEST_CASE("without the module, fitting fails with what to build or install") {
  REQUIRE(setenv("VEDETTE_NEURAL_MODULE", "/no/such/libvedette_neural.so", 1) == 0);
  auto detector = testing::MakeAutoencoder();
  const absl::Status status = detector->Fit(testing::RandomMatrix(50, 3, 1), {});
  CHECK(status.code() == absl::StatusCode::kFailedPrecondition);
  for (const char* part : {"VEDETTE_NEURAL_MODULE", "/no/such/libvedette_neural.so", "VEDETTE_NEURAL=ON", "libtorch-dev"}) {
    CHECK(status.ToString().find(part) != std::string::npos);
  }
}

TEST_CASE("a file that is no module is refused with the loader's reason") {
  auto text = Module::Open(VEDETTE_SOURCE_DIR "/CMakeLists.txt");
  CHECK(text.status().code() == absl::StatusCode::kFailedPrecondition);
  CHECK(text.status().ToString().find("cannot load") != std::string::npos);
  auto other = Module::Open("libz.so.1");
  CHECK(other.status().code() == absl::StatusCode::kFailedPrecondition);
  CHECK(other.status().ToString().find("vedette_neural_api") != std::string::npos);
}

TEST_CASE("neural algorithms are listed and documented without the module") {
  bool found = false;
  for (const outlier::Descriptor* d : Algorithms()) {
    CHECK(d->family == "neural");
    CHECK(d->summary.size() > 40);
    CHECK(d->cost != nullptr);
    if (d->name == "autoencoder") found = d->default_contamination == 0.05;
  }
  CHECK(found);
}

}  // namespace
}  // namespace vedette::neural
