#include "controlplane/reputation/engine.h"

#include <fmt/format.h>

#include <cmath>

#include "controlplane/reputation/engine_impl.h"

namespace mire::reputation {
namespace {

// How much would be lost with it. A penalty or step that runs must not be shaken off by being forgotten.
double worth(const Evidence& e, const Settings& s, WallSeconds now) {
  constexpr double kDay = 86'400;
  const Judgement j = judge(e, {}, s, now);
  const double age = static_cast<double>(to_u32(now)) - e.last_seen;
  return std::abs(j.score) + (j.penalty || j.step != RateStep::calm ? 1000 : 0) + std::exp2(-age / kDay);
}

bool charged_to_one_address(Kind k) { return k == Kind::early_talk || k == Kind::pipelining; }

}  // namespace

Engine::Impl::Impl(const Settings& s, ClassSink& told, Numbers n, uint64_t hash_seed)
    : settings(s),
      sink(told),
      numbers(std::move(n)),
      sources(hash_seed),
      networks(hash_seed + 1),
      groups(hash_seed + 2) {}

void Engine::Impl::count(SourceKey key, SourceClass c, int by) {
  counted.by_class[static_cast<size_t>(c)] += by;
  if (is_v4(key)) by_eight[key >> 24][static_cast<size_t>(c)] += static_cast<uint32_t>(by);
}

Record* Engine::Impl::enter(const wire::Address& client, WallSeconds now) {
  const auto key = key_of(client);
  if (!key) {
    ++counted.no_source;
    return nullptr;
  }
  if (Record* r = sources.find(*key)) return r;
  if (sources.size() >= settings.capacity) {
    const auto victim =
        sources.least(numbers(), [&](SourceKey, const Record& r) { return worth(r.evidence, settings, now); });
    drop_source(*victim, now);
    ++counted.evicted;
  }
  Record& r = sources.insert(*key);
  r.since = to_u32(now);
  count(*key, r.own, 1);
  if (is_v4(*key)) return &r;
  const SourceKey network = network_of(*key);
  NetworkRecord* n = networks.find(network);
  if (n == nullptr) {
    if (networks.size() >= std::max<size_t>(settings.capacity / kNetworkShare, 1)) {
      drop_network(*networks.least(
          numbers(), [&](SourceKey, const NetworkRecord& v) { return worth(v.evidence, settings, now); }));
      ++counted.networks_evicted;
    }
    n = &networks.insert(network);
    n->since = to_u32(now);
  }
  ++n->members;
  return &r;
}

void Engine::Impl::drop_source(SourceKey key, WallSeconds now) {
  Record* r = sources.find(key);
  const wire::Prefix prefix = source_prefix(key);
  const auto before = wanted(prefix);
  count(key, r->own, -1);
  list_words.erase(key);
  sources.erase(key);
  touched.emplace_back(Space::source, key);
  tell_difference(prefix, before);
  if (is_v4(key)) return;
  NetworkRecord* n = networks.find(network_of(key));
  if (n == nullptr || n->members == 0) return;
  --n->members;
  judge_network(network_of(key), *n, now);
}

void Engine::Impl::drop_network(SourceKey key) {
  const auto before = wanted(network_prefix(key));
  networks.erase(key);
  touched.emplace_back(Space::network, key);
  tell_difference(network_prefix(key), before);
}

Result<GroupId> Engine::Impl::enter_group(std::string_view name, WallSeconds now) {
  if (const auto known = groups.find(name)) return *known;
  if (groups.full()) {
    std::optional<GroupId> least;
    double lowest = 0;
    groups.for_each([&](GroupId id, const Group& g) {
      const double w = worth(g.evidence, settings, now);
      if (g.lasting || (least && w >= lowest)) return;
      least = id;
      lowest = w;
    });
    if (!least) return Error{fmt::format("group {}: there are {} groups already; remove some", name, kMaxGroups)};
    drop_group(*least);
    ++counted.groups_evicted;
  }
  const GroupId id = groups.enter(name);
  groups[id].since = to_u32(now);
  return id;
}

void Engine::Impl::give_prefixes(GroupId id, std::vector<wire::Prefix> prefixes,
                                 const std::vector<wire::Prefix>& changed) {
  std::vector<std::optional<SourceClass>> before;
  before.reserve(changed.size());
  for (const wire::Prefix& p : changed) before.push_back(wanted(p));
  groups.set_prefixes(id, std::move(prefixes));
  for (size_t i = 0; i < changed.size(); ++i) tell_difference(changed[i], before[i]);
  if (!changed.empty() && groups[id].own != SourceClass::unknown && trusted_groups > 0) sweep();
}

void Engine::Impl::drop_group(GroupId id) {
  const std::vector<wire::Prefix> all = groups[id].prefixes;
  give_prefixes(id, {}, all);
  if (groups[id].own == SourceClass::trusted) --trusted_groups;
  groups_gone.push_back(groups[id].name);
  groups.remove(id);
}

void Engine::Impl::touch(Space space, SourceKey key, bool& flag) {
  if (!std::exchange(flag, true)) touched.emplace_back(space, key);
}

void Engine::Impl::arm(Space space, SourceKey key, uint32_t& due, std::optional<WallSeconds> next) {
  if (!next) return;  // what is armed runs out by itself
  const uint32_t at = to_u32(*next);
  if (due != 0 && due <= at) return;  // asked again then, and armed anew
  due = at;
  timers.push_back({at, space, key});
  if (!loading) std::push_heap(timers.begin(), timers.end());
}

float Engine::Impl::list_weight(SourceKey key, WallSeconds now) const {
  const auto at = list_words.find(key);
  return at == list_words.end() || at->second.until <= to_u32(now) ? 0 : at->second.weight;
}

SourceClass Engine::Impl::group_class(const std::vector<GroupId>& ids) const {
  SourceClass best = SourceClass::unknown;
  for (const GroupId id : ids) best = std::min(best, groups[id].own);
  return best;
}

std::optional<ClassChange> Engine::Impl::shared_at(const wire::Address& a) const {
  const auto key = key_of(a);
  const NetworkRecord* network = key && !is_v4(*key) ? networks.find(network_of(*key)) : nullptr;
  if (network != nullptr && network->told == 0) network = nullptr;
  const auto of_network = [&] { return ClassChange{network_prefix(network_of(*key)), told_class(network->told)}; };
  std::optional<ClassChange> found;
  groups.holding(a, [&](unsigned length, const std::vector<GroupId>& ids) {
    if (network != nullptr && length < 48) {
      found = of_network();
      return false;
    }
    const SourceClass c = group_class(ids);
    if (c == SourceClass::unknown) return true;
    found = ClassChange{{wire::masked(a, length), static_cast<uint8_t>(length)}, c};
    return false;
  });
  if (!found && network != nullptr) found = of_network();
  return found;
}

bool Engine::Impl::in_trusted_group(SourceKey key) const {
  if (groups.empty()) return false;
  const auto shared = shared_at(address_of(key));
  return shared && shared->source_class == SourceClass::trusted;
}

std::optional<SourceClass> Engine::Impl::wanted(const wire::Prefix& p) const {
  const auto key = key_of(p.address);
  if (key && p.length == (p.address.is_v4() ? 32 : 64))
    if (const Record* r = sources.find(*key); r != nullptr && r->told != 0) return told_class(r->told);
  if (!groups.empty())
    if (const SourceClass c = group_class(groups.exactly(p)); c != SourceClass::unknown) return c;
  if (key && !p.address.is_v4() && p.length == 48)
    if (const NetworkRecord* n = networks.find(*key)) return told_class(n->told);
  return std::nullopt;
}

void Engine::Impl::tell_difference(const wire::Prefix& prefix, std::optional<SourceClass> before) {
  if (loading) return;
  const auto after = wanted(prefix);
  if (before == after) return;
  ++counted.changes;
  sink.on_class({prefix, after});
}

void Engine::Impl::judge_source(SourceKey key, Record& r, WallSeconds now) {
  const Standing standing{list_weight(key, now), {}, {}};
  const Judgement j = judge(r.evidence, standing, settings, now);
  if (j.own != r.own) {
    count(key, r.own, -1);
    count(key, j.own, 1);
    r.own = j.own;
    r.since = to_u32(now);
    touch(Space::source, key, r.touched);
  }
  std::optional<SourceClass> own;
  if (j.own != SourceClass::unknown) own = j.own;
  if (j.own == SourceClass::known && in_trusted_group(key)) own.reset();
  // Its rate alone holds it down: its group or network does not lift it.
  if (j.own == SourceClass::unknown && j.ground == Ground::rate && (!is_v4(key) || !groups.empty())) own = j.own;
  if (as_told(own) != r.told) {
    const wire::Prefix prefix = source_prefix(key);
    const auto before = wanted(prefix);
    r.told = as_told(own);
    tell_difference(prefix, before);
  }
  std::optional<WallSeconds> next = next_change(r.evidence, standing, settings, now);
  if (standing.list_weight != 0) {
    const WallSeconds until = from_u32(list_words.find(key)->second.until);
    next = next ? std::min(*next, until) : until;
  }
  arm(Space::source, key, r.due, next);
}

void Engine::Impl::judge_network(SourceKey key, NetworkRecord& n, WallSeconds now) {
  SourceClass c = judge(n.evidence, {}, settings, now).own;
  if (c == SourceClass::trusted) c = SourceClass::known;
  if (c == SourceClass::blocked) c = SourceClass::suspect;
  if (n.members < kMembersToSpeak) c = SourceClass::unknown;
  if (c != n.own) {
    const auto before = wanted(network_prefix(key));
    n.own = c;
    n.since = to_u32(now);
    n.told = as_told(c == SourceClass::unknown ? std::nullopt : std::optional(c));
    touch(Space::network, key, n.touched);
    tell_difference(network_prefix(key), before);
  }
  arm(Space::network, key, n.due, next_change(n.evidence, {}, settings, now));
}

void Engine::Impl::judge_group(GroupId id, WallSeconds now) {
  Group& g = groups[id];
  SourceClass c = judge(g.evidence, {}, settings, now).own;
  if (c == SourceClass::suspect || c == SourceClass::blocked) c = SourceClass::unknown;
  if (c != g.own) {
    std::vector<std::optional<SourceClass>> before;
    before.reserve(g.prefixes.size());
    for (const wire::Prefix& p : g.prefixes) before.push_back(wanted(p));
    if (c == SourceClass::trusted) ++trusted_groups;
    if (trusted_groups > 0) sweep();
    if (g.own == SourceClass::trusted) --trusted_groups;
    g.own = c;
    g.since = to_u32(now);
    touch(Space::group, id, g.touched);
    for (size_t i = 0; i < g.prefixes.size(); ++i) tell_difference(g.prefixes[i], before[i]);
  }
  arm(Space::group, id, g.due, next_change(g.evidence, {}, settings, now));
}

void Engine::Impl::add_everywhere(const Observation& o, SourceKey key, Record& r, WallSeconds now) {
  add(r.evidence, o.kind, o.amount, settings, now);
  touch(Space::source, key, r.touched);
  judge_source(key, r, now);
  if (!is_v4(key)) {
    if (NetworkRecord* n = networks.find(network_of(key))) {
      add(n->evidence, o.kind, o.amount, settings, now);
      touch(Space::network, network_of(key), n->touched);
      judge_network(network_of(key), *n, now);
    }
  }
  if (groups.empty() || charged_to_one_address(o.kind)) return;
  for (const GroupId id : groups.all_holding(o.client)) {
    add(groups[id].evidence, o.kind, o.amount, settings, now);
    touch(Space::group, id, groups[id].touched);
    judge_group(id, now);
  }
}

Engine::Engine(const Settings& s, ClassSink& sink, Numbers numbers, uint64_t hash_seed)
    : impl_(std::make_unique<Impl>(s, sink, std::move(numbers), hash_seed)) {}
Engine::~Engine() = default;

const Settings& Engine::settings() const noexcept { return impl_->settings; }

void Engine::configure(const Settings& s) {
  if (s == impl_->settings) return;
  impl_->settings = s;
  impl_->sweep_at = 0;
}

void Engine::connected(const wire::Address& client, WallSeconds now) {
  Record* r = impl_->enter(client, now);
  if (r == nullptr) return;
  const SourceKey key = *key_of(client);
  impl_->touch(Space::source, key, r->touched);
  if (reputation::connected(r->evidence, impl_->settings, now)) impl_->judge_source(key, *r, now);
}

void Engine::observe(const Observation& o, WallSeconds now) {
  if (o.kind == Kind::outbound && !impl_->settings.outbound_trust) return;
  if (Record* r = impl_->enter(o.client, now)) impl_->add_everywhere(o, *key_of(o.client), *r, now);
}

void Engine::penalise(const wire::Address& client, WallSeconds until, uint32_t offences, WallSeconds now) {
  Record* r = impl_->enter(client, now);
  if (r == nullptr) return;
  const SourceKey key = *key_of(client);
  reputation::penalise(r->evidence, until, offences, now);
  impl_->touch(Space::source, key, r->touched);
  impl_->judge_source(key, *r, now);
}

void Engine::stand(const wire::Address& client, double weight, std::chrono::seconds good_for, WallSeconds now) {
  Record* r = impl_->enter(client, now);
  if (r == nullptr) return;
  const SourceKey key = *key_of(client);
  auto& words = impl_->list_words;
  if (weight == 0) {
    words.erase(key);
  } else if (words.size() < impl_->settings.capacity || words.contains(key)) {
    words[key] = {static_cast<float>(weight), to_u32(now + good_for)};
  } else {
    ++impl_->counted.standings_full;
    return;
  }
  impl_->judge_source(key, *r, now);
}

Status Engine::set_group(std::string_view name, std::vector<wire::Prefix> prefixes, bool lasting, WallSeconds now) {
  Impl& e = *impl_;
  Result<GroupId> id = e.enter_group(name, now);
  if (!id) return Error{id.error()};
  Result<std::vector<wire::Prefix>> changed = e.groups.difference(*id, prefixes);
  if (!changed) return Error{changed.error()};
  e.groups[*id].lasting = lasting;
  e.give_prefixes(*id, std::move(prefixes), *changed);
  e.judge_group(*id, now);
  return success();
}

void Engine::remove_group(std::string_view name) {
  if (const auto id = impl_->groups.find(name)) impl_->drop_group(*id);
}

void Engine::credit_group(std::string_view name, Kind kind, double amount, WallSeconds now) {
  if (kind == Kind::outbound && !impl_->settings.outbound_trust) return;
  const auto id = impl_->groups.find(name);
  if (!id) return;
  Group& g = impl_->groups[*id];
  add(g.evidence, kind, amount, impl_->settings, now);
  impl_->touch(Space::group, *id, g.touched);
  impl_->judge_group(*id, now);
}

void Engine::advance(WallSeconds now, size_t most) {
  Impl& e = *impl_;
  if (e.sweep_at < Table<Record>::kShards) {
    const size_t shard = e.sweep_at++;
    if (shard == 0) e.groups.for_each([&](GroupId id, const Group&) { e.judge_group(id, now); });
    e.networks.for_shard(shard, [&](SourceKey key, NetworkRecord& n) { e.judge_network(key, n, now); });
    e.sources.for_shard(shard, [&](SourceKey key, Record& r) { e.judge_source(key, r, now); });
  }
  for (size_t done = 0; done < most && !e.timers.empty() && e.timers.front().due <= to_u32(now); ++done) {
    std::pop_heap(e.timers.begin(), e.timers.end());
    const Timer t = e.timers.back();
    e.timers.pop_back();
    const auto fire = [&](uint32_t& due, auto&& judge_it) {
      if (due != t.due) return;
      due = 0;
      judge_it();
    };
    switch (t.space) {
      case Space::source:
        if (Record* r = e.sources.find(t.key)) fire(r->due, [&] { e.judge_source(t.key, *r, now); });
        break;
      case Space::network:
        if (NetworkRecord* n = e.networks.find(t.key)) fire(n->due, [&] { e.judge_network(t.key, *n, now); });
        break;
      case Space::group: {
        const auto id = static_cast<GroupId>(t.key);
        if (e.groups.exists(id)) fire(e.groups[id].due, [&] { e.judge_group(id, now); });
        break;
      }
    }
  }
}

std::optional<WallSeconds> Engine::next_due() const {
  if (impl_->sweep_at < Table<Record>::kShards) return WallSeconds{};
  if (impl_->timers.empty()) return std::nullopt;
  return from_u32(impl_->timers.front().due);
}

bool Engine::clear(const wire::Address& client, WallSeconds now) {
  const auto key = key_of(client);
  if (!key || impl_->sources.find(*key) == nullptr) return false;
  impl_->drop_source(*key, now);
  return true;
}

}  // namespace mire::reputation
