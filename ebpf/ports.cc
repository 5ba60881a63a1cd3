#include "ebpf/ports.h"

#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <vector>

#include "ebpf/ipv6_silence.h"
#include "ebpf/netlink.h"
#include "ebpf/offloads.h"
#include "ebpf/programs.h"
#include "ebpf/remembered.h"

namespace mire::ebpf {
namespace {

// Tags must stay in the frame (XDP sees no metadata), and frames must leave as they came.
const std::vector<std::string> kUnwanted = {"rx-vlan-hw-parse", "rx-vlan-stag-hw-parse", "rx-gro", "rx-gro-hw",
                                            "rx-lro"};
constexpr short kWantedFlags = IFF_UP | IFF_PROMISC;

Result<short> flags_of(const std::string& port) {
  const Fd socket{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  ifreq request{};
  port.copy(request.ifr_name, IFNAMSIZ - 1);
  if (ioctl(socket.get(), SIOCGIFFLAGS, &request) != 0)
    return failure(fmt::format("cannot read flags of {}", port), errno);
  return request.ifr_flags;
}

Status change_flags(const std::string& port, short set, short clear) {
  const auto now = flags_of(port);
  if (!now) return Error{now.error()};
  const Fd socket{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  ifreq request{};
  port.copy(request.ifr_name, IFNAMSIZ - 1);
  request.ifr_flags = static_cast<short>((*now | set) & ~clear);
  if (request.ifr_flags == *now) return success();
  if (ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0)
    return failure(fmt::format("cannot set flags of {}", port), errno);
  return success();
}

bpf_tc_hook clsact_of(uint32_t ifindex) {
  bpf_tc_hook hook{};
  hook.sz = sizeof hook;
  hook.ifindex = static_cast<int>(ifindex);
  hook.attach_point = static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS);
  return hook;
}

// Adds to `before` as it goes, so that a failure half way can be put back.
Status prepare(RememberedPort& before) {
  const auto flags = flags_of(before.name);
  if (!flags) return Error{flags.error()};

  auto hook = clsact_of(before.ifindex);
  const Quiet quiet;
  const int error = bpf_tc_hook_create(&hook);
  if (error != 0 && error != -EEXIST) return failure(fmt::format("cannot make a clsact on {}", before.name), error);
  before.made_clsact |= error == 0;

  const auto silenced = silence_ipv6(before.name);
  if (!silenced) return Error{silenced.error()};
  before.silenced_ipv6 |= silenced->was_on;
  before.ipv6_addresses.insert(before.ipv6_addresses.end(), silenced->addresses.begin(), silenced->addresses.end());

  const auto off = switch_off(before.name, kUnwanted);
  if (!off) return Error{off.error()};
  before.switched_off.insert(before.switched_off.end(), off->begin(), off->end());

  before.flags_set = static_cast<short>(before.flags_set | (kWantedFlags & ~*flags));
  return change_flags(before.name, kWantedFlags, 0);
}

Status put_back(const RememberedPort& before) {
  if (if_nametoindex(before.name.c_str()) != before.ifindex) return success();  // it is gone, and its settings with it
  Status worst = success();
  const auto also = [&worst](const Status& done) {
    if (!done && worst) worst = done;
  };
  also(change_flags(before.name, 0, before.flags_set));
  also(switch_on(before.name, before.switched_off));
  if (before.silenced_ipv6) also(unsilence_ipv6(before.name, before.ipv6_addresses));
  if (before.made_clsact) {
    auto hook = clsact_of(before.ifindex);
    const Quiet quiet;
    const int error = bpf_tc_hook_destroy(&hook);
    if (error != 0 && error != -ENOENT && error != -EINVAL)
      also(failure(fmt::format("cannot remove the clsact of {}", before.name), error));
  }
  return worst;
}

}  // namespace

Result<PortFacts> port_facts(const std::string& port) {
  const uint32_t ifindex = port.size() < IFNAMSIZ ? if_nametoindex(port.c_str()) : 0;
  if (ifindex == 0)
    return Error{fmt::format("there is no interface {} here: ip link shows those that there are", port)};
  ifinfomsg fixed{};
  fixed.ifi_index = static_cast<int>(ifindex);
  const auto answer = netlink::Request(RTM_GETLINK, netlink::bytes_of(fixed)).ask(NETLINK_ROUTE);
  if (answer.error != 0) return failure(fmt::format("cannot ask about {}", port), answer.error);
  const auto link = netlink::value_of<ifinfomsg>(answer.payload);
  if (!link) return Error{fmt::format("cannot ask about {}: the kernel's answer is too short", port)};
  PortFacts facts;
  facts.ifindex = ifindex;
  facts.up = (link->ifi_flags & IFF_UP) != 0;
  facts.ethernet = link->ifi_type == ARPHRD_ETHER;
  facts.receive_queues = receive_queues(port);
  netlink::each_attribute(std::span{answer.payload}.subspan(NLMSG_ALIGN(sizeof(ifinfomsg))),
                          [&](uint16_t type, std::span<const std::byte> value) {
                            if (type == IFLA_MTU) facts.mtu = netlink::value_of<uint32_t>(value).value_or(0);
                            if (type == IFLA_MASTER) facts.master = netlink::value_of<uint32_t>(value).value_or(0);
                          });
  return facts;
}

Status check_ports(const PortNames& ports) {
  for (const auto* port : {&ports.wan, &ports.lan}) {
    const auto facts = port_facts(*port);
    if (!facts) return Error{facts.error()};
    if (!facts->ethernet) return Error{fmt::format("{} is not an Ethernet interface: name one that is", *port)};
    if (facts->master != 0) {
      char name[IF_NAMESIZE];
      const char* master = if_indextoname(facts->master, name) != nullptr ? name : "a bridge or bond";
      return Error{fmt::format("{} belongs to {}: release it first (ip link set {} nomaster)", *port, master, *port)};
    }
  }
  if (ports.wan == ports.lan)
    return Error{fmt::format("wan and lan are both {}: a wire has two ends, name two interfaces", ports.wan)};
  return success();
}

Result<bool> prepare_ports(const PortNames& ports) {
  const uint32_t wan = if_nametoindex(ports.wan.c_str()), lan = if_nametoindex(ports.lan.c_str());
  auto before = Remembered::read(ports);
  const bool known = before && before->wan.ifindex == wan && before->lan.ifindex == lan;
  if (!known) {
    before.emplace();
    before->wan.name = ports.wan;
    before->wan.ifindex = wan;
    before->lan.name = ports.lan;
    before->lan.ifindex = lan;
  }
  auto done = prepare(before->wan);
  if (done) done = prepare(before->lan);
  if (done) done = before->write(ports);
  if (done) return !known;
  if (!known) {
    (void)put_back(before->lan);
    (void)put_back(before->wan);
  }
  return Error{done.error()};
}

bool ports_prepared(const PortNames& ports) { return Remembered::read(ports).has_value(); }

Status restore_ports(const PortNames& ports) {
  const auto before = Remembered::read(ports);
  if (!before) return success();
  const auto wan = put_back(before->wan);
  const auto lan = put_back(before->lan);
  Remembered::forget(ports);
  return wan ? lan : wan;
}

}  // namespace mire::ebpf
