#include "ebpf/wire_state.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <sys/mman.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <vector>

#include "ebpf/attached.h"

namespace mire::ebpf {
namespace {

template <typename T>
void store(T& field, T value) noexcept {
  std::atomic_ref<T>(field).store(value, std::memory_order_release);
}
template <typename T>
T load(T& field) noexcept {
  return std::atomic_ref<T>(field).load(std::memory_order_acquire);
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
    case MIRE_COUNT_REASONS: break;
  }
  return "?";
}

WireState::WireState(Fd state, Fd counts, mire_state* mapped) noexcept
    : state_fd_(std::move(state)), counts_fd_(std::move(counts)), mapped_(mapped) {}

WireState::WireState(WireState&& o) noexcept
    : state_fd_(std::move(o.state_fd_)),
      counts_fd_(std::move(o.counts_fd_)),
      mapped_(std::exchange(o.mapped_, nullptr)) {}

WireState& WireState::operator=(WireState&& o) noexcept {
  std::swap(state_fd_, o.state_fd_);
  std::swap(counts_fd_, o.counts_fd_);
  std::swap(mapped_, o.mapped_);
  return *this;
}

WireState::~WireState() {
  if (mapped_ != nullptr) munmap(mapped_, sizeof(mire_state));
}

Result<WireState> WireState::adopt(Fd state, Fd counts) {
  void* p = mmap(nullptr, sizeof(mire_state), PROT_READ | PROT_WRITE, MAP_SHARED, state.get(), 0);
  if (p == MAP_FAILED)
    return Error{fmt::format("cannot map the wire's state: {}; a kernel from 5.5 on is needed", std::strerror(errno))};
  return WireState{std::move(state), std::move(counts), static_cast<mire_state*>(p)};
}

Result<WireState> WireState::create() {
  LIBBPF_OPTS(bpf_map_create_opts, mappable, .map_flags = BPF_F_MMAPABLE);
  Fd state{bpf_map_create(BPF_MAP_TYPE_ARRAY, MIRE_STATE_MAP, sizeof(__u32), sizeof(mire_state), 1, &mappable)};
  Fd counts{state ? bpf_map_create(BPF_MAP_TYPE_PERCPU_ARRAY, MIRE_COUNTS_MAP, sizeof(__u32), sizeof(__u64),
                                   MIRE_COUNT_REASONS * 2, nullptr)
                  : -1};
  if (!counts)
    return Error{
        fmt::format("cannot make a BPF map: {}; run as root (CAP_BPF and CAP_NET_ADMIN)", std::strerror(errno))};
  auto made = adopt(std::move(state), std::move(counts));
  if (made) store(made->mapped_->layout, MIRE_LAYOUT);
  return made;
}

Result<WireState> WireState::find(const PortNames& ports) {
  auto found = attached_maps(ports.wan);
  if (!found) return Error{found.error()};
  auto state = adopt(std::move(found->state), std::move(found->counts));
  if (!state) return state;
  auto other = attached_maps(ports.lan);
  if (!other) return Error{other.error()};
  if (other->state_id != found->state_id)
    return Error{fmt::format("{} and {} belong to two different wires; mire-bypass down each of them first", ports.wan,
                             ports.lan)};
  return state;
}

void WireState::set_via_user(bool v) noexcept { store(mapped_->via_user, __u32{v}); }
void WireState::set_linear_only(bool v) noexcept { store(mapped_->linear_only, __u32{v}); }
void WireState::set_largest_frame(uint32_t bytes) noexcept { store(mapped_->largest_frame, __u32{bytes}); }
void WireState::set_fail_mode(FailMode m) noexcept { store(mapped_->fail_closed, __u32{m == FailMode::closed}); }
void WireState::beat(unsigned queue, Time now) noexcept {
  MIRE_ASSERT(queue < MIRE_MAX_QUEUES);
  store(mapped_->heartbeat_ns[queue], static_cast<__u64>(now.time_since_epoch().count()));
}
void WireState::set_ready(bool v) noexcept { store(mapped_->ready, __u32{v}); }
void WireState::set_ports(uint32_t wan, uint32_t lan) noexcept {
  store(mapped_->wan_ifindex, __u32{wan});
  store(mapped_->lan_ifindex, __u32{lan});
}

uint64_t WireState::bypass_epoch() const noexcept { return load(mapped_->bypass_epoch); }
bool WireState::ready() const noexcept { return load(mapped_->ready) != 0; }
bool WireState::judged(Time now) const noexcept {
  if (!ready()) return false;
  const auto ns = now.time_since_epoch().count();
  for (auto& beat : mapped_->heartbeat_ns) {
    const auto at = load(beat);
    if (at != 0 && ns - static_cast<int64_t>(at) <= static_cast<int64_t>(MIRE_HEARTBEAT_STALE_NS)) return true;
  }
  return false;
}
FailMode WireState::fail_mode() const noexcept {
  return load(mapped_->fail_closed) != 0 ? FailMode::closed : FailMode::open;
}
uint32_t WireState::wan_ifindex() const noexcept { return load(mapped_->wan_ifindex); }
uint32_t WireState::lan_ifindex() const noexcept { return load(mapped_->lan_ifindex); }
bool WireState::via_user() const noexcept { return load(mapped_->via_user) != 0; }
uint32_t WireState::largest_frame() const noexcept { return load(mapped_->largest_frame); }

Result<WireCounts> WireState::counts() const {
  const int cpus = libbpf_num_possible_cpus();
  if (cpus <= 0) return Error{"cannot tell the number of CPUs"};
  std::vector<__u64> per_cpu(static_cast<size_t>(cpus));
  WireCounts sums{};
  for (uint32_t i = 0; i < MIRE_COUNT_REASONS * 2; ++i) {
    if (bpf_map_lookup_elem(counts_fd_.get(), &i, per_cpu.data()) != 0)
      return Error{fmt::format("cannot read the wire's counters: {}", std::strerror(errno))};
    for (const __u64 n : per_cpu) sums[i / 2][i % 2] += n;
  }
  return sums;
}

}  // namespace mire::ebpf
