#include <functional>

#include "services/ingest/wiring.h"

int main(int argc, char** argv) {
  using namespace vedette;
  return runtime::ServiceMain(argc, argv, "ingest", ingest::DefaultConfig(), ingest::Build,
                              std::function(ingest::Validate));
}
