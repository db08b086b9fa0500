// Text from outside on its way into a prompt, and a model's text on its way out.
#pragma once

#include <nlohmann/json.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace vedette::llm {

using Json = nlohmann::json;

/// The code points of UTF-8; each invalid byte becomes '?'.
std::vector<char32_t> Decode(std::string_view utf8);
std::string Encode(char32_t c);

/// Line ends and control characters become single spaces; bidi controls, zero-width and tag characters, variation
/// selectors and soft hyphens vanish; spaces at both ends too. What is longer than `max_chars` code points ends in "...".
std::string CleanText(std::string_view text, size_t max_chars);

/// JSON in ASCII, where < > & ` stand as \u escapes: data can neither close a tag, nor open a fence, nor form a
/// chat template's token, and any JSON reader gets the same value back.
std::string EncodeData(const Json& data);

/// Without one pair of ``` or ```json fences and the white space around it.
std::string_view StripFence(std::string_view text);

/// True when the text holds a URL, an HTML tag, a Markdown link, image or fence, or starts as a spreadsheet formula.
bool HasMarkup(std::string_view text);

/// About the number of tokens of a prompt, for budgets: a quarter of the bytes, rounded up.
inline long EstimateTokens(size_t bytes) { return static_cast<long>((bytes + 3) / 4); }

/// True when `value` is an object with exactly these members.
bool HasExactly(const Json& value, const std::vector<std::string>& members);

/// A strict schema object: all members required, none besides them.
Json StrictObject(const Json& properties);

}  // namespace vedette::llm
