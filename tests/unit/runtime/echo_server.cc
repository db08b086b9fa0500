// A whole service process around the echo service, as small as a service can be.
#include "echo.grpc.pb.h"
#include "runtime/run.h"

namespace {

using namespace vedette;  // NOLINT
namespace pb = vedette::test::echo::v1;

class Echo final : public pb::EchoService::CallbackService {
 public:
  explicit Echo(runtime::Server& server) : server_(server) {}
  grpc::ServerUnaryReactor* Say(grpc::CallbackServerContext* context, const pb::SayRequest* request,
                                pb::SayResponse* response) override {
    return runtime::Unary(server_, context, request, response,
                          [](const pb::SayRequest& rq, pb::SayResponse* rs, runtime::CallContext&) {
                            rs->set_text(rq.text());
                            return absl::OkStatus();
                          });
  }

 private:
  runtime::Server& server_;
};

pb::Config Defaults() {
  pb::Config config;
  *config.mutable_server() = runtime::DefaultServerConfig(0, 0);
  config.set_name("echo");
  return config;
}

absl::Status Build(const pb::Config& config, runtime::App& app) {
  if (config.name() == "broken") return absl::UnavailableError("built to fail");
  app.server().AddService<pb::EchoService>(std::make_unique<Echo>(app.server()));
  return absl::OkStatus();
}

}  // namespace

int main(int argc, char** argv) { return runtime::ServiceMain(argc, argv, "echo", Defaults(), Build); }
