// top_networks.h - which networks are counted most, in a fixed amount of memory (Space-Saving: Metwally, Agrawal, El
// Abbadi, 2005).
//
// A network that had more than total / capacity is in it for certain; its count is too high by `over` at most. Cost: a
// look-up for each event, a walk over the table for each one that is new to a full table.
#pragma once

#include <cstdint>
#include <random>
#include <unordered_map>
#include <vector>

#include "dataplane/base/keyed_hash.h"
#include "dataplane/wire/address.h"

namespace mire::report {

// A network is a /24 (IPv4) or a /48 (IPv6).
[[nodiscard]] wire::Prefix network_of(const wire::Address&) noexcept;

struct Network {
  wire::Prefix prefix;
  uint64_t count = 0;
  uint64_t over = 0;  // by so much at most the count is too high
};

class TopNetworks {
 public:
  explicit TopNetworks(size_t capacity = 1024)
      : capacity_(capacity), networks_(16, Hash{KeyedHash(std::random_device{}())}) {}
  void count(const wire::Address&);
  // Restores one that was saved.
  void put(const Network&);
  // Most first; equal ones by address.
  [[nodiscard]] std::vector<Network> top(size_t n) const;

 private:
  // Whoever chooses addresses must not choose where they collide.
  struct Hash {
    KeyedHash keyed;
    size_t operator()(const wire::Address& a) const noexcept { return keyed.of(a); }
  };
  size_t capacity_;
  std::unordered_map<wire::Address, Network, Hash> networks_;  // by the prefix's address
};

}  // namespace mire::report
