// What outlives mired: bringing it back, and what has changed since it was last written.
#include "controlplane/reputation/engine_impl.h"

namespace mire::reputation {
namespace {

template <typename R>
Kept kept_of(const R& r) {
  return {r.evidence, r.own, r.since};
}

}  // namespace

void Engine::reserve(size_t sources) { impl_->sources.reserve(std::min<size_t>(sources, impl_->settings.capacity)); }

// Networks before sources, so that these find theirs.
void Engine::restore(Space space, SourceKey key, std::string_view name, const Kept& kept, WallSeconds now) {
  Impl& e = *impl_;
  const auto fill = [&](auto& r) {
    r.evidence = kept.evidence;
    r.since = kept.since;
  };
  switch (space) {
    case Space::source: {
      if (e.sources.size() >= e.settings.capacity || e.sources.find(key) != nullptr) {
        ++e.counted.not_restored;
        return;
      }
      Record& r = *e.enter(address_of(key), now);
      fill(r);
      e.count(key, r.own, -1);
      r.own = kept.own;
      e.count(key, r.own, 1);
      return e.judge_source(key, r, now);
    }
    case Space::network: {
      if (e.networks.size() >= std::max<size_t>(e.settings.capacity / kNetworkShare, 1) || is_v4(key) ||
          network_of(key) != key || e.networks.find(key) != nullptr) {
        ++e.counted.not_restored;
        return;
      }
      NetworkRecord& n = e.networks.insert(key);  // judged when its members are there
      fill(n);
      if (kept.own == SourceClass::known || kept.own == SourceClass::suspect) {
        n.own = kept.own;
        n.told = as_told(kept.own);
      }
      return;
    }
    case Space::group: {
      if (e.groups.full() || e.groups.find(name)) {
        ++e.counted.not_restored;
        return;
      }
      const GroupId id = e.groups.enter(name);
      fill(e.groups[id]);
      if (kept.own == SourceClass::known || kept.own == SourceClass::trusted) e.groups[id].own = kept.own;
      if (kept.own == SourceClass::trusted) ++e.trusted_groups;
      return e.judge_group(id, now);
    }
  }
}

void Engine::loaded(WallSeconds now) {
  Impl& e = *impl_;
  for (size_t shard = 0; shard < Table<NetworkRecord>::kShards; ++shard)
    e.networks.for_shard(shard, [&](SourceKey key, NetworkRecord& n) { e.judge_network(key, n, now); });
  std::make_heap(e.timers.begin(), e.timers.end());
  e.sweep_at = std::numeric_limits<size_t>::max();
  e.loading = false;
}

size_t Engine::touched() const noexcept { return impl_->touched.size() + impl_->groups_gone.size(); }

std::vector<Touched> Engine::take_touched(size_t most) {
  Impl& e = *impl_;
  std::vector<Touched> out;
  out.reserve(std::min(most, touched()));
  while (!e.groups_gone.empty() && out.size() < most) {
    out.push_back({Space::group, 0, std::move(e.groups_gone.back()), std::nullopt});
    e.groups_gone.pop_back();
  }
  const auto take = [&](Touched& t, auto* r) {
    if (r == nullptr) return;
    r->touched = false;
    t.kept = kept_of(*r);
  };
  while (!e.touched.empty() && out.size() < most) {
    const auto [space, key] = e.touched.back();
    e.touched.pop_back();
    Touched t{space, key, {}, {}};
    switch (space) {
      case Space::source: take(t, e.sources.find(key)); break;
      case Space::network: take(t, e.networks.find(key)); break;
      case Space::group:
        if (!e.groups.exists(static_cast<GroupId>(key))) continue;  // among those that are gone
        t.name = e.groups[static_cast<GroupId>(key)].name;
        take(t, &e.groups[static_cast<GroupId>(key)]);
        break;
    }
    out.push_back(std::move(t));
  }
  return out;
}

}  // namespace mire::reputation
