// port.h - one DPDK ethdev as one side of the wire: queues, packet buffers, and the sockets that an idle lcore may
// sleep on.
//
// Purpose: what differs between net_af_xdp, a physical NIC and the virtual devices is settled here, at start. Each
// queue has a pool of its own: with net_af_xdp the pool is the XSK's memory (UMEM), and no two queues may share one.
// Refuses to know what is in the frames.
#pragma once

#include <rte_mempool.h>

#include <cstdint>
#include <string>
#include <vector>

#include "dataplane/base/result.h"
#include "dataplane/port/port_spec.h"

namespace mire::port {

struct PortOptions {
  PortSpec spec;
  std::string device;          // ethdev's name
  unsigned queues = 1;         // pairs
  uint32_t mtu = 0;            // of a kernel interface; 0: ask the ethdev
  uint32_t spare_buffers = 0;  // beyond rings and bursts, a queue: fragments that wait
};

class Port {
 public:
  // Configures and starts it, with promiscuous mode on. Nothing is received before somebody polls.
  static Result<Port> start(const PortOptions&);
  Port(Port&&) noexcept;
  Port& operator=(Port&&) noexcept;
  ~Port();  // stops and closes

  [[nodiscard]] uint16_t id() const noexcept { return id_; }
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] unsigned queues() const noexcept { return static_cast<unsigned>(pools_.size()); }
  [[nodiscard]] rte_mempool* pool(unsigned queue) const noexcept { return pools_[queue]; }
  // The XSK of a queue, for poll(2), or -1.
  [[nodiscard]] int socket(unsigned queue) const noexcept { return sockets_[queue]; }
  // The largest frame that it can hand us, in bytes from the Ethernet header on; 0: whatever its MTU allows.
  [[nodiscard]] uint32_t largest_frame() const noexcept { return largest_frame_; }
  // Of its packet buffers, headroom included.
  [[nodiscard]] uint16_t data_room() const noexcept { return data_room_; }
  void stop() noexcept;

 private:
  Port() = default;
  uint16_t id_ = 0;
  bool started_ = false;
  std::string name_;
  std::vector<rte_mempool*> pools_;
  std::vector<int> sockets_;
  uint32_t largest_frame_ = 0;
  uint16_t data_room_ = 0;
};

// In front of what an MTU counts: Ethernet's header and as many VLAN tags as wire/parse.h reads.
inline constexpr uint32_t kTagsAndHeader = 14 + 4 * 4;

// The packet buffer of an AF_XDP queue for an MTU: an object with its headers must fit a page, and the kernel
// keeps XDP_PACKET_HEADROOM of it for itself.
struct XskBuffer {
  uint16_t data_room = 0;
  uint16_t largest_frame = 0;
};
[[nodiscard]] XskBuffer xsk_buffer(uint32_t mtu) noexcept;

// Can a full packet, tags included, be larger than the largest frame of a port? 0: no frame is too large.
[[nodiscard]] bool may_outgrow(uint32_t mtu, uint32_t largest_frame) noexcept;

// Bytes of packet buffers that both ports of a wire with `queues` queue pairs each take, for EalOptions::memory_bytes.
[[nodiscard]] uint64_t pool_bytes(unsigned queues, uint32_t mtu, uint32_t spare_buffers) noexcept;

}  // namespace mire::port
