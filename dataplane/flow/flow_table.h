// flow_table.h - all flows of one lcore: both families behind one handle, the unproven ones on a leash.
//
// Purpose: look-up in bursts, creation, removal. It decides nothing about a flow but which unproven one gives way.
// Sizes are fixed; full is an answer. Assumes: one thread. Cost: bucket_table.h.
#pragma once

#include <bit>
#include <cstdint>
#include <utility>
#include <vector>

#include "dataplane/flow/record.h"
#include "dataplane/wire/address.h"

namespace mire::flow {

// A flow's place in its table; the top bit tells the family. Valid until erase().
using Handle = uint32_t;
inline constexpr Handle kNoFlow = 0xffffffff;

struct FlowId {
  wire::Address client;
  uint16_t port = 0;    // client's, host byte order
  uint16_t server = 0;  // endpoint number
};

class FlowTable {
 public:
  struct Probe {
    TableV4::Probe probe;
    bool v6 = false;
  };

  // unproven: how many flows without a proven handshake may be kept at once.
  FlowTable(uint32_t flows_v4, uint32_t flows_v6, uint32_t unproven, uint64_t seed)
      : v4_(flows_v4, seed), v6_(flows_v6, ~seed), leash_(unproven < 2 ? 2 : unproven) {}

  [[nodiscard]] Probe probe(const FlowId& id) const noexcept {
    if (id.client.is_v4()) return {v4_.probe(key_v4(id)), false};
    const auto p = v6_.probe(key_v6(id));
    return {{p.first, p.second, p.tag}, true};
  }
  // The three stages of bucket_table.h.
  void prefetch(const Probe& p) const noexcept { p.v6 ? v6_.prefetch(six(p)) : v4_.prefetch(p.probe); }
  // Returns where the flow probably is: is() tells. kNoFlow: it may be elsewhere.
  Handle prefetch_record(const Probe& p) const noexcept {
    return p.v6 ? mark(v6_.prefetch_record(six(p)), kV6) : mark(v4_.prefetch_record(p.probe), 0);
  }
  // kNoFlow: it is not in.
  Handle prefetch_elsewhere(const Probe& p) const noexcept {
    return p.v6 ? mark(v6_.prefetch_elsewhere(six(p)), kV6) : mark(v4_.prefetch_elsewhere(p.probe), 0);
  }
  void prefetch_at(Handle h) const noexcept { is_v6(h) ? v6_.prefetch_at(index(h)) : v4_.prefetch_at(index(h)); }

  [[nodiscard]] Handle find(const FlowId& id, const Probe& p) const noexcept {
    if (p.v6) return mark(v6_.find(key_v6(id), six(p)), kV6);
    return mark(v4_.find(key_v4(id), p.probe), 0);
  }

  // Is this, still, the place of that flow? (What is empty has server 0, which no flow has.)
  [[nodiscard]] bool is(Handle h, const FlowId& id) const noexcept {
    return is_v6(h) ? !id.client.is_v4() && v6_[index(h)].key == key_v6(id)
                    : id.client.is_v4() && v4_[index(h)].key == key_v4(id);
  }

  // kNoFlow: no room where it may live.
  [[nodiscard]] Handle insert(const FlowId& id, const Probe& p) noexcept {
    if (p.v6) return mark(v6_.insert(key_v6(id), six(p)), kV6);
    return mark(v4_.insert(key_v4(id), p.probe), 0);
  }

  void erase(Handle h) noexcept { is_v6(h) ? v6_.erase(index(h)) : v4_.erase(index(h)); }

  [[nodiscard]] bool used(Handle h) const noexcept { return is_v6(h) ? v6_.used(index(h)) : v4_.used(index(h)); }
  [[nodiscard]] State32& operator[](Handle h) noexcept { return is_v6(h) ? v6_[index(h)].state : v4_[index(h)].state; }
  [[nodiscard]] const State32& operator[](Handle h) const noexcept {
    return is_v6(h) ? v6_[index(h)].state : v4_[index(h)].state;
  }
  [[nodiscard]] FlowId id(Handle h) const noexcept {
    if (is_v6(h)) {
      const KeyV6& k = v6_[index(h)].key;
      return {wire::Address::v6_at(reinterpret_cast<const uint8_t*>(k.client)), k.port, k.server};
    }
    const KeyV4& k = v4_[index(h)].key;
    return {wire::Address::v4_at(reinterpret_cast<const uint8_t*>(&k.client)), k.port, k.server};
  }
  [[nodiscard]] static bool is_v6(Handle h) noexcept { return (h & kV6) != 0; }

