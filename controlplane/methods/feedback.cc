#include "controlplane/methods/feedback.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cmath>

#include "controlplane/api/params.h"

namespace mire::methods {
namespace {

namespace json = boost::json;
using reputation::Kind;

constexpr std::array kKinds = {Kind::accepted, Kind::unknown_recipient, Kind::refusal, Kind::outbound, Kind::ham,
                               Kind::spam};

std::string small(std::string text) {
  for (char& c : text) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  return text;
}

Result<double> amount_of(const json::value& given) {
  const json::value* v = given.get_object().if_contains("amount");
  if (v == nullptr) return 1.0;
  json::error_code none;
  const double amount = v->is_number() ? v->to_number<double>(none) : 0;
  if (none || !std::isfinite(amount) || amount <= 0 || amount > kLargestAmount)
    return Error{fmt::format("amount: a number above 0 and not above {}", kLargestAmount)};
  return amount;
}

Result<Feedback> one(const json::value& given) {
  if (!given.is_object()) return Error{"an object is wanted"};
  api::Params params(given, {"source", "kind", "amount", "port", "domain"});
  const std::optional<std::string> source = params.text("source");
  const std::optional<std::string> kind = params.text("kind");
  const std::optional<int64_t> port = params.number("port", 0, 65'535);
  const std::optional<std::string> domain = params.text("domain");
  if (const Status s = params.status(); !s) return Error{s.error()};
  const std::optional<wire::Address> address = wire::parse_address(source.value_or(""));
  if (!address) return Error{fmt::format("source {}: no IP address", source.value_or("is missing"))};
  const std::optional<Kind> known = reputation::kind_named(kind.value_or(""));
  if (!known || std::find(kKinds.begin(), kKinds.end(), *known) == kKinds.end())
    return Error{fmt::format("kind {}: use accepted, unknown_recipient, refusal, outbound, ham or spam",
                             kind.value_or("is missing"))};
  if (domain && domain->size() > 253) return Error{"domain: longer than 253 bytes"};
  const Result<double> amount = amount_of(given);
  if (!amount) return Error{amount.error()};
  return Feedback{{*address, *known, *amount}, static_cast<uint16_t>(port.value_or(0)), small(domain.value_or(""))};
}

}  // namespace

Result<std::vector<Feedback>> parse_feedback(const json::value& params) {
  const json::object* o = params.if_object();
  const json::value* list = o != nullptr ? o->if_contains("observations") : nullptr;
  if (list == nullptr || !list->is_array() || o->size() != 1)
    return Error{"observations: an array is wanted, and nothing else"};
  if (list->get_array().size() > kMostFeedback)
    return Error{fmt::format("observations: more than {}; send them in several requests", kMostFeedback)};
  std::vector<Feedback> all;
  for (const json::value& given : list->get_array()) {
    Result<Feedback> read = one(given);
    if (!read) return Error{fmt::format("observation {}: {}; none was taken", all.size() + 1, read.error())};
    all.push_back(std::move(read).value());
  }
  return all;
}

api::Methods feedback_methods(std::function<void(const Feedback&)> take) {
  return {
      {"feedback", api::changes([take = std::move(take)](const json::value& params, const api::Caller&) -> api::Answer {
         const Result<std::vector<Feedback>> all = parse_feedback(params);
         if (!all) return Error{all.error()};
         for (const Feedback& feedback : *all) take(feedback);
         return json::value(json::object{{"taken", all->size()}});
       })}};
}

}  // namespace mire::methods
