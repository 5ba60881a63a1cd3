#include "ebpf/wire_state.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "ebpf/bypass.h"
#include "ebpf/programs.h"

namespace mire::ebpf {
namespace {

constexpr size_t kMapped = (sizeof(mire_state) + 4095) / 4096 * 4096;

template <typename T>
T load(const T& field, std::memory_order order = std::memory_order_relaxed) noexcept {
  return std::atomic_ref<T>{const_cast<T&>(field)}.load(order);  // the kernel writes it too
}

template <typename T>
void store(T& field, T value, std::memory_order order = std::memory_order_relaxed) noexcept {
  std::atomic_ref<T>{field}.store(value, order);
}

uint32_t map_id(int fd) {
  bpf_map_info info{};
  uint32_t length = sizeof info;
  return bpf_obj_get_info_by_fd(fd, &info, &length) == 0 ? info.id : 0;
}

}  // namespace

const char* count_name(mire_count reason) noexcept {
  switch (reason) {
    case MIRE_COUNT_REDIRECTED: return "redirected";
    case MIRE_COUNT_TO_XSK: return "to_dataplane";
    case MIRE_COUNT_BYPASSED: return "bypassed";
    case MIRE_COUNT_REFUSED: return "refused";
    case MIRE_COUNT_OVERSIZE: return "oversize";
    case MIRE_COUNT_BYPASS_TC: return "carried_by_tc";
    case MIRE_COUNT_BYPASS_TC_SMTP: return "carried_by_tc_smtp";
    case MIRE_COUNT_REFUSED_TC: return "refused_by_tc";
    case MIRE_COUNT_KEPT: return "kept_for_successor";
    case MIRE_COUNT_REASONS: break;
  }
  return "unknown";
}

WireState::WireState(Fd state, Fd counts, mire_state* mapped) noexcept
    : state_fd_(std::move(state)), counts_fd_(std::move(counts)), mapped_(mapped) {}

WireState::WireState(WireState&& other) noexcept
    : state_fd_(std::move(other.state_fd_)),
      counts_fd_(std::move(other.counts_fd_)),
      mapped_(std::exchange(other.mapped_, nullptr)) {}

WireState& WireState::operator=(WireState&& other) noexcept {
  std::swap(state_fd_, other.state_fd_);
  std::swap(counts_fd_, other.counts_fd_);
  std::swap(mapped_, other.mapped_);
  return *this;
}

WireState::~WireState() {
  if (mapped_ != nullptr) munmap(mapped_, kMapped);
}

Result<WireState> WireState::adopt(Fd state, Fd counts) {
  void* at = mmap(nullptr, kMapped, PROT_READ | PROT_WRITE, MAP_SHARED, state.get(), 0);
  if (at == MAP_FAILED) return failure("cannot map the shared state of the wire", errno);
  return WireState{std::move(state), std::move(counts), static_cast<mire_state*>(at)};
}

Result<WireState> WireState::create() {
  LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);
  Fd state{bpf_map_create(BPF_MAP_TYPE_ARRAY, MIRE_STATE_MAP, 4, sizeof(mire_state), 1, &options)};
  if (!state) return failure("cannot make the shared state of the wire", errno);
  Fd counts{bpf_map_create(BPF_MAP_TYPE_PERCPU_ARRAY, MIRE_COUNTS_MAP, 4, 8, MIRE_COUNT_REASONS * 2, nullptr)};
  if (!counts) return failure("cannot make the counters of the wire", errno);
  auto made = adopt(std::move(state), std::move(counts));
  if (made) store(made->mapped_->layout, MIRE_LAYOUT);
  return made;
}

Result<WireState> WireState::find(const PortNames& ports) {
  auto state = state_of_bypass(ports.wan);
  if (!state) return state;
  const auto other = state_of_bypass(ports.lan);
  if (!other) return Error{other.error()};
  const bool same_maps = map_id(state->state_fd()) == map_id(other->state_fd());
  if (!same_maps || state->wan_ifindex() != if_nametoindex(ports.wan.c_str()) ||
      state->lan_ifindex() != if_nametoindex(ports.lan.c_str())) {
    return Error{fmt::format("{} and {} are not wan and lan of one wire: mire-bypass up --wan {} --lan {} says why",
                             ports.wan, ports.lan, ports.wan, ports.lan)};
  }
  return state;
}

