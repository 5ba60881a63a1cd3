// transmit.h - packets of one lcore on their way out: gathered to bursts, in the order in which they came, by either
// side.
//
// Crafted frames are written straight into packet buffers of the port that they leave by. A transmit queue that stays
// full is tried a bounded number of times; what is left then is freed and counted: end-to-end TCP repeats it.
#pragma once

#include <array>
#include <cstdint>

#include "dataplane/lcore/counter.h"
#include "dataplane/lcore/frame.h"

struct rte_mbuf;
struct rte_mempool;

namespace mire::lcore {

// A queue pair of a port, and the buffers to send from.
struct WorkerPort {
  uint16_t id = 0;
  uint16_t queue = 0;
  rte_mempool* pool = nullptr;
  int socket = -1;  // an XSK to sleep on, or -1
};

struct TransmitCounters {
  std::array<Counter, 2> frames;  // by the Side they left by
  std::array<Counter, 2> full;    // dropped: the queue stayed full
};

class Transmit final : public Transmitter {
 public:
  explicit Transmit(const std::array<WorkerPort, 2>& ports) noexcept : ports_(ports) {}
  ~Transmit() override;
  Transmit(const Transmit&) = delete;
  Transmit& operator=(const Transmit&) = delete;

  std::span<uint8_t> reserve(Side to, size_t length) override;
  void commit(size_t length) override;

  // Takes the packet.
  void push(Side to, rte_mbuf* packet);
  void flush();

  [[nodiscard]] const TransmitCounters& counters() const noexcept { return counters_; }

 private:
  struct Pending {
    std::array<rte_mbuf*, kBurst> packets{};
    uint16_t count = 0;
  };
  void flush(Side to);

  std::array<WorkerPort, 2> ports_;
  std::array<Pending, 2> pending_{};
  rte_mbuf* reserved_ = nullptr;
  Side reserved_to_ = Side::wan;
  TransmitCounters counters_;
};

}  // namespace mire::lcore
