#include "services/job-orchestrator/wiring.h"

int main(int argc, char** argv) {
  using namespace vedette;
  return runtime::ServiceMain(argc, argv, "job-orchestrator", job_orchestrator::DefaultConfig(), job_orchestrator::Build,
                              std::function(job_orchestrator::Validate));
}
