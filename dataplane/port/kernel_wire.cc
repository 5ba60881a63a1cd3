#include "dataplane/port/kernel_wire.h"

#include <fmt/format.h>
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <utility>

#include "ebpf/bypass.h"
#include "ebpf/steer.h"
#include "ebpf/wire.h"

namespace mire::port {
namespace {

constexpr Duration kPatience = milliseconds{1500};  // a heartbeat is stale after 1 s (ebpf/kern_user.h)

struct Capability {
  unsigned number;
  const char* name;
};
constexpr std::array kNeeded = {Capability{CAP_NET_ADMIN, "CAP_NET_ADMIN"}, Capability{CAP_NET_RAW, "CAP_NET_RAW"},
                                Capability{CAP_BPF, "CAP_BPF"}, Capability{CAP_SYS_ADMIN, "CAP_SYS_ADMIN"}};

uint64_t effective_capabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> data{};
  if (syscall(SYS_capget, &header, data.data()) != 0) return 0;
  return data[0].effective | uint64_t{data[1].effective} << 32;
}

bool judged_by_another(const ebpf::WireState& state) {
  const Time end = MonotonicClock::now() + kPatience;
  while (state.judged(MonotonicClock::now())) {
    if (MonotonicClock::now() >= end) return true;
    const timespec nap{0, 50'000'000};
    nanosleep(&nap, nullptr);
  }
  return false;
}

}  // namespace

Status check_privileges() {
  const uint64_t have = effective_capabilities();
  for (const auto& c : kNeeded) {
    if ((have >> c.number & 1) == 0)
      return Error{fmt::format("no privilege: {} is missing (XDP and AF_XDP need it); run it with sudo", c.name)};
  }
  rlimit lock{};
  if ((have >> CAP_IPC_LOCK & 1) == 0 && getrlimit(RLIMIT_MEMLOCK, &lock) == 0 && lock.rlim_cur != RLIM_INFINITY) {
    return Error{"no privilege: packet buffers are locked in memory; give CAP_IPC_LOCK or LimitMEMLOCK=infinity"};
  }
  return success();
}

Result<KernelWire> open_kernel_wire(const ebpf::PortNames& names) {
  for (const std::string* name : {&names.wan, &names.lan}) {
    const auto owner = ebpf::xdp_owner(*name);
    if (!owner) return Error{owner.error()};
    if (*owner == ebpf::XdpOwner::foreign)
      return Error{fmt::format("{} carries an XDP program that is not ours: ip link set {} xdp off", *name, *name)};
  }
  auto steer = ebpf::steer_object();
  if (!steer) return Error{steer.error()};
  if (steer->find_first_of(",[]") != std::string::npos)
    return Error{fmt::format("{}: DPDK cannot take a path with a comma or a bracket; set MIRE_BPF_DIR", *steer)};

  const bool wan_closed = ebpf::bypass_attached(names.wan), lan_closed = ebpf::bypass_attached(names.lan);
  auto state = wan_closed && lan_closed ? ebpf::WireState::find(names) : ebpf::close_wire(names, ebpf::FailMode::open);
  if (!state) return Error{state.error()};
  if (judged_by_another(*state)) {
    return Error{fmt::format("{} and {} have a dataplane already, and it lives: end it first", names.wan, names.lan)};
  }

  auto wan = ebpf::port_facts(names.wan);
  if (!wan) return Error{wan.error()};
  auto lan = ebpf::port_facts(names.lan);
  if (!lan) return Error{lan.error()};
  KernelWire wire{std::move(state).value(), *wan, *lan, *steer, {}, false};

  const auto to_wan = ebpf::redirect_target(wan->ifindex), to_lan = ebpf::redirect_target(lan->ifindex);
  wire.via_user = !to_wan.frames || !to_lan.frames;
  if (wire.via_user) {
    wire.note = fmt::format("{} takes no frames redirected by XDP: all traffic goes through the dataplane, more slowly",
                            to_wan.frames ? names.lan : names.wan);
  }
  wire.state.set_ready(false);
  wire.state.set_via_user(wire.via_user);
  wire.state.set_linear_only(!to_wan.fragments || !to_lan.fragments);

  // From here on tc carries the wire until steer stands.
  for (const std::string* name : {&names.wan, &names.lan})
    if (auto s = ebpf::detach_xdp(*name); !s) return Error{s.error()};
  if (auto s = ebpf::introduce_maps(wire.state); !s) return Error{s.error()};
  return wire;
}

std::string af_xdp_device(const char* side, const std::string& interface, unsigned queues, const std::string& steer) {
  return fmt::format("net_af_xdp_{},iface={},start_queue=0,queue_count={},busy_budget=0,xdp_prog={}", side, interface,
                     queues, steer);
}

Result<unsigned> lcores_for(const ebpf::PortNames& names, unsigned asked) {
  const auto wan_facts = ebpf::port_facts(names.wan);
  if (!wan_facts) return Error{wan_facts.error()};
  const auto lan_facts = ebpf::port_facts(names.lan);
  if (!lan_facts) return Error{lan_facts.error()};
  const unsigned wan = wan_facts->receive_queues, lan = lan_facts->receive_queues;
  const unsigned want = asked != 0 ? asked : (wan < lan ? wan : lan);
  for (const auto& [name, queues] : {std::pair{&names.wan, wan}, std::pair{&names.lan, lan}}) {
    if (queues != want) {
      return Error{fmt::format("{} has {} receive queues for {} lcores, and each needs one: ethtool -L {} combined {}",
                               *name, queues, want, *name, want)};
    }
  }
  return want;
}

}  // namespace mire::port
