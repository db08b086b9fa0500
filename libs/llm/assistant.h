// A model as one process uses it: the client, what each tenant lets out, and an account of every question. Also stands
// for "no model": then every answer is the reason "off".
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "llm/client.h"
#include "llm/rerank.h"
#include "llm/verdict.h"
#include "llm/wording.h"

namespace vedette::llm {

/// Told how every question ended, asked or not. `use`: wording, triage or rerank; `outcome`: see OutcomeLabel.
/// Thread-safe.
using Account = std::function<void(std::string_view use, std::string_view outcome)>;

/// One of a fixed list, for the label of a metric: "llm", "cache", or the reason why there is no answer; "other" for a
/// reason that the list lacks.
std::string_view OutcomeLabel(bool ok, bool cached, std::string_view reason);

/// When an answer must be there so that the caller can still use it: a quarter of the time that is left, at most 2 s,
/// is kept back for that.
absl::Time AnswerBy(absl::Time deadline, absl::Time now);

/// Thread-safe.
class Assistant {
 public:
  /// Off.
  explicit Assistant(Account account = nullptr) : account_(std::move(account)) {}
  /// `tenants` may lack a tenant, `others` stands for those.
  Assistant(std::unique_ptr<Client> client, std::map<std::string, Privacy> tenants, Privacy others,
            Account account = nullptr)
      : client_(std::move(client)),
        tenants_(std::move(tenants)),
        others_(std::move(others)),
        account_(std::move(account)) {}

  bool on() const { return client_ != nullptr; }
  const Privacy& PrivacyOf(const std::string& tenant) const;

  /// As the functions of the same names, by the tenant's privacy.
  Wording Word(const std::string& tenant, const WordingInput& input, absl::Time deadline, std::stop_token stop = {});
  TriageVerdict Triage(const std::string& tenant, const TriageInput& input, absl::Time deadline,
                       std::stop_token stop = {});
  Reranked Rerank(const std::string& tenant, const RerankInput& input, absl::Time deadline, std::stop_token stop = {});

 private:
  void Note(std::string_view use, bool ok, bool cached, std::string_view reason) const;

  std::unique_ptr<Client> client_;
  std::map<std::string, Privacy> tenants_;
  Privacy others_;
  Account account_;
};

}  // namespace vedette::llm
