#include "controlplane/api/json_rpc.h"

#include <boost/json.hpp>
#include <exception>

namespace mire::api {
namespace {

namespace asio = boost::asio;
namespace json = boost::json;

constexpr int kParseError = -32700;
constexpr int kInvalidRequest = -32600;
constexpr int kMethodNotFound = -32601;
constexpr int kInternalError = -32603;
constexpr size_t kLargestBatch = 100;

json::string_view view(std::string_view text) { return {text.data(), text.size()}; }

json::value error(json::value id, int code, std::string_view message) {
  return json::object{
      {"jsonrpc", "2.0"}, {"id", std::move(id)}, {"error", json::object{{"code", code}, {"message", view(message)}}}};
}

bool may_be_id(const json::value& v) { return v.is_string() || v.is_number() || v.is_null(); }

// What is wrong with the form of a request; nullptr: nothing.
const char* complaint(const json::object& request) {
  const json::value* version = request.if_contains("jsonrpc");
  const json::value* name = request.if_contains("method");
  const json::value* params = request.if_contains("params");
  if (version == nullptr || !version->is_string() || version->get_string() != "2.0") return "jsonrpc is \"2.0\"";
  if (name == nullptr || !name->is_string()) return "method is a string";
  if (params != nullptr && !params->is_object() && !params->is_array()) return "params are an object or an array";
  return nullptr;
}

// A method's own trouble is no reason for the others to end.
asio::awaitable<json::value> call(const Method& method, const json::object& request, json::value id, Caller caller) {
  // Named, not a temporary inside co_await: GCC 12 destroys such a one twice.
  json::value params = json::object{};
  if (const json::value* given = request.if_contains("params")) params = *given;
  try {
    Answer answer = co_await method.run(std::move(params), std::move(caller));
    if (!answer) co_return error(std::move(id), kRefused, answer.error());
    co_return json::object{{"jsonrpc", "2.0"}, {"id", std::move(id)}, {"result", std::move(answer).value()}};
  } catch (const boost::system::system_error& trouble) {
    if (trouble.code() == asio::error::operation_aborted) throw;  // we end
    co_return error(std::move(id), kInternalError, trouble.what());
  } catch (const std::exception& trouble) {
    co_return error(std::move(id), kInternalError, trouble.what());
  }
}

// Null for a notification.
asio::awaitable<json::value> answer_one(const json::value& request, const Methods& methods, Caller caller) {
  const json::object* o = request.if_object();
  if (o == nullptr) co_return error(nullptr, kInvalidRequest, "a request is an object");
  const json::value* id = o->if_contains("id");
  if (id != nullptr && !may_be_id(*id)) co_return error(nullptr, kInvalidRequest, "id is a string, a number or null");
  json::value own_id = id != nullptr ? *id : json::value(nullptr);
  if (const char* wrong = complaint(*o)) co_return error(own_id, kInvalidRequest, wrong);
  const json::string& name = o->at("method").get_string();
  const auto found = methods.find(std::string_view(name.data(), name.size()));
  json::value out;
  if (found == methods.end()) {
    out = error(own_id, kMethodNotFound, "no such method");
  } else if (found->second.right == Right::change && !caller.may_change) {
    out = error(own_id, kForbidden, "not allowed for " + caller.name + ": it takes group mire-admin");
  } else {
    out = co_await call(found->second, *o, own_id, std::move(caller));
  }
  if (id == nullptr) co_return json::value();
  co_return out;
}

}  // namespace

asio::awaitable<std::string> answer(std::string line, const Methods& methods, Caller caller) {
  json::error_code broken;
  const json::value request = json::parse(view(line), broken);
  if (broken) co_return json::serialize(error(nullptr, kParseError, "not JSON"));
  const json::array* batch = request.if_array();
  if (batch == nullptr) {
    const json::value one = co_await answer_one(request, methods, std::move(caller));
    co_return one.is_null() ? std::string{} : json::serialize(one);
  }
  if (batch->empty() || batch->size() > kLargestBatch)
    co_return json::serialize(error(nullptr, kInvalidRequest, "a batch holds 1 to 100 requests"));
  json::array answers;
  for (const json::value& one_of_them : *batch) {
    json::value one = co_await answer_one(one_of_them, methods, caller);
    if (!one.is_null()) answers.push_back(std::move(one));
  }
  co_return answers.empty() ? std::string{} : json::serialize(answers);
}

std::string refusal(std::string_view message) { return json::serialize(error(nullptr, kRefused, message)); }

std::string notification(std::string_view method, const json::value& params) {
  return json::serialize(json::object{{"jsonrpc", "2.0"}, {"method", view(method)}, {"params", params}});
}

}  // namespace mire::api
