#include "runtime/config.h"

#include <google/protobuf/util/json_util.h>
#include <unistd.h>

#include <charconv>
#include <functional>
#include <nlohmann/json.hpp>
#include <regex>

#include "base/status.h"
#include "runtime/filter.h"
#include "runtime/status.h"
#include "runtime/watched_file.h"

extern char** environ;

namespace vedette::runtime {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using nlohmann::json;

std::string ToJson(const Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string text;
  const auto status = google::protobuf::util::MessageToJsonString(message, &text, options);
  return status.ok() ? text : "{}";  // only an Any of unknown type can fail, and there is none
}

/// Applies layers onto a JSON tree that mirrors the message, and collects what is wrong with them. (Layers are merged as
/// JSON because a proto3 message cannot tell "set to false" from "not set".)
class Layers {
 public:
  Layers(json tree, const Descriptor* root) : tree_(std::move(tree)), root_(root) {}

  void ApplyFile(const std::string& path) {
    const absl::StatusOr<std::string> text = ReadSmallFile(path);
    if (!text.ok()) return Complain("--config", std::string(Message2(text.status())));
    json layer;
    try {
      layer = json::parse(*text);
    } catch (const json::exception& e) {
      return Complain(path, e.what());
    }
    if (!layer.is_object()) return Complain(path, "must hold a JSON object");
    Merge(root_, layer, &tree_, "", path);
  }

  /// `keys` from the root; `source` names the layer in errors.
  void ApplyText(std::vector<std::string> keys, const std::string& value, const std::string& source, bool dashes) {
    const FieldDescriptor* server = root_->FindFieldByName("server");
    const bool known = keys.empty() || Find(root_, keys.front()) != nullptr;
    if (!known && server != nullptr && server->message_type() != nullptr &&
        Find(server->message_type(), keys.front()) != nullptr) {
      keys.insert(keys.begin(), "server");
    }
    json* node = &tree_;
    const Descriptor* type = root_;
    std::string path;
    for (size_t i = 0; i < keys.size(); ++i) {
      const FieldDescriptor* field = Find(type, keys[i]);
      if (field == nullptr) return Unknown(type, path, keys[i], source);
      path += (path.empty() ? "" : ".") + field->name();
      json& child = (*node)[field->name()];
      const bool last = i + 1 == keys.size();
      if (field->is_map() && i + 2 == keys.size()) {
        std::string key = keys[i + 1];
        if (dashes) std::replace(key.begin(), key.end(), '_', '-');
        const FieldDescriptor* entry = field->message_type()->map_value();
        return Store(entry, path + "." + key, value, source, &child[key]);
      }
      if (last) return Store(field, path, value, source, &child);
      if (field->is_repeated() || field->message_type() == nullptr) {
        return Complain(source, fmt::format("{} has no keys of its own", path));
      }
      type = field->message_type();
      node = &child;
    }
    Complain(source, "names no key");
  }

  void Complain(const std::string& source, const std::string& why) { violations_.push_back({source, why}); }
  const std::vector<FieldViolation>& violations() const { return violations_; }
  const json& tree() const { return tree_; }

 private:
  static std::string_view Message2(const absl::Status& status) { return vedette::Message(status); }

  static const FieldDescriptor* Find(const Descriptor* type, const std::string& key) {
    if (const FieldDescriptor* field = type->FindFieldByName(key)) return field;
    return type->FindFieldByCamelcaseName(key);
  }

  void Unknown(const Descriptor* type, const std::string& path, const std::string& key, const std::string& source) {
    std::vector<std::string> names;
    for (int i = 0; i < type->field_count(); ++i) names.push_back(type->field(i)->name());
    const std::string full = path.empty() ? key : path + "." + key;
    const std::string nearest = NearestName(key, names);
    Complain(source, nearest.empty() ? fmt::format("unknown key {}; known: {}", full, fmt::join(names, ", "))
                                     : fmt::format("unknown key {}; did you mean {}?", full, nearest));
  }

  static bool IsScalarOfType(const FieldDescriptor* field, const json& value) {
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_STRING: return value.is_string();
      case FieldDescriptor::CPPTYPE_BOOL: return value.is_boolean();
      case FieldDescriptor::CPPTYPE_ENUM: return value.is_string() || value.is_number_integer();
      case FieldDescriptor::CPPTYPE_MESSAGE: return true;
      default: return value.is_number() || value.is_string();  // 64-bit integers are strings in proto3 JSON
    }
  }

  void Merge(const Descriptor* type, const json& layer, json* into, const std::string& prefix, const std::string& source) {
    for (const auto& [key, value] : layer.items()) {
      const FieldDescriptor* field = Find(type, key);
      if (field == nullptr) {
        Unknown(type, prefix, key, source);
        continue;
      }
      const std::string path = prefix.empty() ? field->name() : prefix + "." + field->name();
      MergeField(field, value, &(*into)[field->name()], path, source);
    }
  }

  void MergeField(const FieldDescriptor* field, const json& value, json* slot, const std::string& path,
                  const std::string& source) {
    const auto expect = [&](bool good, std::string_view what) {
      if (!good) Complain(source, fmt::format("{} must be {}", path, what));
      return good;
    };
    if (field->is_map()) {
      if (!expect(value.is_object(), "an object")) return;
      for (const auto& [key, entry] : value.items()) (*slot)[key] = entry;
    } else if (field->is_repeated()) {
      if (expect(value.is_array(), "a list")) *slot = value;
    } else if (field->message_type() != nullptr && !field->message_type()->full_name().starts_with("google.protobuf.")) {
      if (expect(value.is_object(), "an object")) Merge(field->message_type(), value, slot, path, source);
    } else if (expect(IsScalarOfType(field, value), fmt::format("a {}", field->type_name()))) {
      *slot = value;
    }
  }

