#include "services/gateway/adapters/openapi.h"

#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/status.h"
#include "services/gateway/adapters/upload.h"

namespace vedette::gateway {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using Json = nlohmann::ordered_json;

std::string FirstSentence(const std::string& comment) {
  const size_t end = comment.find(". ");
  const size_t line = comment.find(".\n");
  return comment.substr(0, std::min(std::min(end, line), comment.size()));
}

std::string OneLine(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

/// "anomalies" -> "anomaly", "featureSets" -> "featureSet".
std::string Singular(const std::string& plural) {
  if (plural.ends_with("ies")) return plural.substr(0, plural.size() - 3) + "y";
  return plural.ends_with("s") ? plural.substr(0, plural.size() - 1) : plural;
}

/// Wildcards named after the literal before them: "/v1/{name=jobs/*}:cancel" -> "/v1/jobs/{job}:cancel".
std::string PathOf(const PathTemplate& path, std::vector<std::string>* parameters) {
  std::string out, before = "id";
  for (const PathSegment& segment : path.segments) {
    if (segment.kind == PathSegment::kLiteral) {
      out += "/" + segment.literal;
      before = segment.literal;
    } else {
      parameters->push_back(Singular(before));
      out += "/{" + parameters->back() + "}";
    }
  }
  return path.verb.empty() ? out : out + ":" + path.verb;
}

/// Collects the schemas of all messages that are reached.
class Schemas {
 public:
  Json Reference(const Descriptor& type) {
    const std::string name = Name(type.full_name());
    if (started_.insert(name).second) all_[name] = Message(type);
    return {{"$ref", "#/components/schemas/" + name}};
  }

  Json Field(const FieldDescriptor& field) {
    if (field.is_map())
      return {{"type", "object"}, {"additionalProperties", Single(*field.message_type()->map_value())}};
    if (field.is_repeated()) return {{"type", "array"}, {"items", Single(field)}};
    return Single(field);
  }

  const std::map<std::string, Json>& all() const { return all_; }

 private:
  /// vedette.jobs.v1.Job.State -> jobs.Job.State
  static std::string Name(std::string name) {
    if (name.starts_with("vedette.")) name = name.substr(8);
    if (const size_t version = name.find(".v1."); version != std::string::npos) name.erase(version, 3);
    return name;
  }

  Json Message(const Descriptor& type) {
    Json properties = Json::object();
    for (int i = 0; i < type.field_count(); ++i) {
      const FieldDescriptor& field = *type.field(i);
      Json schema = Field(field);
      if (const std::string comment = Comment(field); !comment.empty()) {
        // Whatever stands beside a $ref is ignored in OpenAPI 3.0, hence allOf.
        if (schema.contains("$ref")) schema = {{"allOf", Json::array({schema})}};
        schema["description"] = comment;
      }
      properties[field.name()] = std::move(schema);
    }
    Json out = {{"type", "object"}, {"properties", properties}};
    if (const std::string comment = Comment(type); !comment.empty()) out["description"] = comment;
    return out;
  }

  static Json Enum(const EnumDescriptor& type) {
    Json out = {{"type", "string"}, {"enum", Json::array()}};
    std::string text = Comment(type);
    for (int i = 0; i < type.value_count(); ++i) {
      out["enum"].push_back(type.value(i)->name());
      const std::string comment = Comment(*type.value(i));
      if (!comment.empty()) text += (text.empty() ? "" : "\n") + fmt::format("{}: {}", type.value(i)->name(), comment);
    }
    if (!text.empty()) out["description"] = text;
    return out;
  }

  static Json WellKnown(const std::string& name) {
    if (name == "google.protobuf.Timestamp") return {{"type", "string"}, {"format", "date-time"}};
    if (name == "google.protobuf.Duration") return {{"type", "string"}, {"example", "1.5s"}};
    if (name == "google.protobuf.Struct" || name == "google.protobuf.Empty" || name == "google.protobuf.Any")
      return {{"type", "object"}};
    if (name == "google.protobuf.FieldMask") return {{"type", "string"}};
    if (name == "google.protobuf.ListValue") return {{"type", "array"}, {"items", Json::object()}};
    return Json::object();  // Value, wrappers: anything
  }

  Json Single(const FieldDescriptor& field) {
    switch (field.type()) {
      case FieldDescriptor::TYPE_DOUBLE:
        return {{"type", "number"}, {"format", "double"}};
      case FieldDescriptor::TYPE_FLOAT:
        return {{"type", "number"}, {"format", "float"}};
      case FieldDescriptor::TYPE_BOOL:
        return {{"type", "boolean"}};
      case FieldDescriptor::TYPE_STRING:
        return {{"type", "string"}};
      case FieldDescriptor::TYPE_BYTES:
        return {{"type", "string"}, {"format", "byte"}};
      case FieldDescriptor::TYPE_ENUM:
        return Enum(*field.enum_type());
      case FieldDescriptor::TYPE_MESSAGE:
      case FieldDescriptor::TYPE_GROUP:
        if (field.message_type()->full_name().starts_with("google.protobuf."))
          return WellKnown(field.message_type()->full_name());
        return Reference(*field.message_type());
      default:
        break;
    }
    const bool wide =
        field.cpp_type() == FieldDescriptor::CPPTYPE_INT64 || field.cpp_type() == FieldDescriptor::CPPTYPE_UINT64;
    const bool is_unsigned =
        field.cpp_type() == FieldDescriptor::CPPTYPE_UINT64 || field.cpp_type() == FieldDescriptor::CPPTYPE_UINT32;
    if (wide) return {{"type", "string"}, {"format", is_unsigned ? "uint64" : "int64"}};
    return {{"type", "integer"}, {"format", is_unsigned ? "uint32" : "int32"}};
  }

  std::set<std::string> started_;
  std::map<std::string, Json> all_;
};

/// Fields of the request that are neither in the path nor in the body.
void AddQuery(const Descriptor& type, const std::string& prefix, const std::set<std::string>& taken, int depth,
              Schemas& schemas, Json* parameters) {
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    const std::string name = prefix + field.name();
    if (taken.contains(name) || field.is_map()) continue;
    const bool message = field.message_type() != nullptr;
    const bool textual =
        message && (field.message_type()->name() == "Timestamp" || field.message_type()->name() == "Duration");
    if (message && !textual) {
      if (!field.is_repeated() && depth > 0 && !field.message_type()->full_name().starts_with("google.protobuf.")) {
        AddQuery(*field.message_type(), name + ".", taken, depth - 1, schemas, parameters);
      }
      continue;
    }
    Json parameter = {{"name", name}, {"in", "query"}, {"schema", schemas.Field(field)}};
    if (const std::string comment = Comment(field); !comment.empty()) parameter["description"] = comment;
    parameters->push_back(std::move(parameter));
  }
}

Json ErrorAnswer() { return {{"$ref", "#/components/responses/Error"}}; }

Json Operation(const Binding& binding, const std::vector<std::string>& path_parameters, Schemas& schemas) {
  const auto& rpc = *binding.rpc;
  const std::string comment = Comment(rpc);
  Json out = {{"operationId", rpc.service()->name() + "_" + rpc.name()},
              {"tags", Json::array({rpc.service()->name()})},
              {"summary", comment.empty() ? rpc.name() : OneLine(FirstSentence(comment))}};
  out["description"] = fmt::format("{}{}Permission: `{}`.", comment, comment.empty() ? "" : "\n\n", binding.permission);
  Json parameters = Json::array();
  for (const std::string& name : path_parameters) {
    parameters.push_back({{"name", name}, {"in", "path"}, {"required", true}, {"schema", {{"type", "string"}}}});
  }
  if (!binding.whole_body) {
    std::set<std::string> taken;
    for (const PathVariable& variable : binding.path.variables) taken.insert(variable.field_path);
    if (binding.body_field != nullptr) taken.insert(binding.body_field->name());
    AddQuery(*rpc.input_type(), "", taken, 2, schemas, &parameters);
  }
  if (!parameters.empty()) out["parameters"] = std::move(parameters);
  if (binding.has_body()) {
    const Descriptor& type = binding.whole_body ? *rpc.input_type() : *binding.body_field->message_type();
    out["requestBody"] = {{"content", {{"application/json", {{"schema", schemas.Reference(type)}}}}}};
  }
  const bool empty = rpc.output_type()->full_name() == "google.protobuf.Empty";
  const Json schema = empty ? Json{{"type", "object"}} : schemas.Reference(*rpc.output_type());
  Json content = binding.streams()
                     ? Json{{"application/x-ndjson", {{"schema", schema}}}, {"text/event-stream", {{"schema", schema}}}}
                     : Json{{"application/json", {{"schema", schema}}}};
  out["responses"] = {{"200", {{"description", "OK"}, {"content", std::move(content)}}}, {"default", ErrorAnswer()}};
  return out;
}

Json UploadOperation(const Api& api, Schemas& schemas) {
  const Json text = {{"type", "string"}};
  Json parameters = Json::array();
  Json properties = Json::object();
  if (const Descriptor* metadata =
          api.pool().FindMessageTypeByName("vedette.ingest.v1.UploadDatasetRequest.Metadata")) {
    AddQuery(*metadata, "", {}, 0, schemas, &parameters);
    for (int i = 0; i < metadata->field_count(); ++i)
      properties[metadata->field(i)->name()] = schemas.Field(*metadata->field(i));
  }
  const Json binary = {{"schema", {{"type", "string"}, {"format", "binary"}}}};
  properties["file"] = binary["schema"];
  Json out = {{"operationId", "IngestService_UploadDataset"},
              {"tags", Json::array({"IngestService"})},
              {"summary", "Streams a file in"},
              {"description",
               "The body is the file, or a form whose fields come before its file. Plain or gzip.\n\nPermission: "
               "`datasets.write`."},
              {"parameters", parameters}};
  out["requestBody"] = {{"required", true},
                        {"content",
                         {{"text/csv", binary},
                          {"application/gzip", binary},
                          {"application/octet-stream", binary},
                          {"multipart/form-data", {{"schema", {{"type", "object"}, {"properties", properties}}}}}}}};
  Json ok = {{"description", "OK"}};
  if (const Descriptor* dataset = api.pool().FindMessageTypeByName("vedette.ingest.v1.Dataset")) {
    ok["content"] = {{"application/json", {{"schema", schemas.Reference(*dataset)}}}};
  }
  out["responses"] = {{"200", ok}, {"default", ErrorAnswer()}};
  return out;
}

Json ErrorSchema() {
  const Json error = {{"type", "object"},
                      {"properties",
                       {{"code", {{"type", "integer"}, {"description", "The HTTP status"}}},
                        {"status", {{"type", "string"}, {"description", "Name of the google.rpc.Code"}}},
                        {"message", {{"type", "string"}}},
                        {"details",
                         {{"type", "array"},
                          {"items", {{"type", "object"}}},
                          {"description", "google.rpc messages with their @type"}}}}}};
  return {{"type", "object"}, {"properties", {{"error", error}}}};
}

std::string Escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out.push_back(c);
    }
  }
  return out;
}

}  // namespace

