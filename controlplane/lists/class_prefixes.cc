#include "controlplane/lists/class_prefixes.h"

#include <algorithm>
#include <tuple>

#include "controlplane/lists/prefix_set.h"

namespace mire::lists {
namespace {

using wire::Prefix;

// The classes are declared from the friendliest to the least friendly one.
bool entry_before(const ClassPrefix& a, const ClassPrefix& b) noexcept {
  if (a.prefix != b.prefix) return before(a.prefix, b.prefix);
  return std::tie(a.source_class, a.list) < std::tie(b.source_class, b.list);
}

template <typename Entries, typename PrefixOf>
const typename Entries::value_type* exact(const Entries& entries, const Prefix& wanted, PrefixOf prefix_of) {
  const auto at = std::lower_bound(entries.begin(), entries.end(), wanted,
                                   [&](const auto& entry, const Prefix& p) { return before(prefix_of(entry), p); });
  return at != entries.end() && prefix_of(*at) == wanted ? &*at : nullptr;
}

}  // namespace

ClassPrefixes::ClassPrefixes(std::vector<NamedList> lists) : lists_(std::move(lists)) {
  std::vector<ClassPrefix> all;
  size_t size = 0;
  for (const NamedList& list : lists_) size += list.prefixes ? list.prefixes->size() : 0;
  all.reserve(size);
  for (size_t i = 0; i < lists_.size(); ++i) {
    if (!lists_[i].prefixes) continue;
    for (const Prefix& p : *lists_[i].prefixes) all.push_back({p, lists_[i].source_class, static_cast<uint16_t>(i)});
  }
  std::sort(all.begin(), all.end(), entry_before);

  std::vector<const ClassPrefix*> around;  // the prefixes that the current one lies in, widest first
  for (size_t i = 0, next = 0; i < all.size(); i = next) {
    for (next = i + 1; next < all.size() && all[next].prefix == all[i].prefix;) ++next;
    if (next - i > 1) ++shared_;
    if (all[next - 1].source_class != all[i].source_class) ++conflicts_;
    const ClassPrefix& winner = all[i];
    while (!around.empty() && !covers(around.back()->prefix, winner.prefix)) around.pop_back();
    const bool said = !around.empty() && around.back()->source_class == winner.source_class;
    around.push_back(&winner);
    if (said) continue;
    published_.push_back(winner);
    if (winner.prefix.address.is_v4())
      lengths_v4_.set(winner.prefix.length);
    else
      lengths_v6_.set(winner.prefix.length);
  }
  published_.shrink_to_fit();
}

std::optional<ClassPrefixes::Found> ClassPrefixes::find(const wire::Address& address) const {
  const bool v4 = address.is_v4();
  for (int length = v4 ? 32 : 128; length >= 0; --length) {
    if (v4 ? !lengths_v4_[static_cast<size_t>(length)] : !lengths_v6_[static_cast<size_t>(length)]) continue;
    const Prefix wanted{wire::masked(address, static_cast<unsigned>(length)), static_cast<uint8_t>(length)};
    const ClassPrefix* entry = exact(published_, wanted, [](const ClassPrefix& e) { return e.prefix; });
    if (entry != nullptr) return Found{entry, &lists_[entry->list].name};
  }
  return {};
}

std::vector<std::pair<std::string, Prefix>> ClassPrefixes::lists_with(const wire::Address& address) const {
  std::vector<std::pair<std::string, Prefix>> found;
  for (const NamedList& list : lists_) {
    if (!list.prefixes) continue;
    for (int length = address.is_v4() ? 32 : 128; length >= 0; --length) {
      const Prefix wanted{wire::masked(address, static_cast<unsigned>(length)), static_cast<uint8_t>(length)};
      if (exact(*list.prefixes, wanted, [](const Prefix& p) { return p; }) == nullptr) continue;
      found.emplace_back(list.name, wanted);
      break;
    }
  }
  return found;
}

std::vector<PrefixChange> ClassPrefixes::changes_since(const ClassPrefixes& old) const {
  std::vector<PrefixChange> changes;
  auto a = old.published_.begin();
  auto b = published_.begin();
  while (a != old.published_.end() || b != published_.end()) {
    if (b == published_.end() || (a != old.published_.end() && before(a->prefix, b->prefix))) {
      changes.push_back({a->prefix, std::nullopt});
      ++a;
    } else if (a == old.published_.end() || before(b->prefix, a->prefix)) {
      changes.push_back({b->prefix, b->source_class});
      ++b;
    } else {
      if (a->source_class != b->source_class) changes.push_back({b->prefix, b->source_class});
      ++a;
      ++b;
    }
  }
  return changes;
}

}  // namespace mire::lists
