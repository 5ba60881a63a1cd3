#include "ebpf/bypass.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <net/if.h>

#include <cerrno>
#include <memory>
#include <optional>

#include "ebpf/programs.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wpedantic"
#include "bypass.skel.h"  // generated: bypass.bpf.o as bytes
#pragma GCC diagnostic pop

namespace mire::ebpf {
namespace {

// Before every other filter of the port: the wire is closed for all frames.
constexpr uint32_t kPriority = 1;
constexpr uint32_t kHandle = 0x4d495245;  // "MIRE"

bpf_tc_hook ingress_of(uint32_t ifindex) {
  bpf_tc_hook hook{};
  hook.sz = sizeof hook;
  hook.ifindex = static_cast<int>(ifindex);
  hook.attach_point = BPF_TC_INGRESS;
  return hook;
}

bpf_tc_opts our_place() {
  bpf_tc_opts options{};
  options.sz = sizeof options;
  options.handle = kHandle;
  options.priority = kPriority;
  return options;
}

// The program in our place on a port; 0 if there is none.
uint32_t program_in_our_place(const std::string& port) {
  const uint32_t ifindex = if_nametoindex(port.c_str());
  if (ifindex == 0) return 0;
  const auto hook = ingress_of(ifindex);
  auto options = our_place();
  const Quiet quiet;
  return bpf_tc_query(&hook, &options) == 0 ? options.prog_id : 0;
}

struct Found {
  std::optional<WireState> state;  // of our layout
  bool ours = false;               // our bypass, maybe of another layout
  bool foreign = false;
};

Result<Found> look_at(const std::string& port) {
  Found found;
  const uint32_t id = program_in_our_place(port);
  if (id == 0) return found;
  const auto program = program_by_id(id);
  if (!program) return Error{program.error()};
  found.ours = program->name == MIRE_BYPASS_PROGRAM;
  found.foreign = !found.ours;
  if (!found.ours) return found;
  Fd state = map_named(*program, MIRE_STATE_MAP);
  Fd counts = map_named(*program, MIRE_COUNTS_MAP);
  if (!state || !counts) return found;
  auto adopted = WireState::adopt(std::move(state), std::move(counts));
  if (!adopted) return Error{adopted.error()};
  found.state = std::move(adopted).value();
  return found;
}

// A port whose other end is a third one that still exists and is wired too is in use.
Status check_free(const std::string& port, const Found& found, const PortNames& ports, uint32_t wan, uint32_t lan) {
  if (found.foreign) {
    return Error{
        fmt::format("{} has somebody else's tc filter in our place: tc filter show dev {} ingress (pref {}), and "
                    "remove it",
                    port, port, kPriority)};
  }
  if (!found.state) return success();
  const uint32_t its_wan = found.state->wan_ifindex(), its_lan = found.state->lan_ifindex();
  if ((its_wan == wan && its_lan == lan) || its_wan == 0) return success();
  char wan_name[IF_NAMESIZE], lan_name[IF_NAMESIZE];
  if (if_indextoname(its_wan, wan_name) == nullptr || if_indextoname(its_lan, lan_name) == nullptr) return success();
  if (!bypass_attached(wan_name) || !bypass_attached(lan_name)) return success();
  return Error{
      fmt::format("{} is wired already (wan {}, lan {}), not as wan {} and lan {}: mire-bypass down --wan {} --lan {} "
                  "first",
                  port, wan_name, lan_name, ports.wan, ports.lan, wan_name, lan_name)};
}

struct CloseSkeleton {
  void operator()(bypass_bpf* skeleton) const { bypass_bpf__destroy(skeleton); }
};
using Skeleton = std::unique_ptr<bypass_bpf, CloseSkeleton>;

Result<Skeleton> load_on(const WireState& state) {
  Skeleton skeleton{bypass_bpf__open()};
  if (!skeleton) return failure("cannot read the bypass program", errno);
  for (const auto& [map, fd] : {std::pair{skeleton->maps.mire_state_v2, state.state_fd()},
                                std::pair{skeleton->maps.mire_counts_v2, state.counts_fd()}}) {
    bpf_map__set_pin_path(map, nullptr);
    if (const int error = bpf_map__reuse_fd(map, fd); error != 0)
      return failure("cannot give the bypass program its maps", error);
  }
  if (const int error = bypass_bpf__load(skeleton.get()); error != 0)
    return failure("the kernel refuses the bypass program", error);
  return skeleton;
}

Status attach(const std::string& port, uint32_t ifindex, int program_fd) {
  const auto hook = ingress_of(ifindex);
  auto options = our_place();
  options.prog_fd = program_fd;
  options.flags = BPF_TC_F_REPLACE;  // in one step: no frame in between goes by
  if (const int error = bpf_tc_attach(&hook, &options); error != 0)
    return failure(fmt::format("cannot attach bypass to {}", port), error);
  return success();
}

Status detach(const std::string& port) {
  const auto found = look_at(port);
  if (!found) return Error{found.error()};
  if (!found->ours) return success();
  const auto hook = ingress_of(if_nametoindex(port.c_str()));
  const auto options = our_place();
  const Quiet quiet;
  const int error = bpf_tc_detach(&hook, &options);
  if (error != 0 && error != -ENOENT) return failure(fmt::format("cannot detach bypass from {}", port), error);
  return success();
}

}  // namespace

bool bypass_attached(const std::string& port) {
  const auto found = look_at(port);
  return found && found->ours;
}

Result<WireState> state_of_bypass(const std::string& port) {
  auto found = look_at(port);
  if (!found) return Error{found.error()};
  if (!found->state) {
    return Error{fmt::format("bypass does not close the wire at {}{}: mire-bypass up first", port,
                             found->ours ? " (it is there, but of another version)" : "")};
  }
  return std::move(*found->state);
}

Result<WireState> attach_bypass(const PortNames& ports, FailMode mode) {
  const uint32_t wan = if_nametoindex(ports.wan.c_str()), lan = if_nametoindex(ports.lan.c_str());
  for (const auto& [index, port] : {std::pair{wan, &ports.wan}, std::pair{lan, &ports.lan}}) {
    if (index == 0)
      return Error{fmt::format("there is no interface {} here: ip link shows those that there are", *port)};
  }
  auto at_wan = look_at(ports.wan);
  if (!at_wan) return Error{at_wan.error()};
  auto at_lan = look_at(ports.lan);
  if (!at_lan) return Error{at_lan.error()};
  if (auto free = check_free(ports.wan, *at_wan, ports, wan, lan); !free) return Error{free.error()};
  if (auto free = check_free(ports.lan, *at_lan, ports, wan, lan); !free) return Error{free.error()};

  std::optional<WireState> state;
  for (auto* found : {&*at_wan, &*at_lan}) {
    if (!state && found->state && found->state->wan_ifindex() == wan && found->state->lan_ifindex() == lan)
      state = std::move(found->state);
  }
  if (!state) {
    auto made = WireState::create();
    if (!made) return made;
    state = std::move(made).value();
    state->set_ports(wan, lan);
  }
  const FailMode before = state->fail_mode();
  state->set_fail_mode(mode);

  const Quiet quiet;
  const auto skeleton = load_on(*state);
  if (!skeleton) return Error{skeleton.error()};
  const int program = bpf_program__fd((*skeleton)->progs.mire_bypass);
  if (auto done = attach(ports.wan, wan, program); !done) {
    state->set_fail_mode(before);
    return Error{done.error()};
  }
  if (auto done = attach(ports.lan, lan, program); !done) {
    if (!at_wan->ours) (void)detach(ports.wan);
    state->set_fail_mode(before);
    return Error{done.error()};
  }
  return std::move(*state);
}

Status detach_bypass(const PortNames& ports) {
  const auto wan = detach(ports.wan);
  const auto lan = detach(ports.lan);
  return wan ? lan : wan;
}

}  // namespace mire::ebpf
