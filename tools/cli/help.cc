#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "cli/command.h"
#include "cli/terminal.h"

namespace vedette::cli {
namespace {

constexpr size_t kIndent = 30;

std::string_view Title(Section section) {
  switch (section) {
    case Section::kFind:
      return "Find odd rows in a file";
    case Section::kModels:
      return "Models and algorithms";
    case Section::kPlatform:
      return "The platform";
    case Section::kOther:
      return "Other";
  }
  return "";
}

/// "  left        text wrapped beside it".
void Entry(std::string* out, std::string_view left, std::string_view text, int width, size_t indent) {
  const std::string head = fmt::format("  {}", left);
  const auto lines = Wrap(text, static_cast<size_t>(width) > indent + 20 ? static_cast<size_t>(width) - indent : 20);
  if (head.size() + 2 > indent) {
    *out += head + "\n";
  } else {
    *out += fmt::format("{:<{}}{}\n", head, indent, lines[0]);
  }
  for (size_t i = head.size() + 2 > indent ? 0 : 1; i < lines.size(); ++i) {
    *out += fmt::format("{:<{}}{}\n", "", indent, lines[i]);
  }
}

std::string FlagHead(const Flag& flag) {
  std::string head = flag.letter != 0 ? fmt::format("-{}, ", flag.letter) : "";
  head += fmt::format("--{}", flag.name);
  if (flag.type == FlagType::kSwitch) return head;
  return head + " " +
         std::string(flag.type == FlagType::kChoice && flag.value_name.empty() ? flag.choices : flag.value_name);
}

std::string FlagText(const Flag& flag) {
  std::string text(flag.doc);
  if (flag.type == FlagType::kChoice && !flag.value_name.empty()) {
    text += fmt::format("; one of {}", fmt::join(Split(flag.choices, '|'), ", "));
  }
  if ((flag.type == FlagType::kInt || flag.type == FlagType::kReal) && flag.max < 1e15) {
    text += fmt::format("; {} to {}", flag.min, flag.max);
  }
  if (flag.type == FlagType::kPairs || flag.type == FlagType::kList) text += "; may be repeated";
  if (!flag.default_value.empty()) text += fmt::format(" (default {})", flag.default_value);
  return text;
}

}  // namespace

std::vector<const Command*> AllCommands() {
  const auto listed = ListedCommands();
  std::vector<const Command*> all(listed.begin(), listed.end());
  std::sort(all.begin(), all.end(), [](const Command* a, const Command* b) {
    return std::tie(a->section, a->order, a->name) < std::tie(b->section, b->order, b->name);
  });
  return all;
}

std::string HelpOverview(int width) {
  std::string out =
      "vedette finds the odd rows of a table and says why.\n\n"
      "usage: vedette COMMAND [options]\n";
  const Command* last = nullptr;
  for (const Command* c : AllCommands()) {
    if (last == nullptr || last->section != c->section) out += fmt::format("\n{}\n", Title(c->section));
    Entry(&out, c->name, c->summary, width, 16);
    last = c;
  }
  out += "\nExamples\n";
  Entry(&out, "vedette detect sales.csv", "odd rows of a file, with reasons", width, 48);
  Entry(&out, "vedette explain sales.csv --row 17", "why that row", width, 48);
  Entry(&out, "vedette generate retail -o retail.csv", "data to try it on", width, 48);
  out += "\n'vedette COMMAND --help' documents a command. Exit codes: 0 done, 1 failed, 2 wrong command line.\n";
  return out;
}

std::string HelpPage(const Command& command, int width) {
  std::string out = fmt::format("{}\n\nusage: {}\n", command.summary, command.usage);
  if (!command.positionals.empty()) {
    out += "\n";
    for (const auto& p : command.positionals) Entry(&out, p.name, p.doc, width, 16);
  }
  for (size_t start = 0; start < command.details.size();) {
    size_t end = command.details.find("\n\n", start);
    if (end == std::string_view::npos) end = command.details.size();
    out += "\n";
    for (const auto& line : Wrap(command.details.substr(start, end - start), static_cast<size_t>(width)))
      out += line + "\n";
    start = end + 2;
  }
  for (const auto& group : command.flags) {
    out += fmt::format("\n{}\n", group.title);
    for (const auto& flag : group.flags) Entry(&out, FlagHead(flag), FlagText(flag), width, kIndent);
  }
  if (!command.examples.empty()) out += "\nExamples\n";
  for (const auto& example : command.examples) {
    out += fmt::format("  # {}\n  {}\n", example.what, example.line);
  }
  return out;
}

}  // namespace vedette::cli