std::string OpenApiDocument(const Api& api, const std::string& version) {
  Schemas schemas;
  Json paths = Json::object();
  paths[std::string(kUploadPath)]["post"] = UploadOperation(api, schemas);
  for (const Binding& binding : api.bindings()) {
    std::vector<std::string> parameters;
    const std::string path = PathOf(binding.path, &parameters);
    std::string method = binding.http_method;
    std::transform(method.begin(), method.end(), method.begin(), [](unsigned char c) { return std::tolower(c); });
    paths[path][method] = Operation(binding, parameters, schemas);
  }
  Json all = Json::object();
  for (const auto& [name, schema] : schemas.all()) all[name] = schema;
  all["Error"] = ErrorSchema();
  const Json document = {
      {"openapi", "3.0.3"},
      {"info",
       {{"title", "Vedette"},
        {"version", version},
        {"description", "Finds what is wrong in the numbers a business runs on, and says why."}}},
      {"security", Json::array({{{"bearer", Json::array()}}})},
      {"paths", paths},
      {"components",
       {{"securitySchemes", {{"bearer", {{"type", "http"}, {"scheme", "bearer"}, {"bearerFormat", "JWT"}}}}},
        {"responses",
         {{"Error",
           {{"description", "What went wrong"},
            {"content", {{"application/json", {{"schema", {{"$ref", "#/components/schemas/Error"}}}}}}}}}}},
        {"schemas", all}}}};
  return document.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string LandingPage(const Api& api, const std::string& version) {
  std::string rows =
      fmt::format("<tr><td>POST</td><td><code>{}</code></td><td>Streams a file in</td></tr>\n", kUploadPath);
  for (const Binding& binding : api.bindings()) {
    std::vector<std::string> parameters;
    const std::string comment = Comment(*binding.rpc);
    rows += fmt::format("<tr><td>{}</td><td><code>{}</code></td><td>{}</td></tr>\n", binding.http_method,
                        Escape(PathOf(binding.path, &parameters)),
                        Escape(comment.empty() ? binding.rpc->name() : FirstSentence(comment)));
  }
  return fmt::format(
      "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">"
      "<title>Vedette</title><style>body{{font:16px/1.5 system-ui,sans-serif;margin:2rem "
      "auto;max-width:64rem;padding:0 1rem}}"
      "td{{padding:.2rem .8rem;vertical-align:top;border-top:1px solid #8884}}table{{border-collapse:collapse}}"
      "@media(prefers-color-scheme:dark){{body{{background:#111;color:#ddd}}a{{color:#8bf}}}}</style>"
      "<h1>Vedette {}</h1><p>Every call needs <code>Authorization: Bearer TOKEN</code>. For machines: "
      "<a href=\"/openapi.json\">openapi.json</a>. Health: <a "
      "href=\"/readyz\">readyz</a>.</p><table>\n{}</table></html>\n",
      Escape(version), rows);
}

}  // namespace vedette::gateway
