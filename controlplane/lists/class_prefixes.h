// class_prefixes.h - all feeds and class domains as one map: prefix to class, and who said so.
//
// Pure. The longest prefix wins; where two lists hold the very same prefix, the class that delivers mail wins (exempt
// before trusted before known before unknown before suspect before blocked), and of equal classes the list that was
// named first. A prefix inside another of its own class says nothing new and is left out of what is published.
// Cost: building sorts all entries; a look-up is a binary search for each length that occurs.
#pragma once

#include <bitset>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/policy/types.h"
#include "dataplane/wire/address.h"

namespace mire::lists {

struct NamedList {
  std::string name;  // "feed drop", "domain gmail.com"
  policy::SourceClass source_class = policy::SourceClass::unknown;
  std::shared_ptr<const std::vector<wire::Prefix>> prefixes;  // may be null: nothing known yet
};

struct ClassPrefix {
  wire::Prefix prefix;
  policy::SourceClass source_class = policy::SourceClass::unknown;
  uint16_t list = 0;  // index of the list that is named for it
  friend bool operator==(const ClassPrefix&, const ClassPrefix&) = default;
};

// What the dataplane is told: a class, or that the prefix has none any more.
struct PrefixChange {
  wire::Prefix prefix;
  std::optional<policy::SourceClass> source_class;
  friend bool operator==(const PrefixChange&, const PrefixChange&) = default;
};

class ClassPrefixes {
 public:
  ClassPrefixes() = default;
  explicit ClassPrefixes(std::vector<NamedList>);

  struct Found {
    const ClassPrefix* entry = nullptr;
    const std::string* list = nullptr;
  };
  // The longest prefix that holds the address; nothing if none does.
  [[nodiscard]] std::optional<Found> find(const wire::Address&) const;
  // Every list that holds the address, in the order of their naming, with its longest prefix there.
  [[nodiscard]] std::vector<std::pair<std::string, wire::Prefix>> lists_with(const wire::Address&) const;

  // Sorted, without what a wider prefix of the same class says already.
  [[nodiscard]] const std::vector<ClassPrefix>& published() const noexcept { return published_; }
  // Prefixes that more than one list held.
  [[nodiscard]] uint64_t shared() const noexcept { return shared_; }
  // Of these, how many with different classes.
  [[nodiscard]] uint64_t conflicts() const noexcept { return conflicts_; }

  // What turns a reader of `before` into a reader of this.
  [[nodiscard]] std::vector<PrefixChange> changes_since(const ClassPrefixes& before) const;

 private:
  std::vector<NamedList> lists_;
  std::vector<ClassPrefix> published_;
  std::bitset<33> lengths_v4_;
  std::bitset<129> lengths_v6_;
  uint64_t shared_ = 0;
  uint64_t conflicts_ = 0;
};

}  // namespace mire::lists
