// Defaults and bounds of ServerConfig, and the help text made from the protos' comments.
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

#include <memory>

#include "base/status.h"
#include "runtime/config.h"
#include "runtime/status.h"

// The descriptor set of all configuration protos, with comments (see CMakeLists.txt).
asm(".section .rodata\n"
    ".balign 16\n"
    ".globl vedette_config_docs_begin\n"
    "vedette_config_docs_begin:\n"
    ".incbin \"" VEDETTE_CONFIG_DOCS "\"\n"
    ".globl vedette_config_docs_end\n"
    "vedette_config_docs_end:\n"
    ".byte 0\n"
    ".text\n");
extern "C" const char vedette_config_docs_begin[];
extern "C" const char vedette_config_docs_end[];

namespace vedette::runtime {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr int kMaxHelpDepth = 8;

std::unique_ptr<DescriptorPool> DocumentedProtos() {
  google::protobuf::FileDescriptorSet set;
  auto pool = std::make_unique<DescriptorPool>();
  if (!set.ParseFromArray(vedette_config_docs_begin,
                          static_cast<int>(vedette_config_docs_end - vedette_config_docs_begin))) {
    return pool;
  }
  for (const auto& file : set.file()) pool->BuildFile(file);  // imports come first in the set
  return pool;
}

std::string OneLine(const std::string& comment) {
  std::string out;
  for (const char c : comment) {
    if (c != '\n') {
      out.push_back(c);
    } else if (!out.empty() && out.back() != ' ') {
      out.push_back(' ');
    }
  }
  const size_t begin = out.find_first_not_of(' ');
  if (begin == std::string::npos) return {};
  out = out.substr(begin, out.find_last_not_of(' ') - begin + 1);
  for (size_t at; (at = out.find("  ")) != std::string::npos;) out.erase(at, 1);
  return out;
}

std::string DefaultText(const Message& message, const FieldDescriptor* field) {
  if (field->is_repeated()) return "";
  const auto* reflection = message.GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING: {
      const std::string text = reflection->GetString(message, field);
      return text.empty() ? "" : fmt::format("\"{}\"", text);
    }
    case FieldDescriptor::CPPTYPE_BOOL: return reflection->GetBool(message, field) ? "true" : "false";
    case FieldDescriptor::CPPTYPE_INT32: return fmt::format("{}", reflection->GetInt32(message, field));
    case FieldDescriptor::CPPTYPE_INT64: return fmt::format("{}", reflection->GetInt64(message, field));
    case FieldDescriptor::CPPTYPE_UINT32: return fmt::format("{}", reflection->GetUInt32(message, field));
    case FieldDescriptor::CPPTYPE_UINT64: return fmt::format("{}", reflection->GetUInt64(message, field));
    case FieldDescriptor::CPPTYPE_FLOAT: return fmt::format("{}", reflection->GetFloat(message, field));
    case FieldDescriptor::CPPTYPE_DOUBLE: return fmt::format("{}", reflection->GetDouble(message, field));
    case FieldDescriptor::CPPTYPE_ENUM: return reflection->GetEnum(message, field)->name();
    case FieldDescriptor::CPPTYPE_MESSAGE: return "";
  }
  return "";
}

void AppendHelp(const Message& message, const DescriptorPool& docs, const std::string& prefix, int depth,
                std::string* out) {
  const Descriptor* type = message.GetDescriptor();
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* field = type->field(i);
    const std::string path = prefix + field->name();
    if (field->message_type() != nullptr && !field->is_repeated() && depth < kMaxHelpDepth) {
      AppendHelp(message.GetReflection()->GetMessage(message, field), docs, path + ".", depth + 1, out);
      continue;
    }
    const std::string type_name = field->is_map() ? "map" : field->is_repeated() ? "list" : field->type_name();
    const std::string value = DefaultText(message, field);
    *out += fmt::format("  {}  ({}{}{})\n", path, type_name, value.empty() ? "" : ", default ", value);
    google::protobuf::SourceLocation location;
    const FieldDescriptor* documented = docs.FindFieldByName(field->full_name());
    if (documented != nullptr && documented->GetSourceLocation(&location)) {
      const std::string text = OneLine(location.leading_comments + location.trailing_comments);
      if (!text.empty()) *out += fmt::format("      {}\n", text);
    }
  }
}

class Bounds {
 public:
  void Range(const char* field, uint64_t value, uint64_t low, uint64_t high) {
    if (value < low || value > high) {
      violations_.push_back({field, fmt::format("must be from {} to {}, is {}", low, high, value)});
    }
  }
  void OneOf(const char* field, const std::string& value, std::initializer_list<std::string_view> choices) {
    for (const std::string_view choice : choices) {
      if (value == choice) return;
    }
    violations_.push_back({field, fmt::format("must be one of {}, is \"{}\"", fmt::join(choices, ", "), value)});
  }
  void Tls(const std::string& field, const v1::TlsConfig& tls) {
    if (tls.cert_file().empty() != tls.key_file().empty()) {
      violations_.push_back({field, "cert_file and key_file belong together"});
    }
  }
  void Require(bool good, const char* field, const char* why) {
    if (!good) violations_.push_back({field, why});
  }
  absl::Status Result() const { return InvalidFields(violations_); }

