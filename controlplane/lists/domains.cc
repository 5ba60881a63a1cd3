#include "controlplane/lists/domains.h"

#include <algorithm>
#include <boost/unordered/unordered_flat_map.hpp>
#include <map>
#include <set>
#include <utility>

#include "controlplane/lists/backoff.h"

namespace mire::lists {
namespace {

constexpr Duration kSoonest = std::chrono::hours{1};
constexpr Duration kLatest = std::chrono::hours{24};
constexpr Duration kAgainFirst = std::chrono::minutes{2};
constexpr Duration kAgainMost = std::chrono::hours{4};
constexpr Duration kForgotten = std::chrono::hours{7 * 24};
constexpr size_t kWalksAtOnce = 4;

std::string small(std::string_view text) {
  if (text.ends_with('.')) text.remove_suffix(1);
  std::string out(text);
  for (char& c : out) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  return out;
}

}  // namespace

struct Domains::State : std::enable_shared_from_this<Domains::State> {
  struct Entry {
    std::vector<Domain> uses;  // of the configuration; none: a recipient's
    SpfResult latest;          // without its prefixes
    std::shared_ptr<const std::vector<wire::Prefix>> prefixes;
    Time read_at{};
    Time next{};     // its place in `due`
    Time used_at{};  // recipients': its place in `by_use`
    uint32_t failures = 0;
    bool walking = false;
    bool ever = false;
  };
  using Entries = std::map<std::string, Entry>;

  State(DnsSource& source, Clock the_clock, Told the_told)
      : dns(source), clock(std::move(the_clock)), told(std::move(the_told)) {}

  DnsSource& dns;
  Clock clock;
  Told told;
  Entries entries;
  std::set<std::pair<Time, std::string>> due;     // those that are not walking
  std::set<std::pair<Time, std::string>> by_use;  // recipients' domains
  DomainCounters counters;
  Budget budget{1, std::chrono::minutes{1}};
  size_t most_recipients = 0;
  bool outbound = false;
  size_t walking = 0;

