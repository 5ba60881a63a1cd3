// bench.h - worker lcores on a table: two net_ring ports each, frames put in on one side and taken out on the other.
//
// EAL without hugepages, PCI bus or device; one a process.
#pragma once

#include <gtest/gtest.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include <memory>
#include <string>
#include <vector>

#include "dataplane/lcore/worker.h"
#include "dataplane/port/eal.h"
#include "dataplane/wire/craft.h"

namespace mire::test {

using lcore::Side;
using Bytes = std::vector<uint8_t>;

class Eal final : public ::testing::Environment {
 public:
  void SetUp() override;
  void TearDown() override { port::stop_eal(); }
  // The prefix of the telemetry's folder.
  static const std::string& prefix();
};

// One side of one worker: what the world puts in and takes out.
class RingPort {
 public:
  RingPort(const std::string& name, rte_mempool* pool);
  ~RingPort();
  RingPort(const RingPort&) = delete;
  RingPort& operator=(const RingPort&) = delete;
  void put(const Bytes& frame);
  Bytes take();  // empty: nothing there
  std::vector<Bytes> take_all();
  [[nodiscard]] uint16_t id() const noexcept { return id_; }

 private:
  rte_mempool* pool_;
  rte_ring* in_;
  rte_ring* out_;
  uint16_t id_ = 0;
};

class Bench {
 public:
  // `socket`: what a lcore sleeps on, instead of naps.
  explicit Bench(unsigned lcores = 1, ebpf::WireState* wire = nullptr, int socket = -1);
  ~Bench();

  RingPort& port(Side side, unsigned lcore = 0) { return *ports_[lcore * 2 + static_cast<size_t>(side)]; }
  lcore::Worker& worker(unsigned lcore = 0) { return *workers_[lcore]; }
  std::vector<lcore::Worker*> workers();
  // Each lcore in turn, until nothing moves.
  void turn();
  void wait(Duration d) { now += d; }
  // Packet buffers that nobody has given back.
  [[nodiscard]] unsigned buffers_out() const { return rte_mempool_in_use_count(pool_); }
  static constexpr uint64_t kSeed = 7;

  Time now{seconds{1000}};

 private:
  rte_mempool* pool_;
  std::vector<std::unique_ptr<RingPort>> ports_;
  std::vector<std::unique_ptr<lcore::Worker>> workers_;
};

// --- frames

struct Ends {
  std::string source = "192.0.2.1", destination = "198.51.100.25";
  uint16_t source_port = 40000, destination_port = 25;
};
[[nodiscard]] Bytes tcp(const Ends&, uint8_t flags, const std::string& payload = {}, uint32_t seq = 1000,
                        uint32_t ack = 0, std::span<const uint8_t> options = {});
// The same packet in fragments of `size` bytes (a multiple of 8) of IP payload.
[[nodiscard]] std::vector<Bytes> fragments(const Bytes& packet, size_t size, uint32_t id);

}  // namespace mire::test
