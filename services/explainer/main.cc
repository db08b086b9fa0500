#include "services/explainer/wiring.h"

int main(int argc, char** argv) {
  using namespace vedette;
  return runtime::ServiceMain(argc, argv, "explainer", explainer::DefaultConfig(), explainer::Build,
                              std::function(explainer::Validate));
}