  void schedule(const std::string& name, Entry& entry, Time next) {
    due.erase({entry.next, name});
    entry.next = next;
    due.emplace(next, name);
  }
  // A recipient's domain is looked up again only when somebody delivers there again.
  void rest(const std::string& name, Entry& entry, Time next) {
    if (!entry.uses.empty()) return schedule(name, entry, next);
    entry.next = next;
  }
  void use(const std::string& name, Entry& entry, Time now) {
    by_use.erase({entry.used_at, name});
    entry.used_at = now;
    by_use.emplace(now, name);
  }
  void forget(Entries::iterator at) {
    due.erase({at->second.next, at->first});
    by_use.erase({at->second.used_at, at->first});
    entries.erase(at);
  }
  void forget_unused(Time now);
  [[nodiscard]] bool may_look_again(const std::string& name, const Entry& entry, Time now) const {
    return entry.uses.empty() && !entry.walking && entry.next <= now && !due.contains({entry.next, name});
  }
  Entries::iterator make_recipient(const std::string& name, Time now);
  void walk(const std::string& name, Entry& entry);
  void walked(const std::string& name, SpfResult result);
  [[nodiscard]] DomainStatus status(const std::string& name, const Entry& entry) const;
};

Domains::Domains(DnsSource& dns, Clock clock, Told told)
    : state_(std::make_shared<State>(dns, std::move(clock), std::move(told))) {}
Domains::~Domains() = default;

void Domains::configure(const Settings& settings) {
  State& s = *state_;
  const Time now = s.clock();
  std::map<std::string, std::vector<Domain>> wanted;
  for (const Domain& domain : settings.domains) wanted[small(domain.name)].push_back(domain);
  for (auto at = s.entries.begin(); at != s.entries.end();) {
    const auto here = at++;
    const bool was_configured = !here->second.uses.empty();
    const auto found = wanted.find(here->first);
    if (found != wanted.end()) {
      if (!was_configured) s.by_use.erase({here->second.used_at, here->first});
      here->second.uses = std::move(found->second);
      if (!here->second.walking) s.schedule(here->first, here->second, here->second.next);
      wanted.erase(found);
    } else if (was_configured || !settings.outbound_trust) {
      s.forget(here);
    }
  }
  for (auto& [name, uses] : wanted) {
    State::Entry& entry = s.entries[name];
    entry.uses = std::move(uses);
    s.schedule(name, entry, now);
  }
  s.budget = Budget(settings.outbound_per_minute, std::chrono::minutes{1});
  s.most_recipients = settings.outbound_domains;
  s.outbound = settings.outbound_trust && s.most_recipients > 0;
  while (s.by_use.size() > s.most_recipients) s.forget(s.entries.find(s.by_use.begin()->second));
  s.told.wake();
}

std::vector<wire::Prefix> Domains::delivered_to(std::string_view domain) {
  State& s = *state_;
  ++s.counters.delivered;
  if (!s.outbound) return {};
  if (!is_domain(domain)) {
    ++s.counters.not_a_domain;
    return {};
  }
  const Time now = s.clock();
  const std::string name = small(domain);
  auto found = s.entries.find(name);
  const bool fresh = found == s.entries.end();
  if (fresh || s.may_look_again(name, found->second, now)) {
    if (s.budget.take(now)) {
      if (fresh) found = s.make_recipient(name, now);
      s.schedule(name, found->second, now);
      s.told.wake();
    } else {
      ++s.counters.over_budget;
      if (fresh) return {};
    }
  }
  if (found->second.uses.empty()) s.use(name, found->second, now);
  return found->second.prefixes ? *found->second.prefixes : std::vector<wire::Prefix>{};
}

Domains::State::Entries::iterator Domains::State::make_recipient(const std::string& name, Time now) {
  forget_unused(now);
  if (by_use.size() >= most_recipients) {
    ++counters.evicted;
    forget(entries.find(by_use.begin()->second));
  }
  return entries.emplace(name, Entry{}).first;
}

void Domains::State::forget_unused(Time now) {
  while (!by_use.empty() && now - by_use.begin()->first > kForgotten) forget(entries.find(by_use.begin()->second));
}

void Domains::run_due() {
  State& s = *state_;
  const Time now = s.clock();
  s.forget_unused(now);
  while (s.walking < kWalksAtOnce && !s.due.empty() && s.due.begin()->first <= now) {
    const std::string name = s.due.begin()->second;
    s.walk(name, s.entries.at(name));
  }
}

std::optional<Time> Domains::next_due() const {
  if (state_->due.empty() || state_->walking >= kWalksAtOnce) return {};  // walked() goes on
  return state_->due.begin()->first;
}

void Domains::State::walk(const std::string& name, Entry& entry) {
  due.erase({entry.next, name});
  entry.walking = true;
  ++walking;
  ++counters.walks;
  walk_spf(dns, name, SpfLimits{}, [weak = weak_from_this(), name](SpfResult result) {
    const auto self = weak.lock();
    if (!self) return;
    self->walked(name, std::move(result));
    self->told.wake();
  });
}

void Domains::State::walked(const std::string& name, SpfResult result) {
  --walking;
  switch (result.outcome) {
    case SpfOutcome::found: ++counters.found; break;
    case SpfOutcome::cut_short: ++counters.cut_short; break;
    case SpfOutcome::none: ++counters.none; break;
    case SpfOutcome::trouble: ++counters.trouble; break;
  }
  counters.too_wide += result.too_wide;
  const auto found = entries.find(name);
  if (found == entries.end() || !found->second.walking) return;  // forgotten, and perhaps known anew
  Entry& entry = found->second;
  const Time now = clock();
  entry.walking = false;
  entry.ever = true;
  std::vector<wire::Prefix> prefixes = std::exchange(result.prefixes, {});
  entry.latest = std::move(result);
  if (entry.latest.outcome == SpfOutcome::trouble) {
    const uint32_t doublings = std::min(entry.failures++, 10u);
    return rest(name, entry, now + std::min<Duration>(kAgainFirst * (1u << doublings), kAgainMost));
  }
  entry.failures = 0;
  entry.read_at = now;
  rest(name, entry, now + std::clamp<Duration>(seconds{entry.latest.ttl_s}, kSoonest, kLatest));
  const bool same = entry.prefixes ? *entry.prefixes == prefixes : prefixes.empty();
  if (same) return;
  entry.prefixes = std::make_shared<const std::vector<wire::Prefix>>(std::move(prefixes));
  told.changed(name, !entry.uses.empty());
}

DomainStatus Domains::State::status(const std::string& name, const Entry& entry) const {
  const Time now = clock();
  DomainStatus status;
  status.name = name;
  status.configured = !entry.uses.empty();
  status.outcome = entry.latest.outcome;
  status.why = entry.ever ? entry.latest.why : "not looked up yet";
  if (entry.prefixes) status.prefixes = *entry.prefixes;
  status.lookups = entry.latest.lookups;
  status.void_lookups = entry.latest.void_lookups;
  status.skipped = entry.latest.skipped;
  status.too_wide = entry.latest.too_wide;
  if (entry.read_at != Time{}) status.age = std::chrono::duration_cast<std::chrono::seconds>(now - entry.read_at);
  if (!entry.walking && entry.next > now)
    status.next = std::chrono::duration_cast<std::chrono::seconds>(entry.next - now);
  status.failures = entry.failures;
  return status;
}

std::shared_ptr<const std::vector<wire::Prefix>> Domains::prefixes(const std::string& domain) const {
  const auto found = state_->entries.find(small(domain));
  return found == state_->entries.end() ? nullptr : found->second.prefixes;
}

std::vector<DomainStatus> Domains::configured() const {
  std::vector<DomainStatus> all;
  for (const auto& [name, entry] : state_->entries)
    for (const Domain& use : entry.uses) {
      all.push_back(state_->status(name, entry));
      all.back().group = use.group.empty() ? name : use.group;
      all.back().source_class = use.source_class;
    }
  return all;
}

std::vector<DomainStatus> Domains::recipients() const {
  std::vector<DomainStatus> all;
  for (const auto& [name, entry] : state_->entries)
    if (entry.uses.empty()) all.push_back(state_->status(name, entry));
  return all;
}

const DomainCounters& Domains::counters() const noexcept { return state_->counters; }

}  // namespace mire::lists
