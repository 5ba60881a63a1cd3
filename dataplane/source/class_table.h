// class_table.h - prefixes to classes: only what differs from unknown.
//
// Purpose: longest-prefix match over lists of any mix of lengths, both families. One bounded hash probe for each prefix
// length that is in use (a bitmap knows them), asked on SYN alone, never per packet. Built by the control thread;
// read-only once it is part of Settings.
#pragma once

#include <bitset>
#include <cstdint>
#include <optional>
#include <unordered_map>

#include "dataplane/policy/types.h"
#include "dataplane/wire/address.h"

namespace mire::source {

class ClassTable {
 public:
  // The last word on a prefix counts.
  void set(const wire::Prefix&, policy::SourceClass);
  // The class of the longest listed prefix that holds the address.
  [[nodiscard]] std::optional<policy::SourceClass> find(const wire::Address&) const noexcept;
  [[nodiscard]] size_t size() const noexcept { return entries_.size(); }

 private:
  // Lengths count in IPv4-mapped space: IPv4 /24 is 120.
  struct Key {
    wire::Address address;
    uint8_t length;
    friend bool operator==(const Key&, const Key&) noexcept = default;
  };
  struct Hash {
    size_t operator()(const Key&) const noexcept;
  };
  std::unordered_map<Key, policy::SourceClass, Hash> entries_;
  std::bitset<129> lengths_;  // in use
};

}  // namespace mire::source
