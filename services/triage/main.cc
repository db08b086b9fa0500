#include "services/triage/wiring.h"

int main(int argc, char** argv) {
  using namespace vedette;
  return runtime::ServiceMain(argc, argv, "triage", triage::DefaultConfig(), triage::Build,
                              std::function(triage::Validate));
}
