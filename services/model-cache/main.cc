#include "services/model-cache/wiring.h"

int main(int argc, char** argv) {
  using namespace vedette;
  return runtime::ServiceMain(argc, argv, "model-cache", model_cache::DefaultConfig(), model_cache::Build,
                              std::function(model_cache::Validate));
}
