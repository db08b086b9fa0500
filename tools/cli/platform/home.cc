#include "cli/platform/home.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "base/ids.h"
#include "base/status.h"

namespace vedette::cli {
namespace {

constexpr Flag kHome[] = {{.name = "home",
                           .type = FlagType::kText,
                           .value_name = "FOLDER",
                           .doc = "where the local platform keeps everything (default $VEDETTE_HOME, or .vedette here)"}};

constexpr ServiceInfo kServices[] = {
    {"ingest", "vedette.ingest.v1.IngestService", 1, true, true},
    {"feature-engine", "vedette.features.v1.FeatureEngineService", 2, true, false},
    {"model-cache", "vedette.modelcache.v1.ModelCacheService", 4, true, false},
    {"triage", "vedette.triage.v1.TriageService", 6, true, true},
    {"explainer", "vedette.explainer.v1.ExplainerService", 5, true, true},
    {"benchmark", "vedette.benchmark.v1.BenchmarkService", 7, true, false},
    {"job-orchestrator", "vedette.jobs.v1.JobService", 8, true, true},
    {"detector", "vedette.detector.v1.DetectorService", 3, false, true},
    {"gateway", "", 9, false, false},
};

bool PortIsFree(int port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  const bool free = ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  ::close(fd);
  return free;
}

absl::Status MakeFolder(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) == 0 || errno == EEXIST) {
    ::chmod(path.c_str(), mode);
    return absl::OkStatus();
  }
  return FailedPrecondition("the folder {} cannot be made: {}", path, std::strerror(errno));
}

}  // namespace

constinit const FlagGroup kHomeFlags = {"Platform", kHome};

std::span<const ServiceInfo> Services() { return kServices; }

Home Home::From(const Args& args) {
  std::string root = args.Text("home");
  if (root.empty()) {
    const char* fromenv = std::getenv("VEDETTE_HOME");
    root = fromenv != nullptr && *fromenv != 0 ? fromenv : ".vedette";
  }
  return {std::filesystem::absolute(root).lexically_normal().string()};
}

absl::Status Home::Create() const {
  // The database server may run as another user, who must be able to pass through; the secrets are closed to all others.
  RETURN_IF_ERROR(MakeFolder(root, 0711));
  RETURN_IF_ERROR(MakeFolder(root + "/secrets", 0700));
  RETURN_IF_ERROR(MakeFolder(root + "/config", 0700));
  RETURN_IF_ERROR(MakeFolder(root + "/logs", 0711));
  RETURN_IF_ERROR(MakeFolder(root + "/postgres", 0711));
  RETURN_IF_ERROR(MakeFolder(Nats(), 0700));
  return MakeFolder(Objects(), 0700);
}

absl::Status WritePrivate(const std::string& path, std::string_view content) {
  const std::string partial = fmt::format("{}.{}", path, ::getpid());
  const int fd = ::open(partial.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return FailedPrecondition("{} cannot be written: {}", path, std::strerror(errno));
  const bool written = ::write(fd, content.data(), content.size()) == static_cast<ssize_t>(content.size());
  ::close(fd);
  if (!written || ::rename(partial.c_str(), path.c_str()) != 0) {
    ::unlink(partial.c_str());
    return FailedPrecondition("{} cannot be written: {}", path, std::strerror(errno));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadWhole(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return NotFound("{} cannot be read: {}", path, std::strerror(errno));
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

absl::StatusOr<std::string> Home::MakeSecret(std::string_view name) const {
  const std::string path = Secret(name);
  if (auto there = ReadWhole(path); there.ok() && !there->empty()) return there;
  const std::string secret = RandomHex(24);
  RETURN_IF_ERROR(WritePrivate(path, secret));
  return secret;
}

absl::StatusOr<Ports> Ports::From(int base) {
  Ports p;
  p.rest = base;
  p.nats = base + 22;
  p.postgres = base + 32;
  std::vector<std::pair<int, std::string>> all = {{p.rest, "REST"}, {p.nats, "NATS"}, {p.postgres, "PostgreSQL"}};
  for (const ServiceInfo& s : kServices) {
    const std::string name(s.name);
    all.emplace_back(p.grpc[name] = base + s.port_offset, name);
    all.emplace_back(p.metrics[name] = base + 100 + s.port_offset, name + " metrics");
  }
  std::string taken;
  for (const auto& [port, use] : all) {
    if (!PortIsFree(port)) taken += fmt::format("{}{} ({})", taken.empty() ? "" : ", ", port, use);
  }
  if (!taken.empty()) {
    return ResourceExhausted("in use by another program: port {}; choose others with --ports BASE, or --ports auto", taken);
  }
  return p;
}

absl::StatusOr<Ports> Ports::Free() {
  // Below the range from which the system gives ports to outgoing connections: one of those could take a port between
  // this look and the service's start.
  constexpr int kLowest = 10000, kHighest = 32000;
  std::random_device random;
  std::uniform_int_distribution<int> base(kLowest, kHighest);
  absl::StatusOr<Ports> ports;
  for (int attempt = 0; attempt < 100; ++attempt) {
    ports = From(base(random));
    if (ports.ok()) break;
  }
  return ports;
}

}  // namespace vedette::cli
