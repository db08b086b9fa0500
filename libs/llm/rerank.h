// Re-ranking of detectors that rules have already chosen: the model orders that list and words why; it adds nothing.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "llm/client.h"

namespace vedette::llm {

struct RerankInput {
  struct Candidate {
    std::string name;      ///< an algorithm's, ours
    std::string evidence;  ///< ours: rule and benchmark figures
  };
  std::vector<Candidate> candidates;            ///< best first by the rules, 1 to 20
  std::map<std::string, double> meta_features;  ///< of the data set: numbers only, no names or cells from outside
};

struct Reranked {
  bool ok = false;                 ///< false: the rules' order stands
  std::vector<std::string> order;  ///< a permutation of the candidates' names
  std::string reason;
  std::string degraded_reason;
  bool cached = false;
  std::string prompt_json, answer_json;  ///< for the log: what was asked and answered
};

ChatRequest RerankRequest(const RerankInput& input);
/// Of {order[name], reason}: "schema" (not a permutation either), "ungrounded", "markup" or "".
std::string CheckRerank(const Json& answer, const RerankInput& input);
Reranked Rerank(Client& client, const std::string& tenant, const RerankInput& input, absl::Time deadline,
                std::stop_token stop = {});

}  // namespace vedette::llm