void WireState::set_via_user(bool every_frame) noexcept { store(mapped_->via_user, __u32{every_frame}); }
void WireState::set_linear_only(bool linear_only) noexcept { store(mapped_->linear_only, __u32{linear_only}); }
void WireState::set_largest_frame(uint32_t bytes) noexcept { store(mapped_->largest_frame, bytes); }
void WireState::set_fail_mode(FailMode mode) noexcept { store(mapped_->fail_closed, __u32{mode == FailMode::closed}); }

void WireState::beat(unsigned queue, Time now) noexcept {
  MIRE_ASSERT(queue < MIRE_MAX_QUEUES);
  store(mapped_->heartbeat_ns[queue], static_cast<__u64>(now.time_since_epoch().count()));
}

void WireState::forget_kept(uint32_t key) noexcept {
  store(mapped_->kept_key, key);
  for (auto& place : mapped_->kept) store(place, __u8{0});
}

uint32_t WireState::kept_place(const wire::Address& client, const wire::Address& server, uint16_t port) const noexcept {
  mire_flow flow{};
  std::memcpy(flow.client, client.bytes.data(), 16);
  std::memcpy(flow.server, server.bytes.data(), 16);
  flow.client_port = htons(port);
  return mire_kept_index(load(mapped_->kept_key), &flow);
}

// A place that is full stays so until the next start: such a flow is repeated a little longer, which harms nobody.
void WireState::keep(const wire::Address& client, const wire::Address& server, uint16_t port) noexcept {
  std::atomic_ref<__u8> place{mapped_->kept[kept_place(client, server, port)]};
  __u8 n = place.load(std::memory_order_relaxed);
  while (n != 255 && !place.compare_exchange_weak(n, static_cast<__u8>(n + 1), std::memory_order_relaxed)) {
  }
}

void WireState::let_go(const wire::Address& client, const wire::Address& server, uint16_t port) noexcept {
  std::atomic_ref<__u8> place{mapped_->kept[kept_place(client, server, port)]};
  __u8 n = place.load(std::memory_order_relaxed);
  while (n != 0 && n != 255 && !place.compare_exchange_weak(n, static_cast<__u8>(n - 1), std::memory_order_relaxed)) {
  }
}

void WireState::set_ready(bool somebody_judges) noexcept {
  store(mapped_->ready, __u32{somebody_judges}, std::memory_order_release);
}

void WireState::set_ports(uint32_t wan_ifindex, uint32_t lan_ifindex) noexcept {
  store(mapped_->wan_ifindex, wan_ifindex);
  store(mapped_->lan_ifindex, lan_ifindex);
}

uint64_t WireState::bypass_epoch() const noexcept { return load(mapped_->bypass_epoch, std::memory_order_acquire); }
bool WireState::ready() const noexcept { return load(mapped_->ready) != 0; }
uint32_t WireState::wan_ifindex() const noexcept { return load(mapped_->wan_ifindex); }
uint32_t WireState::lan_ifindex() const noexcept { return load(mapped_->lan_ifindex); }
bool WireState::via_user() const noexcept { return load(mapped_->via_user) != 0; }
uint32_t WireState::largest_frame() const noexcept { return load(mapped_->largest_frame); }

FailMode WireState::fail_mode() const noexcept {
  return load(mapped_->fail_closed) != 0 ? FailMode::closed : FailMode::open;
}

bool WireState::judged(Time now) const noexcept {
  if (!ready()) return false;
  const auto now_ns = static_cast<int64_t>(now.time_since_epoch().count());
  return std::any_of(std::begin(mapped_->heartbeat_ns), std::end(mapped_->heartbeat_ns), [&](const __u64& beat) {
    return now_ns - static_cast<int64_t>(load(beat)) <= static_cast<int64_t>(MIRE_HEARTBEAT_STALE_NS);
  });
}

Result<WireCounts> WireState::counts() const {
  const int cpus = libbpf_num_possible_cpus();
  if (cpus < 1) return failure("cannot count the CPUs", cpus);
  std::vector<uint64_t> per_cpu(static_cast<size_t>(cpus));
  WireCounts sums{};
  for (uint32_t index = 0; index < MIRE_COUNT_REASONS * 2; ++index) {
    if (bpf_map_lookup_elem(counts_fd_.get(), &index, per_cpu.data()) != 0)
      return failure("cannot read the counters of the wire", errno);
    for (const uint64_t count : per_cpu) sums[index / 2][index % 2] += count;
  }
  return sums;
}

}  // namespace mire::ebpf
