// A model's text says nothing that it was not told: every number, feature and id in it occurs in the input.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace vedette::llm {

/// What a text may mention.
struct Grounds {
  std::vector<std::string> names;   ///< features and cell texts; may be mentioned whole
  std::vector<std::string> values;  ///< computed numbers as shown ("1,234", "98%", "2.5e18") and ids, and nothing else
};

/// "" when the text is grounded and plain; else "ungrounded" or "markup". Checked are:
///  - numbers, by value (1,234 = 1234; "98%" needs the 98), also in words ("twelve", "twice");
///  - whatever mixes letters and digits (ids), and what looks like a name in code (a_b, a.b, aB): must be in the input;
///  - digits of other scripts: never, since nothing of ours writes them;
///  - markup: see HasMarkup.
/// Whole names are taken out before that: a cell text of more than three words only where it stands in double quotes.
std::string CheckText(std::string_view text, const Grounds& grounds);

}  // namespace vedette::llm
