// methods.h - what operators ask of the lists, as JSON: the methods behind `show lists|dnsbl|groups` and `test dnsbl`.
//
// Free functions: parameters in, result out; whoever runs the API names and registers them (lists.show, dnsbl.show,
// dnsbl.test, groups.show). Read only, but that dnsbl_test asks DNS. Refuses to know sockets and callers.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/json/value.hpp>
#include <chrono>

#include "controlplane/lists/lists.h"

namespace mire::lists {

// {"address": A}: only the lists that hold it. Without: every feed and class domain, with its counts and its trouble.
[[nodiscard]] Result<boost::json::value> lists_show(const Lists&, const boost::json::value& params);
// Zones, servers, counters.
[[nodiscard]] boost::json::value dnsbl_show(const Lists&);
// {"address": A}: what the zones say. They are asked if they were not, and so long is waited for them; "complete"
// false: a zone did not answer.
[[nodiscard]] boost::asio::awaitable<Result<boost::json::value>> dnsbl_test(Lists&, boost::json::value params,
                                                                            std::chrono::milliseconds patience);
// {"group": NAME}: with every prefix. Without: each group with its domains, look-ups and number of prefixes.
[[nodiscard]] Result<boost::json::value> groups_show(const Lists&, const boost::json::value& params);

}  // namespace mire::lists
