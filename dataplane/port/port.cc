#include "dataplane/port/port.h"

#include <dirent.h>
#include <fmt/format.h>
#include <linux/bpf.h>  // XDP_PACKET_HEADROOM
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <set>
#include <utility>

namespace mire::port {
namespace {

// net_af_xdp fills 2,048 descriptors at set-up, and as many may stand in the receive and transmit rings.
constexpr uint16_t kDescriptors = 2048;
constexpr uint32_t kPoolBuffers = 3 * kDescriptors + 1024;
constexpr uint32_t kPoolCache = 256;
// No DMA addresses needed; and no spreading over memory channels, which costs 64 bytes of a page that a frame can use.
constexpr unsigned kPoolFlags = RTE_MEMPOOL_F_NO_IOVA_CONTIG | RTE_MEMPOOL_F_NO_SPREAD;
constexpr uint32_t kPage = 4096;
constexpr uint16_t kXdpHeadroom = 256;
static_assert(kXdpHeadroom == XDP_PACKET_HEADROOM);

uint32_t object_size(uint32_t data_room, unsigned flags) noexcept {
  return rte_mempool_calc_obj_size(static_cast<uint32_t>(sizeof(rte_mbuf)) + data_room, flags, nullptr);
}

std::set<int> af_xdp_sockets() {
  std::set<int> found;
  DIR* dir = opendir("/proc/self/fd");
  if (dir == nullptr) return found;
  while (const dirent* entry = readdir(dir)) {
    const int fd = std::atoi(entry->d_name);
    int domain = 0;
    socklen_t length = sizeof domain;
    if (fd > 2 && getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0 && domain == AF_XDP) found.insert(fd);
  }
  closedir(dir);
  return found;
}

// One piece of memory, not split at pages: what a UMEM must be. Buffers of a NIC come from rte_pktmbuf_pool_create.
Result<rte_mempool*> contiguous_pool(const std::string& name, uint32_t buffers, uint16_t data_room) {
  rte_mempool* pool =
      rte_mempool_create_empty(name.c_str(), buffers, static_cast<unsigned>(sizeof(rte_mbuf)) + data_room, kPoolCache,
                               sizeof(rte_pktmbuf_pool_private), SOCKET_ID_ANY, kPoolFlags);
  if (pool == nullptr) return Error{fmt::format("no memory for packet buffers ({})", rte_strerror(rte_errno))};
  rte_pktmbuf_pool_private priv{};
  priv.mbuf_data_room_size = data_room;
  rte_mempool_set_ops_byname(pool, "ring_mp_mc", nullptr);
  rte_pktmbuf_pool_init(pool, &priv);
  if (rte_mempool_populate_default(pool) < 0) {
    rte_mempool_free(pool);
    return Error{fmt::format("no memory for {} packet buffers of {} bytes", buffers, data_room)};
  }
  rte_mempool_obj_iter(pool, rte_pktmbuf_init, nullptr);
  if (pool->nb_mem_chunks != 1) {
    rte_mempool_free(pool);
    return Error{"packet buffers came in several pieces of memory, which an XSK cannot use; try --no-huge"};
  }
  return pool;
}

}  // namespace

XskBuffer xsk_buffer(uint32_t mtu) noexcept {
  uint32_t room = RTE_MBUF_DEFAULT_BUF_SIZE;
  if (mtu + kTagsAndHeader > room - RTE_PKTMBUF_HEADROOM - kXdpHeadroom) {
    room = kPage;
    while (object_size(room, kPoolFlags) > kPage) room -= 64;
  }
  return {static_cast<uint16_t>(room), static_cast<uint16_t>(room - RTE_PKTMBUF_HEADROOM - kXdpHeadroom)};
}

bool may_outgrow(uint32_t mtu, uint32_t largest_frame) noexcept {
  return largest_frame != 0 && mtu + kTagsAndHeader > largest_frame;
}

uint64_t pool_bytes(unsigned queues, uint32_t mtu, uint32_t spare_buffers) noexcept {
  const uint64_t object =
      std::max<uint64_t>(object_size(xsk_buffer(mtu).data_room, 0), mtu + kTagsAndHeader + RTE_PKTMBUF_HEADROOM + 256);
  // A pool's own: caches of every lcore that DPDK could have, and the ring of free buffers.
  const uint64_t overhead = RTE_MAX_LCORE * sizeof(rte_mempool_cache) + 2 * kPoolBuffers * sizeof(void*) + (1u << 18);
  return uint64_t{2} * queues * ((kPoolBuffers + spare_buffers) * object + overhead);
}

Result<Port> Port::start(const PortOptions& options) {
  const std::string& name = options.spec.name;
  Port port;
  port.name_ = name;
  if (rte_eth_dev_get_port_by_name(options.device.c_str(), &port.id_) != 0)
    return Error{
        fmt::format("port {}: DPDK found no such device; is its name right, and a NIC bound to vfio-pci?", name)};

  rte_eth_dev_info info{};
  if (rte_eth_dev_info_get(port.id_, &info) != 0) return Error{fmt::format("port {}: does not answer", name)};
  if (options.queues > info.max_rx_queues || options.queues > info.max_tx_queues) {
    return Error{fmt::format("port {}: has {} queue pairs, {} lcores need one each; use --lcores {}", name,
                             std::min(info.max_rx_queues, info.max_tx_queues), options.queues,
                             std::min(info.max_rx_queues, info.max_tx_queues))};
  }
  const bool xsk = options.spec.kind == PortKind::kernel;
  uint16_t mtu = static_cast<uint16_t>(options.mtu);
  if (mtu == 0) rte_eth_dev_get_mtu(port.id_, &mtu);
  const XskBuffer buffer = xsk_buffer(mtu);
  if (xsk) port.largest_frame_ = buffer.largest_frame;
  port.data_room_ = static_cast<uint16_t>(
      xsk ? buffer.data_room
          : std::max<uint32_t>(RTE_MBUF_DEFAULT_BUF_SIZE, mtu + kTagsAndHeader + RTE_PKTMBUF_HEADROOM));

  rte_eth_conf conf{};
  if (options.queues > 1 && (info.flow_type_rss_offloads & RTE_ETH_RSS_IP) != 0) {
    conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
    conf.rx_adv_conf.rss_conf.rss_hf = info.flow_type_rss_offloads & RTE_ETH_RSS_IP;
  }
  if (!xsk) conf.rxmode.mtu = mtu;
  const auto queues = static_cast<uint16_t>(options.queues);
  if (const int rc = rte_eth_dev_configure(port.id_, queues, queues, &conf); rc != 0)
    return Error{
        fmt::format("port {}: cannot be configured with {} queue pairs ({})", name, queues, rte_strerror(-rc))};
  uint16_t receive = kDescriptors, transmit = kDescriptors;
  rte_eth_dev_adjust_nb_rx_tx_desc(port.id_, &receive, &transmit);

  const uint32_t buffers = kPoolBuffers + options.spare_buffers;
  for (uint16_t q = 0; q < queues; ++q) {
    const std::string pool_name = fmt::format("mire_{}_{}", port.id_, q);
    rte_mempool* pool = nullptr;
    if (options.spec.kind == PortKind::pci) {
      pool = rte_pktmbuf_pool_create(pool_name.c_str(), buffers, kPoolCache, 0, port.data_room_, SOCKET_ID_ANY);
      if (pool == nullptr) return Error{fmt::format("port {}: no memory for {} packet buffers", name, buffers)};
    } else {
      auto made = contiguous_pool(pool_name, buffers, port.data_room_);
      if (!made) return Error{fmt::format("port {}: {}", name, made.error())};
      pool = *made;
    }
    port.pools_.push_back(pool);

    const auto before = xsk ? af_xdp_sockets() : std::set<int>{};
    if (const int rc = rte_eth_rx_queue_setup(port.id_, q, receive, SOCKET_ID_ANY, nullptr, pool); rc != 0) {
      return Error{fmt::format("port {}: receive queue {} cannot be opened ({}){}", name, q, rte_strerror(-rc),
                               xsk ? "; another program may hold it, or the driver lacks XDP" : "")};
    }
    int socket = -1;
    if (xsk) {
      for (const int fd : af_xdp_sockets())
        if (!before.contains(fd)) socket = fd;
    }
    port.sockets_.push_back(socket);
    if (const int rc = rte_eth_tx_queue_setup(port.id_, q, transmit, SOCKET_ID_ANY, nullptr); rc != 0)
      return Error{fmt::format("port {}: transmit queue {} cannot be opened ({})", name, q, rte_strerror(-rc))};
  }
  // Before the start, which would else switch it off (net_af_xdp restores what it believes to be the mode).
  rte_eth_promiscuous_enable(port.id_);
  if (const int rc = rte_eth_dev_start(port.id_); rc != 0)
    return Error{fmt::format("port {}: cannot be started ({})", name, rte_strerror(-rc))};
  port.started_ = true;
  return port;
}

Port::Port(Port&& o) noexcept { *this = std::move(o); }

Port& Port::operator=(Port&& o) noexcept {
  std::swap(id_, o.id_);
  std::swap(started_, o.started_);
  std::swap(name_, o.name_);
  std::swap(pools_, o.pools_);
  std::swap(sockets_, o.sockets_);
  std::swap(largest_frame_, o.largest_frame_);
  std::swap(data_room_, o.data_room_);
  return *this;
}

Port::~Port() { stop(); }

void Port::stop() noexcept {
  if (!std::exchange(started_, false)) return;
  rte_eth_dev_stop(id_);
  rte_eth_dev_close(id_);
}

}  // namespace mire::port
