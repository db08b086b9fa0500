#include "services/benchmark/wiring.h"

int main(int argc, char** argv) {
  using namespace vedette;
  return runtime::ServiceMain(argc, argv, "benchmark", benchmark::DefaultConfig(), benchmark::Build,
                              std::function(benchmark::Validate));
}
