// lists.h - lists.show, dnsbl.show, dnsbl.test, groups.show: what `show lists|dnsbl|groups` and `test dnsbl` ask.
#pragma once

#include "controlplane/api/method.h"
#include "controlplane/lists/lists.h"

namespace mire::methods {

// `lists` must outlive them. All read only, but that dnsbl.test asks DNS, within the zones' budget.
//   lists.show {}                 every feed and class domain, with its counts and its trouble
//   lists.show {"address": A}     the lists that hold it, and the class that follows
//   dnsbl.show {}                 zones, servers, counters
//   dnsbl.test {"address": A}     what the zones say; waits for them up to ten seconds, "complete" tells if all have
//   groups.show {}                each group with its domains and look-ups
//   groups.show {"group": NAME}   with every prefix, too
[[nodiscard]] api::Methods lists_methods(lists::Lists& lists);

}  // namespace mire::methods
