// spf_walk.h - from a domain to the prefixes that its SPF record lets send: RFC 7208 walked for everybody at once.
//
// Only terms with the qualifier + count as trust. Terms that depend on the sender or the client (macros, exists, ptr)
// are skipped and counted. The limits of RFC 7208 4.6.4 hold: 10 terms that ask DNS, 2 void look-ups, 10 names a mx.
// Where a limit or an error in a record ends the walk, what came before it stands: a receiver that reads from left to
// right lets these pass, too. Trouble with DNS ends it without a result: the caller keeps its old one.
// Prefixes wider than /8 (IPv6 /19) are refused and counted. Refuses to know sockets, caches and time.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "controlplane/lists/dns.h"

namespace mire::lists {

struct SpfLimits {
  uint32_t lookups = 10;
  uint32_t void_lookups = 2;
  uint32_t exchanges = 10;    // names of one mx
  uint32_t prefixes = 4'096;  // of one domain, before they are aggregated
};

enum class SpfOutcome : uint8_t {
  found,      // walked to its end
  cut_short,  // a limit or a broken record ended it; what came before it stands
  none,       // no SPF record
  trouble,    // DNS did not answer: nothing is known
};
inline constexpr size_t kSpfOutcomes = 4;
[[nodiscard]] std::string_view to_string(SpfOutcome) noexcept;

struct SpfResult {
  SpfOutcome outcome = SpfOutcome::none;
  std::string why;                     // for people; empty if found
  std::vector<wire::Prefix> prefixes;  // aggregated
  uint32_t ttl_s = 0;                  // the smallest on the way
  uint32_t lookups = 0;                // terms that asked DNS
  uint32_t void_lookups = 0;
  uint32_t skipped = 0;   // terms with macros, exists, ptr
  uint32_t too_wide = 0;  // prefixes refused
};

// `done` is called once, later; not at all if the source goes before.
void walk_spf(DnsSource&, const std::string& domain, const SpfLimits&, std::function<void(SpfResult)> done);

}  // namespace mire::lists
