#include "controlplane/methods/report.h"

#include <fmt/format.h>

#include <boost/json.hpp>

#include "controlplane/api/params.h"

namespace mire::methods {
namespace {

namespace json = boost::json;
constexpr int64_t kNetworks = 20;

api::Answer daily(report::Book& book, const json::value& given, report::WallSeconds now) {
  api::Params params(given, {"date", "networks"});
  const std::optional<std::string> text = params.text("date");
  const int64_t networks = params.number("networks", 0, 1024).value_or(kNetworks);
  if (const Status s = params.status(); !s) return Error{s.error()};
  const auto date = text ? report::parse_date(*text) : std::optional(std::chrono::floor<std::chrono::days>(now));
  if (!date)
    return Error{fmt::format("date {}: not a date; write it as {}", *text,
                             report::to_string(std::chrono::floor<std::chrono::days>(now)))};
  Result<json::object> found = book.report(*date, now, static_cast<size_t>(networks));
  if (!found) return Error{found.error()};
  return json::value(std::move(found).value());
}

}  // namespace

api::Methods report_methods(report::Book& book, std::function<report::WallSeconds()> now) {
  return {{"report.daily", api::reads([&book, now = std::move(now)](const json::value& params, const api::Caller&) {
             return daily(book, params, now());
           })}};
}

}  // namespace mire::methods
