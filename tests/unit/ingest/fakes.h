// Stores in memory, behind the ports of ingest.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/status.h"
#include "services/ingest/ports/blob_store.h"
#include "services/ingest/ports/dataset_store.h"
#include "services/ingest/ports/garbage_store.h"
#include "services/ingest/ports/upload_store.h"

namespace vedette::ingest {

class FakeBlobs final : public BlobStore {
 public:
  absl::Status Put(const std::string& key, std::string_view bytes) override {
    if (!fail_put.ok()) return fail_put;
    objects[key] = bytes;
    return absl::OkStatus();
  }
  absl::StatusOr<std::string> Get(const std::string& key, int64_t) override {
    const auto it = objects.find(key);
    if (it == objects.end()) return NotFound("no object {}", key);
    return it->second;
  }
  absl::Status RemoveAll(const std::string& prefix) override {
    std::erase_if(objects, [&](const auto& o) { return o.first.starts_with(prefix + "/"); });
    return absl::OkStatus();
  }
  std::map<std::string, std::string> objects;
  absl::Status fail_put;
};

/// One tenant; what an attempt did is written down in `log`.
class FakeStore final : public UploadStore, public DatasetStore, public GarbageStore {
 public:
  absl::StatusOr<Started> Begin(const std::string&, const UploadRequest& request) override {
    log += "begin ";
    if (finished.has_value()) return Started{.attempt = {}, .finished = finished};
    dataset.display_name = request.display_name;
    return Started{.attempt = {.dataset_id = "d1", .attempt_id = "a1"}, .finished = std::nullopt};
  }
  absl::Status Touch(const std::string&, const UploadAttempt&, int64_t bytes) override {
    log += "touch ";
    touched_bytes = bytes;
    return touch_status;
  }
  absl::StatusOr<Dataset> Commit(const std::string&, const UploadAttempt&, Dataset d,
                                 const std::vector<Chunk>& c) override {
    log += "commit ";
    if (!commit_status.ok()) return commit_status;
    dataset = std::move(d);
    dataset.state = DatasetState::kReady;
    chunks = c;
    return dataset;
  }
  absl::Status Fail(const std::string&, const UploadAttempt&, const Dataset& d) override {
    log += "fail ";
    dataset = d;
    return absl::OkStatus();
  }
  absl::Status Discard(const std::string&, const UploadAttempt&) override {
    log += "discard ";
    return absl::OkStatus();
  }

  absl::StatusOr<Dataset> Get(const std::string&, const std::string& id) override {
    if (id != dataset.id) return NotFound("no dataset {}", id);
    return dataset;
  }
  absl::StatusOr<Page<Dataset>> List(const std::string&, const ListQuery&) override {
    return Page<Dataset>{{dataset}, ""};
  }
  absl::Status Delete(const std::string&, const std::string&) override { return absl::OkStatus(); }
  absl::StatusOr<std::vector<Chunk>> Chunks(const std::string&, const std::string&, int64_t first,
                                            int64_t count) override {
    std::vector<Chunk> out;
    for (const Chunk& c : chunks) {
      if (c.first_row < first + count && c.first_row + c.rows > first) out.push_back(c);
    }
    return out;
  }

  absl::StatusOr<int64_t> AbandonUploads(absl::Time before) override {
    abandoned_before = before;
    return 0;
  }
  absl::StatusOr<std::vector<Garbage>> List(absl::Time, int limit) override {
    return std::vector<Garbage>(garbage.begin(),
                                garbage.begin() + std::min<std::ptrdiff_t>(limit, std::ssize(garbage)));
  }
  absl::Status Forget(const Garbage& g) override {
    std::erase_if(garbage, [&](const Garbage& x) { return x.prefix == g.prefix; });
    return absl::OkStatus();
  }

  std::string log;
  Dataset dataset;
  std::vector<Chunk> chunks;
  std::optional<Dataset> finished;
  std::vector<Garbage> garbage;
  absl::Time abandoned_before;
  int64_t touched_bytes = 0;
  absl::Status touch_status, commit_status;
};

}  // namespace vedette::ingest
