// traffic.h - what a lcore sees of many held connections: frames made ahead of time, in the order of the wire.
//
// A connection is a number; its addresses, port and sequence numbers follow from it, and the number follows from the
// frame that the gateway sends, so that nothing is kept of a connection but one bit. It decides nothing about time.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "dataplane/lcore/frame.h"
#include "dataplane/wire/craft.h"

namespace mire::bench {

using Connection = uint64_t;

class Traffic final : public lcore::Transmitter {
 public:
  static constexpr size_t kServers = 16;

  // `sources` clients, from each of which connections come in turn. At most `window` connections are looked back at.
  Traffic(uint32_t sources, uint64_t window, bool ipv6);

  // Frames of connection c, appended to the burst. The bytes live until clear().
  void syn(lcore::Burst&, Connection c);
  void syn_ack(lcore::Burst&, Connection c);
  void proof(lcore::Burst&, Connection c);
  void greeting(lcore::Burst&, Connection c);
  void keepalive(lcore::Burst&, Connection c);  // of the client while held: below its first byte
  void reset(lcore::Burst&, Connection c);
  void clear() noexcept { used_ = 0; }

  // Connections whose greeting the gateway sent since the last call.
  [[nodiscard]] std::vector<Connection> take_released();
  [[nodiscard]] bool held(Connection c) const noexcept { return !ended_[c % ended_.size()]; }
  // Must be called with each new number, in order.
  void begin(Connection c);
  [[nodiscard]] uint64_t released() const noexcept { return released_count_; }

  std::span<uint8_t> reserve(lcore::Side to, size_t length) override {
    to_ = to;
    return std::span{out_}.first(length);
  }
  void commit(size_t length) override;

 private:
  [[nodiscard]] wire::Segment segment(Connection c, lcore::Side from, uint8_t flags) const;
  void put(lcore::Burst&, lcore::Side from, const wire::Segment&);

  uint32_t sources_;
  bool ipv6_;
  Connection newest_ = 0;
  std::vector<uint8_t> arena_;
  size_t used_ = 0;
  std::vector<bool> ended_;
  std::vector<uint32_t> sent_sources_;  // of the frames sent, and their ports: read later, outside of what is timed
  std::vector<uint16_t> sent_ports_;
  uint64_t released_count_ = 0;
  lcore::Side to_ = lcore::Side::wan;
  std::array<uint8_t, 2048> out_{};
};

}  // namespace mire::bench
