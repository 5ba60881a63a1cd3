#include "controlplane/api/json_rpc.h"

#include <boost/json.hpp>

namespace mire::api {
namespace {

namespace json = boost::json;

constexpr int kParseError = -32700;
constexpr int kInvalidRequest = -32600;
constexpr int kMethodNotFound = -32601;
constexpr size_t kLargestBatch = 100;

json::value error(json::value id, int code, std::string_view message) {
  return json::object{
      {"jsonrpc", "2.0"},
      {"id", std::move(id)},
      {"error", json::object{{"code", code}, {"message", json::string_view(message.data(), message.size())}}}};
}

bool may_be_id(const json::value& v) { return v.is_string() || v.is_number() || v.is_null(); }

// Null for a notification.
json::value answer_one(const json::value& request, const Methods& methods) {
  const json::object* o = request.if_object();
  if (o == nullptr) return error(nullptr, kInvalidRequest, "a request is an object");
  const json::value* id = o->if_contains("id");
  if (id != nullptr && !may_be_id(*id)) return error(nullptr, kInvalidRequest, "id is a string, a number or null");
  const json::value own_id = id != nullptr ? *id : json::value(nullptr);
  const json::value* version = o->if_contains("jsonrpc");
  const json::value* name = o->if_contains("method");
  const json::value* params = o->if_contains("params");
  if (version == nullptr || !version->is_string() || version->get_string() != "2.0")
    return error(own_id, kInvalidRequest, "jsonrpc is \"2.0\"");
  if (name == nullptr || !name->is_string()) return error(own_id, kInvalidRequest, "method is a string");
  if (params != nullptr && !params->is_object() && !params->is_array())
    return error(own_id, kInvalidRequest, "params are an object or an array");
  const json::string& text = name->get_string();
  const auto method = methods.find(std::string_view(text.data(), text.size()));
  if (method == methods.end()) return id == nullptr ? json::value() : error(own_id, kMethodNotFound, "no such method");
  json::value result = method->second(params != nullptr ? *params : json::value(json::object{}));
  if (id == nullptr) return {};
  return json::object{{"jsonrpc", "2.0"}, {"id", own_id}, {"result", std::move(result)}};
}

}  // namespace

std::string answer(std::string_view line, const Methods& methods) {
  json::error_code broken;
  const json::value request = json::parse(json::string_view(line.data(), line.size()), broken);
  if (broken) return json::serialize(error(nullptr, kParseError, "not JSON"));
  const json::array* batch = request.if_array();
  if (batch == nullptr) {
    const json::value one = answer_one(request, methods);
    return one.is_null() ? std::string{} : json::serialize(one);
  }
  if (batch->empty() || batch->size() > kLargestBatch)
    return json::serialize(error(nullptr, kInvalidRequest, "a batch holds 1 to 100 requests"));
  json::array answers;
  for (const json::value& request_in_batch : *batch)
    if (json::value one = answer_one(request_in_batch, methods); !one.is_null()) answers.push_back(std::move(one));
  return answers.empty() ? std::string{} : json::serialize(answers);
}

}  // namespace mire::api
