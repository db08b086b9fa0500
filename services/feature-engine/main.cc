#include <functional>

#include "services/feature-engine/wiring.h"

int main(int argc, char** argv) {
  using namespace vedette;
  return runtime::ServiceMain(argc, argv, "feature-engine", feature_engine::DefaultConfig(), feature_engine::Build,
                              std::function(feature_engine::Validate));
}
