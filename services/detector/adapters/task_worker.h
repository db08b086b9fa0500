// Tasks from the work stream: fit one model, score one range of rows. A task is acknowledged after its result is in the
// facts stream, so a worker that dies at any point loses nothing; results carry ids that make a second attempt the same.
#pragma once

#include "base/thread_pool.h"
#include "messaging/consume.h"
#include "messaging/publish.h"
#include "runtime/client.h"
#include "llm/assistant.h"
#include "services/detector/core/engine.h"

namespace vedette::detector {

class TaskWorker {
 public:
  struct Options {
    int max_deliver = 6;       ///< after so many deliveries a task counts as failed
    int inline_features = 64;  ///< of the native explanation that go with each finding
  };
  TaskWorker(Engine& engine, runtime::Channels& channels, const runtime::TokenFile& own_token,
             messaging::Publisher& publisher, llm::Assistant& assistant, ThreadPool* pool, Options options)
      : engine_(engine), channels_(channels), own_token_(own_token), publisher_(publisher), assistant_(assistant), pool_(pool),
        options_(options) {}

  /// For work.fit.> and work.score.>.
  messaging::Outcome HandleFit(const messaging::Message& message, std::stop_token stop);
  messaging::Outcome HandleScore(const messaging::Message& message, std::stop_token stop);

 private:
  absl::Status Fit(const messaging::Message& message, std::stop_token stop);
  absl::Status Score(const messaging::Message& message, std::stop_token stop);
  /// Ack, another try, or (when another try would not help) the fact that the task failed.
  template <typename Task>
  messaging::Outcome Conclude(const messaging::Message& message, const absl::Status& status);
  absl::Status Publish(const std::string& subject, const std::string& type, const std::string& id, const std::string& tenant,
                       const std::string& traceparent, const std::string& data);

  Engine& engine_;
  runtime::Channels& channels_;
  const runtime::TokenFile& own_token_;
  messaging::Publisher& publisher_;
  llm::Assistant& assistant_;
  ThreadPool* pool_;
  Options options_;
};

}  // namespace vedette::detector
