// What the engine knows, for people: one source, the first of many, sums.
#include <queue>

#include "controlplane/reputation/engine_impl.h"

namespace mire::reputation {
std::optional<View> Engine::view(const wire::Address& client, WallSeconds now) const {
  const Impl& e = *impl_;
  const auto key = key_of(client);
  if (!key) return std::nullopt;
  View v;
  v.prefix = source_prefix(*key);
  const wire::Address source = v.prefix.address;
  uint32_t since = 0;
  const Record* r = e.sources.find(*key);
  if (r != nullptr) {
    v.evidence = r->evidence;
    since = r->since;
    v.standing.list_weight = e.list_weight(*key, now);
  }
  uint32_t shared_since = 0;
  const auto add = [&](std::string name, const wire::Prefix& p, SourceClass c, uint32_t when) {
    v.shared.push_back({std::move(name), p, c});
    if (v.standing.shared || c == SourceClass::unknown) return;
    v.standing.shared = c;
    shared_since = when;
  };
  const NetworkRecord* network = is_v4(*key) ? nullptr : e.networks.find(network_of(*key));
  const auto add_network = [&] {
    if (network != nullptr) add("", network_prefix(network_of(*key)), network->own, network->since);
    network = nullptr;
  };
  e.groups.holding(source, [&](unsigned length, const std::vector<GroupId>& ids) {
    if (length < 48) add_network();
    std::vector<GroupId> best_first = ids;
    std::stable_sort(best_first.begin(), best_first.end(),
                     [&](GroupId a, GroupId b) { return e.groups[a].own < e.groups[b].own; });
    for (const GroupId id : best_first) {
      const Group& g = e.groups[id];
      add(g.name, {wire::masked(source, length), static_cast<uint8_t>(length)}, g.own, g.since);
    }
    return true;
  });
  add_network();
  if (r == nullptr && v.shared.empty()) return std::nullopt;
  v.judgement = judge(v.evidence, v.standing, e.settings, now);
  v.since = from_u32(v.judgement.ground == Ground::shared ? std::max(since, shared_since) : since);
  return v;
}

std::vector<Ranked> Engine::top(size_t n, Order order, WallSeconds now) const {
  const auto merit = [order](const Ranked& r) {
    switch (order) {
      case Order::worst: return -r.score;
      case Order::best: return r.score;
      case Order::busiest: return static_cast<double>(r.connections);
    }
    return 0.0;
  };
  const auto less = [&](const Ranked& a, const Ranked& b) { return merit(a) > merit(b); };  // the least on top
  std::priority_queue<Ranked, std::vector<Ranked>, decltype(less)> best(less);
  impl_->sources.for_each([&](SourceKey key, const Record& r) {
    Ranked one{{}, r.own, 0, r.evidence.connections, from_u32(r.evidence.last_seen)};
    if (order == Order::busiest && best.size() == n && (n == 0 || merit(one) <= merit(best.top()))) return;
    one.score = judge(r.evidence, {impl_->list_weight(key, now), {}, {}}, impl_->settings, now).score;
    if (best.size() == n && (n == 0 || merit(one) <= merit(best.top()))) return;
    if (order != Order::busiest && merit(one) <= 0) return;
    one.prefix = source_prefix(key);
    if (best.size() == n) best.pop();
    best.push(one);
  });
  std::vector<Ranked> out(best.size());
  for (size_t i = out.size(); i > 0; --i) {
    out[i - 1] = best.top();
    best.pop();
  }
  return out;
}

Summary Engine::summary() const {
  Summary s = impl_->counted;
  s.sources = impl_->sources.size();
  s.networks = impl_->networks.size();
  s.groups = impl_->groups.size();
  s.standings = impl_->list_words.size();
  s.timers = impl_->timers.size();
  return s;
}

std::vector<Eight> Engine::eights() const {
  std::vector<Eight> out;
  for (size_t i = 0; i < impl_->by_eight.size(); ++i) {
    const auto& classes = impl_->by_eight[i];
    if (std::any_of(classes.begin(), classes.end(), [](uint32_t n) { return n != 0; }))
      out.push_back({static_cast<uint8_t>(i), classes});
  }
  return out;
}

const Groups& Engine::groups() const noexcept { return impl_->groups; }

void Engine::for_classes(size_t part, const std::function<void(const ClassChange&)>& f) const {
  const Impl& e = *impl_;
  const auto tell = [&](const wire::Prefix& p) {
    if (const auto c = e.wanted(p)) f({p, c});
  };
  if (part + 1 == kParts)
    return e.groups.for_each([&](GroupId, const Group& g) {
      for (const wire::Prefix& p : g.prefixes) tell(p);
    });
  e.sources.for_shard(part, [&](SourceKey key, const Record& r) {
    if (r.told != 0) f({source_prefix(key), told_class(r.told)});
  });
  e.networks.for_shard(part, [&](SourceKey key, const NetworkRecord& n) {
    if (n.told != 0) tell(network_prefix(key));
  });
}

}  // namespace mire::reputation
