#include "controlplane/api/params.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

namespace mire::api {

Params::Params(const boost::json::value& params, std::initializer_list<std::string_view> known)
    : object_(params.if_object()) {
  if (object_ == nullptr) {
    const boost::json::array* list = params.if_array();
    if (list == nullptr || !list->empty()) complain("params: an object with names is taken, no list");
    return;
  }
  for (const auto& [key, value] : *object_) {
    const std::string_view name(key.data(), key.size());
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    std::string all;
    for (const std::string_view k : known) all += fmt::format("{}{}", all.empty() ? "" : ", ", k);
    complain(fmt::format("{}: no such parameter; there {}", name, all.empty() ? "are none" : "is: " + all));
  }
}

std::optional<std::string> Params::text(std::string_view name) {
  const boost::json::value* v = find(name);
  if (v == nullptr) return std::nullopt;
  if (const boost::json::string* s = v->if_string()) return std::string(s->data(), s->size());
  complain(fmt::format("{}: a text is taken, in quotes", name));
  return std::nullopt;
}

std::optional<int64_t> Params::number(std::string_view name, int64_t least, int64_t most) {
  const boost::json::value* v = find(name);
  if (v == nullptr) return std::nullopt;
  boost::json::error_code failure;
  const auto n = v->is_number() ? v->to_number<int64_t>(failure) : 0;
  if (v->is_number() && !failure && n >= least && n <= most) return n;
  complain(fmt::format("{}: {}: a whole number from {} to {} is taken", name, boost::json::serialize(*v), least, most));
  return std::nullopt;
}

std::optional<double> Params::real(std::string_view name, double least, double most) {
  const boost::json::value* v = find(name);
  if (v == nullptr) return std::nullopt;
  boost::json::error_code failure;
  const auto n = v->is_number() ? v->to_number<double>(failure) : 0;
  if (v->is_number() && !failure && n >= least && n <= most) return n;
  complain(fmt::format("{}: {}: a number from {} to {} is taken", name, boost::json::serialize(*v), least, most));
  return std::nullopt;
}

std::optional<bool> Params::truth(std::string_view name) {
  const boost::json::value* v = find(name);
  if (v == nullptr) return std::nullopt;
  if (v->is_bool()) return v->get_bool();
  complain(fmt::format("{}: true or false is taken", name));
  return std::nullopt;
}

const boost::json::value* Params::find(std::string_view name) const {
  return object_ == nullptr ? nullptr : object_->if_contains({name.data(), name.size()});
}

void Params::complain(std::string text) {
  if (error_.empty()) error_ = std::move(text);
}

}  // namespace mire::api
