// metrics.h - the dataplane's and mired's numbers for Prometheus: GET /metrics.
//
// Every drop, reset and release with its reason: mire_segments_total{reason=…}. Names are stable; docs/operating.md
// lists them.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/json/object.hpp>
#include <functional>
#include <string>

#include "controlplane/api/exposition.h"
#include "controlplane/api/http_server.h"
#include "dataplane/base/result.h"

namespace mire::methods {

// What the dataplane says of itself, as it answers mired (dataplane/lcore/telemetry.h): JSON text.
using AskDataplane = std::function<boost::asio::awaitable<Result<std::string>>(std::string kind)>;

// The answers to `stats`, `flows` and `interfaces` as metrics. What is missing or of another form is left out.
void add_stats(api::Exposition&, const boost::json::object& stats);
void add_flows(api::Exposition&, const boost::json::object& flows);
void add_interfaces(api::Exposition&, const boost::json::object& interfaces);

// mire_up is 0 while the dataplane does not answer. `own` adds mired's numbers.
[[nodiscard]] api::HttpHandler metrics(AskDataplane, std::function<void(api::Exposition&)> own);

}  // namespace mire::methods