 private:
  std::vector<FieldViolation> violations_;
};

}  // namespace

v1::ServerConfig DefaultServerConfig(uint32_t grpc_port, uint32_t metrics_port) {
  v1::ServerConfig config;
  v1::GrpcConfig* grpc = config.mutable_grpc();
  grpc->set_host("127.0.0.1");
  grpc->set_port(grpc_port);
  grpc->mutable_tls();
  grpc->set_max_receive_mb(16);
  grpc->set_max_queued_calls(256);
  grpc->set_default_deadline_seconds(60);
  grpc->set_max_deadline_seconds(600);
  grpc->set_max_concurrent_streams(1000);
  grpc->set_reflection(true);
  grpc->set_max_streams(64);
  config.mutable_metrics()->set_host("127.0.0.1");
  config.mutable_metrics()->set_port(metrics_port);
  config.mutable_log()->set_level("info");
  config.mutable_log()->set_format("auto");
  config.mutable_auth()->set_issuer("vedette");
  config.mutable_auth()->set_audience("vedette");
  config.mutable_postgres()->set_pool_size(8);
  config.mutable_postgres()->set_statement_timeout_ms(30'000);
  config.mutable_postgres()->set_checkout_timeout_ms(5'000);
  config.mutable_nats();
  config.mutable_client_tls();
  config.set_shutdown_seconds(20);
  return config;
}

absl::Status ValidateServerConfig(const v1::ServerConfig& config) {
  Bounds bounds;
  const v1::GrpcConfig& grpc = config.grpc();
  bounds.Require(!grpc.host().empty(), "grpc.host", "must not be empty");
  bounds.Range("grpc.port", grpc.port(), 0, 65535);
  bounds.Range("grpc.max_receive_mb", grpc.max_receive_mb(), 1, 256);
  bounds.Range("grpc.worker_threads", grpc.worker_threads(), 0, 1024);
  bounds.Range("grpc.max_queued_calls", grpc.max_queued_calls(), 1, 100'000);
  bounds.Range("grpc.default_deadline_seconds", grpc.default_deadline_seconds(), 1, 3600);
  bounds.Range("grpc.max_deadline_seconds", grpc.max_deadline_seconds(), 1, 86'400);
  bounds.Range("grpc.max_concurrent_streams", grpc.max_concurrent_streams(), 1, 100'000);
  bounds.Range("grpc.max_streams", grpc.max_streams(), 1, 100'000);
  bounds.Tls("grpc.tls", grpc.tls());
  bounds.Require(config.metrics().disabled() || !config.metrics().host().empty(), "metrics.host", "must not be empty");
  bounds.Range("metrics.port", config.metrics().port(), 0, 65535);
  bounds.OneOf("log.level", config.log().level(), {"debug", "info", "warning", "error"});
  bounds.OneOf("log.format", config.log().format(), {"auto", "json", "text"});
  bounds.Require(!config.auth().public_key_file().empty(), "auth.public_key_file",
                 "must name the file with the public key that tokens are signed for");
  bounds.Require(!config.auth().issuer().empty(), "auth.issuer", "must not be empty");
  bounds.Require(!config.auth().audience().empty(), "auth.audience", "must not be empty");
  bounds.Range("postgres.pool_size", config.postgres().pool_size(), 1, 200);
  bounds.Range("postgres.statement_timeout_ms", config.postgres().statement_timeout_ms(), 1, 3'600'000);
  bounds.Range("postgres.checkout_timeout_ms", config.postgres().checkout_timeout_ms(), 1, 60'000);
  bounds.Tls("client_tls", config.client_tls());
  bounds.Range("drain_seconds", config.drain_seconds(), 0, 300);
  bounds.Range("shutdown_seconds", config.shutdown_seconds(), 1, 600);
  return bounds.Result();
}

std::string ConfigHelp(std::string_view service, const Message& defaults) {
  std::string prefix(service);
  for (char& c : prefix) c = c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  std::string out = fmt::format(
      "usage: vedette-{0} [--config FILE.json] [--set KEY=VALUE] [--check-config | --print-config | --help]\n\n"
      "A key comes from, later ones win: its default, --config, the environment (VEDETTE_{1}__SERVER__GRPC__PORT=...),\n"
      "--set server.grpc.port=... The leading \"server.\" may be left out in the environment and in --set.\n\nKeys:\n",
      service, prefix);
  AppendHelp(defaults, *DocumentedProtos(), "", 0, &out);
  return out;
}

}  // namespace vedette::runtime
