#include "tests/unit/lcore_dpdk/bench.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "dataplane/wire/checksum.h"

namespace mire::test {

const std::string& Eal::prefix() {
  static const std::string name = fmt::format("mire-unit-{}", getpid());
  return name;
}

void Eal::SetUp() {
  port::EalOptions options;
  options.file_prefix = prefix();
  options.workers = 2;
  options.no_huge = true;
  options.memory_bytes = 200u << 20;
  const auto started = port::start_eal(options);
  ASSERT_TRUE(started.ok()) << started.error();
}

RingPort::RingPort(const std::string& name, rte_mempool* pool) : pool_(pool) {
  in_ = rte_ring_create((name + "_in").c_str(), 1024, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
  out_ = rte_ring_create((name + "_out").c_str(), 1024, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
  const int id = rte_eth_from_rings(name.c_str(), &in_, 1, &out_, 1, 0);
  EXPECT_GE(id, 0);
  id_ = static_cast<uint16_t>(id);
  rte_eth_conf conf{};
  EXPECT_EQ(rte_eth_dev_configure(id_, 1, 1, &conf), 0);
  EXPECT_EQ(rte_eth_rx_queue_setup(id_, 0, 512, SOCKET_ID_ANY, nullptr, pool), 0);
  EXPECT_EQ(rte_eth_tx_queue_setup(id_, 0, 512, SOCKET_ID_ANY, nullptr), 0);
  EXPECT_EQ(rte_eth_dev_start(id_), 0);
}

RingPort::~RingPort() {
  rte_ring_free(in_);
  rte_ring_free(out_);
}

void RingPort::put(const Bytes& frame) {
  rte_mbuf* packet = rte_pktmbuf_alloc(pool_);
  ASSERT_NE(packet, nullptr);
  std::memcpy(rte_pktmbuf_append(packet, static_cast<uint16_t>(frame.size())), frame.data(), frame.size());
  ASSERT_EQ(rte_ring_enqueue(in_, packet), 0);
}

Bytes RingPort::take() {
  void* out = nullptr;
  if (rte_ring_dequeue(out_, &out) != 0) return {};
  auto* packet = static_cast<rte_mbuf*>(out);
  const auto* bytes = rte_pktmbuf_mtod(packet, const uint8_t*);
  Bytes frame(bytes, bytes + packet->pkt_len);
  rte_pktmbuf_free(packet);
  return frame;
}

std::vector<Bytes> RingPort::take_all() {
  std::vector<Bytes> all;
  for (Bytes frame = take(); !frame.empty(); frame = take()) all.push_back(frame);
  return all;
}

Bench::Bench(unsigned lcores, ebpf::WireState* wire, int socket) {
  static unsigned made = 0;  // names of DPDK objects are never used again
  ++made;
  pool_ = rte_pktmbuf_pool_create(fmt::format("bench_{}", made).c_str(), 4095, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
                                  SOCKET_ID_ANY);
  EXPECT_NE(pool_, nullptr);
  for (unsigned i = 0; i < lcores; ++i) {
    lcore::WorkerOptions o;
    o.index = i;
    o.lcores = lcores;
    o.owner_seed = kSeed;
    o.wire = wire;
    o.pipeline.sizes = {1024, 512, 256, 64, 16, 64, 64 * 1024};
    o.pipeline.seed = kSeed + i;
    o.pipeline.lcore = static_cast<uint8_t>(i);
    o.fragments = {.datagrams = 64, .held = 32, .held_bytes = 32 * 1024, .lcore = i};
    for (size_t side = 0; side < 2; ++side) {
      ports_.push_back(std::make_unique<RingPort>(fmt::format("b{}_{}_{}", made, i, side), pool_));
      o.ports[side] = {ports_.back()->id(), 0, pool_, socket};
    }
    workers_.push_back(std::make_unique<lcore::Worker>(o));
  }
  const auto connected = lcore::Worker::connect(workers());
  EXPECT_TRUE(connected.ok());
}

Bench::~Bench() {
  workers_.clear();
  for (auto& port : ports_) port->take_all();
  EXPECT_EQ(buffers_out(), 0u) << "packet buffers were lost";
  for (auto& port : ports_) {
    rte_eth_dev_stop(port->id());
    rte_eth_dev_close(port->id());
  }
  ports_.clear();
  rte_mempool_free(pool_);
}

std::vector<lcore::Worker*> Bench::workers() {
  std::vector<lcore::Worker*> all;
  for (auto& w : workers_) all.push_back(w.get());
  return all;
}

void Bench::turn() {
  for (bool moved = true; moved;) {
    moved = false;
    for (auto& w : workers_) moved |= w->poll(now) != 0;
  }
}

Bytes tcp(const Ends& ends, uint8_t flags, const std::string& payload, uint32_t seq, uint32_t ack,
          std::span<const uint8_t> options) {
  wire::Segment s;
  s.source = *wire::parse_address(ends.source);
  s.destination = *wire::parse_address(ends.destination);
  s.link.length = 14;
  s.link.bytes = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x00};
  if (!s.source.is_v4()) {
    s.link.bytes[12] = 0x86;
    s.link.bytes[13] = 0xdd;
  }
  s.source_port = ends.source_port;
  s.destination_port = ends.destination_port;
  s.seq = {seq};
  s.ack = {ack};
  s.flags = flags;
  s.window = 65535;
  s.options = options;
  s.payload = {reinterpret_cast<const uint8_t*>(payload.data()), payload.size()};
  Bytes frame(wire::crafted_size(s));
  EXPECT_EQ(wire::craft(s, frame), frame.size());
  return frame;
}

std::vector<Bytes> fragments(const Bytes& packet, size_t size, uint32_t id) {
  const wire::Headers h = wire::parse(packet);
  std::vector<Bytes> out;
  const size_t header = h.ipv6 ? 40 : 20, data = h.l3 + header, end = h.end;
  for (size_t at = data; at < end; at += size) {
    const size_t length = std::min(size, end - at);
    const bool more = at + length < end;
    Bytes f(packet.begin(), packet.begin() + static_cast<ptrdiff_t>(data));
    uint8_t* ip = &f[h.l3];
    const auto offset = static_cast<uint16_t>(at - data);
    if (h.ipv6) {
      wire::store16(ip + 4, static_cast<uint16_t>(8 + length));
      uint8_t extension[8] = {ip[6], 0};
      ip[6] = 44;
      wire::store16(extension + 2, static_cast<uint16_t>(offset | (more ? 1 : 0)));
      wire::store32(extension + 4, id);
      f.insert(f.end(), extension, extension + 8);
    } else {
      wire::store16(ip + 2, static_cast<uint16_t>(header + length));
      wire::store16(ip + 4, static_cast<uint16_t>(id));
      wire::store16(ip + 6, static_cast<uint16_t>(offset / 8 | (more ? 0x2000 : 0)));
      std::memset(ip + 10, 0, 2);
      const uint16_t sum = wire::fold(wire::sum({ip, header}));
      std::memcpy(ip + 10, &sum, 2);
    }
    f.insert(f.end(), packet.begin() + static_cast<ptrdiff_t>(at),
             packet.begin() + static_cast<ptrdiff_t>(at + length));
    out.push_back(std::move(f));
  }
  return out;
}

}  // namespace mire::test

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  ::testing::AddGlobalTestEnvironment(new mire::test::Eal);
  return RUN_ALL_TESTS();
}
