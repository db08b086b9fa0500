// The words of an explanation: what the model is told, what it may answer. The numbers stay ours.
#pragma once

#include <absl/time/time.h>

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "llm/client.h"

namespace vedette::llm {

/// What leaves the machine, and how much of it.
struct Privacy {
  bool raw_strings = true;               ///< false: names and cell texts travel as "column_1" and "text_1"
  /// None: all; the others are not mentioned at all.
  std::optional<std::set<std::string>> allowed_columns = std::nullopt;
  bool Allows(const std::string& column) const { return !allowed_columns || allowed_columns->contains(column); }
  size_t max_cell_chars = 64;            ///< [8, 1000]
};

struct FeatureFact {
  std::string name;       ///< from outside
  int lag = 0;            ///< so many rows before is what it tells of
  std::string direction;  ///< high, low, different, missing or usual
  std::string actual;     ///< as shown to people
  std::string expected;
  bool numeric = true;    ///< actual and expected are numbers of ours, else cell texts from outside
  std::string share;      ///< "62%"
};

struct WordingInput {
  std::string subject;   ///< ours: "Row 12"
  std::string severity;  ///< computed; "" when it is not known here
  std::string detector;  ///< ours
  std::vector<FeatureFact> features;  ///< largest part first; at most 20 are sent
  bool no_single_driver = false;
  std::vector<std::string> incidents;  ///< ids that may be mentioned
};

struct Wording {
  bool ok = false;
  std::string text;             ///< when ok: one to three plain sentences
  std::string degraded_reason;  ///< why not; or, when ok, a warning
  bool cached = false;
};

/// The question: instructions are constant, everything from outside is in its data.
ChatRequest WordingRequest(const WordingInput& input, const Privacy& privacy);
/// The check of an answer {headline, top_features[{name, direction}], severity, confidence}: "schema", "ungrounded" (a
/// feature, direction, number, id or severity that is not the input's), "markup" or "".
std::string CheckWording(const Json& answer, const WordingInput& input, const Privacy& privacy);

/// The part of that check for any text of a model's about a finding, at most 1000 bytes. Only with `doubts` may it call the
/// finding a false alarm.
std::string CheckProse(const std::string& prose, const WordingInput& input, const Privacy& privacy, bool doubts);

/// A checked text with the names that the reader knows in place of aliases.
std::string Readable(std::string text, const WordingInput& input, const Privacy& privacy);

/// Asks and checks. `degraded_reason` "withheld" without asking when the column that matters most may not be sent.
Wording Word(Client& client, const std::string& tenant, const WordingInput& input, const Privacy& privacy,
             absl::Time deadline, std::stop_token stop = {});

}  // namespace vedette::llm
