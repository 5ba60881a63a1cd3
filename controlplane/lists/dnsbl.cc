#include "controlplane/lists/dnsbl.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstring>
#include <set>
#include <utility>

#include "controlplane/lists/backoff.h"
#include "dataplane/base/keyed_hash.h"

namespace mire::lists {
namespace {

constexpr uint32_t kErrorCodes = 0x7fffff;  // 127.255.255/24
constexpr Duration kShortest = seconds{60};
constexpr Duration kLongestHit = std::chrono::hours{24};
constexpr Duration kLongestMiss = std::chrono::hours{3};
constexpr Duration kUnsaid = std::chrono::minutes{5};  // a negative answer without a SOA
constexpr Duration kAfterTrouble = seconds{60};        // before a zone is asked again about the same source
constexpr uint32_t kPatience = 8;                      // failures of a zone in a row
constexpr Duration kAsideFirst = seconds{30};
constexpr Duration kAsideMost = std::chrono::minutes{30};
constexpr Duration kTryLength = seconds{10};
constexpr size_t kMostAnswers = 16;

uint32_t number(const wire::Address& a) noexcept {
  return uint32_t{a.bytes[12]} << 24 | uint32_t{a.bytes[13]} << 16 | uint32_t{a.bytes[14]} << 8 | a.bytes[15];
}

bool loopback(const wire::Address& a) noexcept { return a.is_v4() && number(a) >> 24 == 127; }

Duration lifetime(const DnsAnswer& answer, ZoneWord word) noexcept {
  switch (word) {
    case ZoneWord::listed: return std::clamp<Duration>(seconds{answer.ttl_s}, kShortest, kLongestHit);
    case ZoneWord::not_listed:
      return answer.ttl_s == 0 ? kUnsaid : std::clamp<Duration>(seconds{answer.ttl_s}, kShortest, kLongestMiss);
    case ZoneWord::error_code:
    case ZoneWord::outside: return kUnsaid;
    case ZoneWord::trouble: return kAfterTrouble;
  }
  return kAfterTrouble;
}

}  // namespace

std::string dnsbl_name(const wire::Address& a, std::string_view zone) {
  if (a.is_v4()) return fmt::format("{}.{}.{}.{}.{}", a.bytes[15], a.bytes[14], a.bytes[13], a.bytes[12], zone);
  constexpr char kNibbles[] = "0123456789abcdef";
  std::string name;
  name.reserve(64 + zone.size());
  for (size_t i = 16; i-- > 0;) {
    name += kNibbles[a.bytes[i] & 15];
    name += '.';
    name += kNibbles[a.bytes[i] >> 4];
    name += '.';
  }
  return name.append(zone);
}

ZoneWord zone_word(const DnsAnswer& answer) noexcept {
  if (answer.trouble()) return ZoneWord::trouble;
  if (answer.empty() || answer.addresses.empty()) return ZoneWord::not_listed;
  bool outside = false;
  for (const wire::Address& a : answer.addresses) {
    if (!loopback(a))
      outside = true;
    else if (number(a) >> 8 == kErrorCodes)
      return ZoneWord::error_code;
  }
  return outside ? ZoneWord::outside : ZoneWord::listed;
}

bool counts(const Zone& zone, const wire::Address& answer) noexcept {
  if (!loopback(answer) || number(answer) >> 8 == kErrorCodes) return false;
  const uint32_t n = number(answer);
  // Not listed, say several that answer every question; RFC 5782 5 lists nothing as 127.0.0.1.
  if (zone.answers.empty()) return n != 0x7f000001;
  return std::any_of(zone.answers.begin(), zone.answers.end(), [n](const AnswerFilter& filter) {
    return filter.bits != 0 ? (n & filter.bits) != 0 : filter.low <= n && n <= filter.high;
  });
}

struct Dnsbl::State : std::enable_shared_from_this<Dnsbl::State> {
  struct Known {  // of one zone, about one source
    std::vector<wire::Address> answers;
    Time until{};
    uint64_t asking = 0;  // the question that is awaited
  };
  struct Source {
    std::vector<Known> zones;
    Time until{};  // its place in by_end
  };
  struct Asked {  // a zone, and the rules that look at its answers
    ZoneStatus status;
    Backoff backoff{kPatience, kAsideFirst, kAsideMost};
    std::vector<Zone> rules;
  };
  struct AddressHash {
    KeyedHash hash{0x6d697265};
    size_t operator()(const wire::Address& a) const noexcept { return hash.of(a.bytes); }
  };

