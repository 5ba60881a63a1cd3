#include "controlplane/methods/metrics.h"

#include <array>
#include <boost/asio/awaitable.hpp>
#include <boost/json.hpp>
#include <optional>
#include <string_view>

#include "dataplane/policy/types.h"

namespace mire::methods {
namespace {

namespace asio = boost::asio;
namespace json = boost::json;
using api::Exposition;

std::string_view name_of(const json::key_value_pair& row) { return {row.key().data(), row.key().size()}; }

std::optional<double> number(const json::value& v) {
  if (!v.is_number()) return std::nullopt;
  return v.to_number<double>();
}

const json::object* section(const json::object& of, const char* name) {
  const json::value* found = of.if_contains(name);
  return found == nullptr ? nullptr : found->if_object();
}

bool is_reason(std::string_view name) {
  for (size_t r = 0; r < policy::kReasons; ++r)
    if (policy::to_string(static_cast<policy::Reason>(r)) == name) return true;
  return false;
}

// "frames_in_wan" is frames_in of port wan.
std::optional<std::pair<std::string, std::string>> by_port(std::string_view name) {
  for (const std::string_view port : {"wan", "lan"})
    if (name.ends_with(port) && name.size() > port.size() && name[name.size() - port.size() - 1] == '_')
      return std::pair{std::string(name.substr(0, name.size() - port.size() - 1)), std::string(port)};
  return std::nullopt;
}

void add_total(Exposition& e, std::string_view name, double value) {
  constexpr std::string_view kVerdict = "verdict_";
  if (is_reason(name)) {
    e.counter("mire_segments_total", "segments and steps of flows, by the reason of what became of them", value,
              {{"reason", std::string(name)}});
  } else if (name.starts_with(kVerdict)) {
    e.counter("mire_verdicts_total", "verdicts on segments", value,
              {{"verdict", std::string(name.substr(kVerdict.size()))}});
  } else if (const auto port = by_port(name)) {
    e.counter("mire_" + port->first + "_total", "frames or bytes of the dataplane, by port", value,
              {{"port", port->second}});
  } else if (name == "late_ms_max") {
    e.gauge("mire_late_ms_max", "the latest that a hold ended after its deadline, in milliseconds", value);
  } else if (name == "fragments_waiting") {
    e.gauge("mire_fragments_waiting", "IP fragments that wait for the rest", value);
  } else {
    e.counter("mire_" + std::string(name) + "_total", "a counter of the dataplane: docs/operating.md", value);
  }
}

asio::awaitable<std::optional<json::object>> asked(const AskDataplane& ask, std::string kind) {
  Result<std::string> said = co_await ask(std::move(kind));
  if (!said) co_return std::nullopt;
  json::error_code failure;
  json::value parsed = json::parse(*said, failure);
  if (failure || !parsed.is_object()) co_return std::nullopt;
  co_return std::move(parsed.get_object());
}

}  // namespace

void add_stats(Exposition& e, const json::object& stats) {
  const json::object* total = section(stats, "total");
  if (total == nullptr) return;
  for (const auto& row : *total)
    if (const auto value = number(row.value())) add_total(e, name_of(row), *value);
}

void add_flows(Exposition& e, const json::object& flows) {
  if (const json::object* states = section(flows, "states"))
    for (const auto& row : *states)
      if (const auto value = number(row.value()))
        e.gauge("mire_flows", "flows that are tracked, by state", *value, {{"state", std::string(name_of(row))}});
  if (const json::object* opened = section(flows, "opened"))
    for (const auto& row : *opened) {
      const std::string_view name = name_of(row);
      const size_t cut = name.rfind('_');
      const auto value = number(row.value());
      if (value && cut != std::string_view::npos)
        e.counter("mire_flows_opened_total", "flows whose handshake was proven, by class and family", *value,
                  {{"class", std::string(name.substr(0, cut))}, {"family", std::string(name.substr(cut + 1))}});
    }
}

void add_interfaces(Exposition& e, const json::object& interfaces) {
  for (const char* port : {"wan", "lan"}) {
    const json::object* rows = section(interfaces, port);
    if (rows == nullptr) continue;
    for (const auto& row : *rows)
      if (const auto value = number(row.value()))
        e.counter("mire_port_" + std::string(name_of(row)) + "_total",
                  "a counter of the port or of the XDP program on it", *value, {{"port", port}});
  }
}

api::HttpHandler metrics(AskDataplane ask, std::function<void(Exposition&)> own) {
  return [ask = std::move(ask), own = std::move(own)](api::HttpRequest request) -> asio::awaitable<api::HttpResponse> {
    if (request.method != "GET") co_return api::HttpResponse{405, "text/plain; charset=utf-8", "GET, please\n"};
    if (request.target != "/metrics")
      co_return api::HttpResponse{404, "text/plain; charset=utf-8", "the metrics are at /metrics\n"};
    Exposition e;
    const std::optional<json::object> stats = co_await asked(ask, "stats");
    e.gauge("mire_up", "1: the dataplane answers", stats ? 1 : 0);
    if (stats) {
      add_stats(e, *stats);
      if (const std::optional<json::object> flows = co_await asked(ask, "flows")) add_flows(e, *flows);
      if (const std::optional<json::object> ports = co_await asked(ask, "interfaces")) add_interfaces(e, *ports);
    }
    own(e);
    co_return api::HttpResponse{200, Exposition::kContentType, e.text()};
  };
}

}  // namespace mire::methods
