#include "services/detector/wiring.h"

int main(int argc, char** argv) {
  using namespace vedette;
  return runtime::ServiceMain(argc, argv, "detector", detector::DefaultConfig(), detector::Build,
                              std::function(detector::Validate));
}
