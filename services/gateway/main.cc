#include "services/gateway/wiring.h"

int main(int argc, char** argv) {
  using namespace vedette;
  return runtime::ServiceMain(argc, argv, "gateway", gateway::DefaultConfig(), gateway::Build,
                              std::function(gateway::Validate));
}
