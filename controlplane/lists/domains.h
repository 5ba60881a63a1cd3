// domains.h - which prefixes belong to a domain, by its SPF record: those of the configuration, and those of recipients
// whom our servers deliver to.
//
// Looked up again when the TTL is over (never sooner than an hour, never later than a day; a recipient's when somebody
// delivers there again). A look-up that fails keeps
// the old prefixes and is tried again, later and later. Recipients' domains are looked up by a budget, kept in a cache
// of fixed size, and forgotten when nobody delivered there for a week. Bounded: walks at once, domains, prefixes each.
// Refuses to know what trust is worth. Time comes from the clock that it is given; who runs due() decides when.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/lists/dns.h"
#include "controlplane/lists/settings.h"
#include "controlplane/lists/spf_walk.h"

namespace mire::lists {

struct DomainStatus {
  std::string name;
  std::string group;                                // of configured ones
  std::optional<policy::SourceClass> source_class;  // of configured ones
  bool configured = false;                          // else a recipient's
  SpfOutcome outcome = SpfOutcome::none;            // of the latest look-up
  std::string why;
  std::vector<wire::Prefix> prefixes;  // what is in force, perhaps of an older look-up
  uint32_t lookups = 0, void_lookups = 0, skipped = 0, too_wide = 0;
  std::optional<std::chrono::seconds> age;  // of the prefixes; nothing: never looked up
  std::chrono::seconds next{};              // until the next look-up
  uint32_t failures = 0;                    // in a row
};

struct DomainCounters {
  uint64_t walks = 0;
  uint64_t found = 0;
  uint64_t cut_short = 0;
  uint64_t none = 0;
  uint64_t trouble = 0;
  uint64_t too_wide = 0;      // prefixes refused
  uint64_t delivered = 0;     // deliveries that were told of
  uint64_t not_a_domain = 0;  // recipients' domains that no DNS name can be
  uint64_t over_budget = 0;   // recipients' domains not looked up: too many this minute
  uint64_t evicted = 0;       // recipients' domains that gave way in a full cache
};

class Domains {
 public:
  struct Told {
    // The prefixes of a domain have changed; its name is in small letters.
    std::function<void(const std::string& domain, bool configured)> changed;
    // next_due() may be another now; not the moment to call run_due().
    std::function<void()> wake;
  };

  Domains(DnsSource&, Clock, Told);
  ~Domains();
  Domains(const Domains&) = delete;
  Domains& operator=(const Domains&) = delete;

  void configure(const Settings&);
  // Our servers delivered to this domain. Its prefixes, if they are known; else they are looked up.
  std::vector<wire::Prefix> delivered_to(std::string_view domain);

  // Begins the look-ups that are due.
  void run_due();
  // When there is something to do next; nothing: never.
  [[nodiscard]] std::optional<Time> next_due() const;

  // Null: unknown.
  [[nodiscard]] std::shared_ptr<const std::vector<wire::Prefix>> prefixes(const std::string& domain) const;
  [[nodiscard]] std::vector<DomainStatus> configured() const;
  [[nodiscard]] std::vector<DomainStatus> recipients() const;
  [[nodiscard]] const DomainCounters& counters() const noexcept;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace mire::lists
