#include "dataplane/lcore/transmit.h"

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_pause.h>

#include "dataplane/base/assert.h"

namespace mire::lcore {
namespace {
// A veth takes a burst in some 50 us; each try of net_af_xdp kicks the kernel.
constexpr unsigned kTries = 16;
}  // namespace

Transmit::~Transmit() {
  if (reserved_ != nullptr) rte_pktmbuf_free(reserved_);
  for (auto& p : pending_) rte_pktmbuf_free_bulk(p.packets.data(), p.count);
}

std::span<uint8_t> Transmit::reserve(Side to, size_t length) {
  MIRE_ASSERT(reserved_ == nullptr);
  rte_mbuf* packet = rte_pktmbuf_alloc(ports_[static_cast<size_t>(to)].pool);
  if (packet == nullptr || rte_pktmbuf_tailroom(packet) < length) {
    if (packet != nullptr) rte_pktmbuf_free(packet);
    return {};
  }
  reserved_ = packet;
  reserved_to_ = to;
  return {rte_pktmbuf_mtod(packet, uint8_t*), length};
}

void Transmit::commit(size_t length) {
  MIRE_ASSERT(reserved_ != nullptr && length <= rte_pktmbuf_tailroom(reserved_));
  rte_mbuf* packet = reserved_;
  reserved_ = nullptr;
  if (length == 0) {
    rte_pktmbuf_free(packet);
    return;
  }
  packet->data_len = static_cast<uint16_t>(length);
  packet->pkt_len = static_cast<uint32_t>(length);
  push(reserved_to_, packet);
}

void Transmit::push(Side to, rte_mbuf* packet) {
  Pending& p = pending_[static_cast<size_t>(to)];
  p.packets[p.count++] = packet;
  if (p.count == kBurst) flush(to);
}

void Transmit::flush() {
  flush(Side::lan);
  flush(Side::wan);
}

void Transmit::flush(Side to) {
  const auto side = static_cast<size_t>(to);
  Pending& p = pending_[side];
  if (p.count == 0) return;
  uint16_t sent = 0;
  for (unsigned tries = 0; sent < p.count && tries < kTries; ++tries) {
    if (tries != 0) rte_pause();
    sent = static_cast<uint16_t>(sent + rte_eth_tx_burst(ports_[side].id, ports_[side].queue, &p.packets[sent],
                                                         static_cast<uint16_t>(p.count - sent)));
  }
  counters_.frames[side].add(sent);
  if (sent < p.count) [[unlikely]] {
    counters_.full[side].add(p.count - sent);
    rte_pktmbuf_free_bulk(&p.packets[sent], static_cast<unsigned>(p.count - sent));
  }
  p.count = 0;
}

}  // namespace mire::lcore