  // A flow that could give way where this probe may live, chosen by `may_go(State32)`; kNoFlow if none may.
  template <typename MayGo>
  [[nodiscard]] Handle victim(const Probe& p, MayGo&& may_go) {
    Handle found = kNoFlow;
    const auto look = [&](auto& table, uint32_t i, Handle family) {
      if (found == kNoFlow && table.used(i) && may_go(table[i].state)) found = i | family;
    };
    if (p.v6)
      v6_.for_candidates(six(p), [&](uint32_t i) { look(v6_, i, kV6); });
    else
      v4_.for_candidates(p.probe, [&](uint32_t i) { look(v4_, i, 0); });
    return found;
  }

  // Puts a flow that is not proven on the leash. If the leash is full, the oldest on it comes off: it is returned if it
  // is still unproven, and the caller erases it. One whose SYN-ACK is held goes to the end instead: what is held is not
  // evicted, and once released it is unproven still.
  [[nodiscard]] Handle leash(Handle h) noexcept {
    constexpr unsigned kLongestSearch = 64;
    Leashed carried{h, (*this)[h].client_isn};
    for (unsigned n = 0; n < kLongestSearch; ++n) {
      Leashed& place = leash_[leash_next_];
      leash_next_ = leash_next_ + 1 == leash_.size() ? 0 : leash_next_ + 1;
      std::swap(place, carried);
      if (carried.handle == kNoFlow || carried.handle == h || !used(carried.handle)) return kNoFlow;
      const State32& s = (*this)[carried.handle];
      if (s.client_isn != carried.isn) return kNoFlow;
      if (s.state == policy::State::syn_seen || s.state == policy::State::syn_ack_sent || s.state == policy::State::met)
        return carried.handle;
      if (s.state != policy::State::syn_ack_held) return kNoFlow;
    }
    return kNoFlow;
  }

  // For bursts: the flow that will come off the leash after the next n.
  void prefetch_oldest(unsigned n) const noexcept {
    const Leashed& l = leash_[(leash_next_ + n) % leash_.size()];
    if (l.handle != kNoFlow) prefetch_at(l.handle);
  }

  // f(handle) for the flows of the next part of both tables, such that 1/parts of them are visited by each call.
  template <typename F>
  void sweep(uint32_t parts, F&& f) {
    at_v4_ = v4_.sweep(at_v4_, v4_.buckets() / parts + 1, [&](uint32_t i) { f(Handle{i}); });
    at_v6_ = v6_.sweep(at_v6_, v6_.buckets() / parts + 1, [&](uint32_t i) { f(Handle{i | kV6}); });
  }

  [[nodiscard]] uint32_t size() const noexcept { return v4_.size() + v6_.size(); }

  // What tests/bench weighs for docs/performance.md.
  [[nodiscard]] size_t bytes_v4() const noexcept { return v4_.bytes(); }
  [[nodiscard]] size_t bytes_leash() const noexcept { return leash_.size() * sizeof(Leashed); }
  [[nodiscard]] size_t bytes_v6() const noexcept { return v6_.bytes(); }

 private:
  static constexpr uint32_t kV6 = 0x80000000;
  struct Leashed {
    Handle handle = kNoFlow;
    wire::SeqNo isn;
  };

  // Keys are made as words, because they are read as words at once (a load across two stores has to wait for both).
  static KeyV4 key_v4(const FlowId& id) noexcept {
    return std::bit_cast<KeyV4>(id.client.v4_raw() | uint64_t{id.port} << 32 | uint64_t{id.server} << 48);
  }
  static KeyV6 key_v6(const FlowId& id) noexcept {
    KeyV6 k;
    __builtin_memcpy(k.client, id.client.bytes.data(), sizeof k.client);
    const uint32_t rest = id.port | uint32_t{id.server} << 16;
    __builtin_memcpy(&k.port, &rest, sizeof rest);
    return k;
  }
  static TableV6::Probe six(const Probe& p) noexcept { return {p.probe.first, p.probe.second, p.probe.tag}; }
  static uint32_t index(Handle h) noexcept { return h & ~kV6; }
  static Handle mark(uint32_t i, uint32_t family) noexcept { return i == TableV4::kNone ? kNoFlow : i | family; }

  TableV4 v4_;
  TableV6 v6_;
  std::vector<Leashed> leash_;
  size_t leash_next_ = 0;
  uint32_t at_v4_ = 0;
  uint32_t at_v6_ = 0;
};

}  // namespace mire::flow