  State(DnsSource& source, Clock the_clock, Heard the_heard)
      : dns(source), clock(std::move(the_clock)), heard(std::move(the_heard)) {}

  DnsSource& dns;
  Clock clock;
  Heard heard;
  std::vector<Asked> zones;
  uint64_t generation = 0;  // of the zones
  uint64_t questions = 0;
  size_t most = 0;
  Budget budget{1, seconds{1}};
  DnsblCounters counters;
  boost::unordered_flat_map<wire::Address, Source, AddressHash> known;
  std::set<std::pair<Time, wire::Address>> by_end;

  Source& source_for(const wire::Address& source, Time now);
  void keep_until(const wire::Address& key, Source& source, Time until);
  void ask(const wire::Address& client, size_t zone, Time now);
  void answered(const wire::Address& key, size_t zone, uint64_t question, const DnsAnswer&);
  void note(Asked&, const DnsAnswer&, ZoneWord, Time now);
  [[nodiscard]] Standing standing(const Source*, Time now) const;
};

Dnsbl::Dnsbl(DnsSource& dns, Clock clock, Heard heard)
    : state_(std::make_shared<State>(dns, std::move(clock), std::move(heard))) {}
Dnsbl::~Dnsbl() = default;

void Dnsbl::configure(std::vector<Zone> rules, uint32_t per_second, uint32_t most_sources) {
  State& s = *state_;
  std::vector<State::Asked> fresh;
  std::vector<std::optional<size_t>> was;  // a zone's place before
  for (Zone& rule : rules) {
    const auto same = [&](const State::Asked& zone) { return zone.status.name == rule.name; };
    auto found = std::find_if(fresh.begin(), fresh.end(), same);
    if (found == fresh.end()) {
      const auto old = std::find_if(s.zones.begin(), s.zones.end(), same);
      was.push_back(old == s.zones.end() ? std::nullopt : std::optional<size_t>(old - s.zones.begin()));
      fresh.push_back(old == s.zones.end() ? State::Asked{} : *old);
      found = fresh.end() - 1;
      found->status.name = rule.name;
      found->rules.clear();
    }
    found->rules.push_back(std::move(rule));
  }
  for (auto& [key, source] : s.known) {
    std::vector<State::Known> moved(fresh.size());
    for (size_t i = 0; i < fresh.size(); ++i)
      if (was[i] && *was[i] < source.zones.size()) moved[i] = source.zones[*was[i]];
    for (State::Known& zone : moved) zone.asking = 0;  // their answers name the old places
    source.zones = std::move(moved);
  }
  s.zones = std::move(fresh);
  ++s.generation;
  s.budget = Budget(per_second, seconds{1});
  s.most = most_sources;
  while (s.known.size() > s.most) {
    s.known.erase(s.by_end.begin()->second);
    s.by_end.erase(s.by_end.begin());
  }
}

Standing Dnsbl::want(const wire::Address& client) {
  State& s = *state_;
  ++s.counters.wanted;
  if (s.zones.empty() || s.most == 0) return {};
  const Time now = s.clock();
  const wire::Address key = wire::source_of(client);
  State::Source& source = s.source_for(key, now);
  bool all = true;
  for (size_t i = 0; i < s.zones.size(); ++i) {
    if (source.zones[i].until > now) continue;
    all = false;
    if (source.zones[i].asking == 0) s.ask(client, i, now);
  }
  if (all) ++s.counters.from_cache;
  return s.standing(&source, now);
}

Standing Dnsbl::standing(const wire::Address& client) const {
  const State& s = *state_;
  const auto found = s.known.find(wire::source_of(client));
  return s.standing(found == s.known.end() ? nullptr : &found->second, s.clock());
}

Dnsbl::State::Source& Dnsbl::State::source_for(const wire::Address& key, Time now) {
  if (const auto found = known.find(key); found != known.end()) return found->second;
  if (known.size() >= most) {
    if (by_end.begin()->first > now) ++counters.evicted;
    known.erase(by_end.begin()->second);
    by_end.erase(by_end.begin());
  }
  Source& source = known[key];
  source.zones.resize(zones.size());
  source.until = now + kShortest;
  by_end.emplace(source.until, key);
  return source;
}

void Dnsbl::State::keep_until(const wire::Address& key, Source& source, Time until) {
  if (until <= source.until) return;
  by_end.erase({source.until, key});
  source.until = until;
  by_end.emplace(until, key);
}

void Dnsbl::State::ask(const wire::Address& client, size_t zone, Time now) {
  Asked& asked = zones[zone];
  if (!asked.backoff.ready(now)) {
    ++counters.aside;
    return;
  }
  if (!budget.take(now)) {
    ++counters.over_budget;
    return;
  }
  ++counters.asked;
  ++asked.status.asked;
  asked.backoff.trying(now, kTryLength);
  const wire::Address key = wire::source_of(client);
  const uint64_t question = ++questions;
  known.find(key)->second.zones[zone].asking = question;
  dns.ask(dnsbl_name(client, asked.status.name), QueryType::a,
          [weak = weak_from_this(), key, zone, question, asked_in = generation](const DnsAnswer& answer) {
            const auto self = weak.lock();
            if (self && self->generation == asked_in) self->answered(key, zone, question, answer);
          });
}

void Dnsbl::State::answered(const wire::Address& key, size_t zone, uint64_t question, const DnsAnswer& answer) {
  const Time now = clock();
  const ZoneWord word = zone_word(answer);
  note(zones[zone], answer, word, now);
  const auto found = known.find(key);
  if (found == known.end() || found->second.zones[zone].asking != question) return;  // it gave way meanwhile
  Source& source = found->second;
  Known& of_zone = source.zones[zone];
  of_zone.asking = 0;
  of_zone.until = now + lifetime(answer, word);
  of_zone.answers.clear();
  if (word == ZoneWord::listed)
    of_zone.answers.assign(answer.addresses.begin(),
                           answer.addresses.begin() + std::min(answer.addresses.size(), kMostAnswers));
  const bool hit = !of_zone.answers.empty();
  keep_until(key, source, of_zone.until);
  const Standing now_known = standing(&source, now);
  if (hit || !now_known.asking) heard(key, now_known);
}

void Dnsbl::State::note(Asked& asked, const DnsAnswer& answer, ZoneWord word, Time now) {
  ZoneStatus& status = asked.status;
  switch (word) {
    case ZoneWord::listed: ++status.listed; break;
    case ZoneWord::not_listed: ++status.not_listed; break;
    case ZoneWord::error_code:
      ++status.error_codes;
      status.last_trouble = fmt::format("answers the error code {}", wire::to_string(answer.addresses.front()));
      break;
    case ZoneWord::outside:
      ++status.outside;
      status.last_trouble = fmt::format("answers {}, outside 127.0.0.0/8", wire::to_string(answer.addresses.front()));
      break;
    case ZoneWord::trouble:
      ++(answer.outcome == DnsOutcome::timeout ? status.timeouts : status.failed);
      status.last_trouble = std::string(to_string(answer.outcome));
      break;
  }
  if (answer.outcome == DnsOutcome::too_many) return;  // our own limit, not the zone's fault
  const bool fine = word == ZoneWord::listed || word == ZoneWord::not_listed;
  if (fine)
    asked.backoff.succeeded();
  else
    asked.backoff.failed(now);
}

Standing Dnsbl::State::standing(const Source* source, Time now) const {
  Standing sum;
  sum.zones = static_cast<uint32_t>(zones.size());
  if (source == nullptr) return sum;
  for (size_t i = 0; i < zones.size(); ++i) {
    const Known& known_of = source->zones[i];
    sum.asking = sum.asking || known_of.asking != 0;
    if (known_of.until <= now) continue;
    ++sum.zones_known;
    for (const Zone& rule : zones[i].rules) {
      // A rule counts once, however many of the answers meet it.
      const auto met = std::find_if(known_of.answers.begin(), known_of.answers.end(),
                                    [&](const wire::Address& a) { return counts(rule, a); });
      if (met == known_of.answers.end()) continue;
      sum.hits.push_back({rule.name, *met, rule.weight});
      sum.weight += rule.weight;
      const auto left = std::chrono::ceil<std::chrono::seconds>(known_of.until - now);
      sum.good_for = sum.hits.size() == 1 ? left : std::min(sum.good_for, left);
    }
  }
  return sum;
}

std::vector<ZoneStatus> Dnsbl::zones() const {
  std::vector<ZoneStatus> all;
  for (const State::Asked& zone : state_->zones) {
    all.push_back(zone.status);
    all.back().aside = !zone.backoff.ready(state_->clock());
  }
  return all;
}

const DnsblCounters& Dnsbl::counters() const noexcept { return state_->counters; }
size_t Dnsbl::sources() const noexcept { return state_->known.size(); }

}  // namespace mire::lists