  void Store(const FieldDescriptor* field, const std::string& path, const std::string& value, const std::string& source,
             json* slot) {
    const bool text = !field->is_repeated() && (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING ||
                                                field->cpp_type() == FieldDescriptor::CPPTYPE_ENUM);
    const json parsed = text ? json(value) : json::parse(value, nullptr, false);
    if (parsed.is_discarded()) {
      return Complain(source, fmt::format("{}: \"{}\" is not a {}", path, value,
                                          field->is_repeated() ? "JSON list" : field->type_name()));
    }
    MergeField(field, parsed, slot, path, source);
  }

  json tree_;
  const Descriptor* root_;
  std::vector<FieldViolation> violations_;
};

std::vector<std::string> Split(std::string_view text, std::string_view separator) {
  std::vector<std::string> parts;
  for (size_t begin = 0;;) {
    const size_t end = text.find(separator, begin);
    parts.emplace_back(text.substr(begin, end == std::string_view::npos ? end : end - begin));
    if (end == std::string_view::npos) return parts;
    begin = end + separator.size();
  }
}

struct Options {
  ConfigAction action = ConfigAction::kRun;
  std::vector<std::string> files, sets;
};

absl::StatusOr<Options> ParseArguments(std::span<const char* const> args) {
  Options options;
  for (size_t i = 0; i < args.size(); ++i) {
    std::string_view name = args[i];
    if (name == "--help" || name == "-h") {
      options.action = ConfigAction::kHelp;
    } else if (name == "--check-config") {
      options.action = ConfigAction::kCheck;
    } else if (name == "--print-config") {
      options.action = ConfigAction::kPrint;
    } else {
      std::string value;
      const size_t equals = name.find('=');
      const std::string_view flag = name.substr(0, equals);
      if (flag != "--config" && flag != "--set") {
        return InvalidArgument("unknown argument {}; known: --config FILE, --set KEY=VALUE, --check-config, "
                               "--print-config, --help", name);
      }
      if (equals != std::string_view::npos) {
        value = name.substr(equals + 1);
      } else if (++i < args.size()) {
        value = args[i];
      } else {
        return InvalidArgument("{} needs a value", flag);
      }
      (flag == "--config" ? options.files : options.sets).push_back(value);
    }
  }
  return options;
}

void Redact(json* node) {
  static const std::regex kKeyword("(password\\s*=\\s*)('[^']*'|[^\\s]+)", std::regex::icase);
  static const std::regex kUserInfo("(://[^:/@\\s]*:)[^@\\s]*@");
  for (auto& [key, value] : node->items()) {
    if (value.is_structured()) {
      Redact(&value);
    } else if (value.is_string() && !value.get<std::string>().empty()) {
      const std::string_view name = key;
      if (name.ends_with("password") || name.ends_with("secret") || name.ends_with("token")) {
        value = "***";
      } else {
        value = std::regex_replace(std::regex_replace(value.get<std::string>(), kKeyword, "$1***"), kUserInfo, "$1***@");
      }
    }
  }
}

}  // namespace

absl::StatusOr<ConfigAction> LoadConfig(std::string_view service, std::span<const char* const> args,
                                        const std::map<std::string, std::string>& environment, Message* config) {
  ASSIGN_OR_RETURN(const Options options, ParseArguments(args));
  if (options.action == ConfigAction::kHelp) return options.action;
  Layers layers(json::parse(ToJson(*config), nullptr, false), config->GetDescriptor());
  for (const std::string& file : options.files) layers.ApplyFile(file);

  std::string prefix = "VEDETTE_";
  for (const char c : service) {
    prefix.push_back(c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c))));
  }
  prefix += "__";
  for (const auto& [name, value] : environment) {
    if (!name.starts_with(prefix)) continue;
    std::string key = name.substr(prefix.size());
    for (char& c : key) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    layers.ApplyText(Split(key, "__"), value, name, /*dashes=*/true);
  }
  for (const std::string& set : options.sets) {
    const size_t equals = set.find('=');
    if (equals == std::string::npos) {
      layers.Complain("--set", fmt::format("\"{}\" is not of the form key=value", set));
    } else {
      layers.ApplyText(Split(set.substr(0, equals), "."), set.substr(equals + 1), "--set", /*dashes=*/false);
    }
  }
  RETURN_IF_ERROR(InvalidFields(layers.violations()));
  config->Clear();
  const auto status = google::protobuf::util::JsonStringToMessage(
      layers.tree().dump(-1, ' ', false, json::error_handler_t::replace), config);
  if (!status.ok()) return InvalidArgument("configuration: {}", std::string(status.message()));
  return options.action;
}

std::map<std::string, std::string> Environment() {
  std::map<std::string, std::string> out;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const size_t equals = text.find('=');
    if (equals != std::string_view::npos) out.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return out;
}

std::string PrintConfig(const Message& config) {
  json tree = json::parse(ToJson(config), nullptr, false);
  Redact(&tree);
  return tree.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

absl::StatusOr<std::string> ReadSecretFile(const std::string& path) {
  ASSIGN_OR_RETURN(std::string content, ReadSmallFile(path));
  while (!content.empty() && (content.back() == '\n' || content.back() == '\r')) content.pop_back();
  return content;
}

}  // namespace vedette::runtime
