#include "ebpf/bypass.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <net/if.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>

#include "ebpf/attached.h"
#include "ebpf/objects.h"
#include "ebpf/ports.h"

namespace mire::ebpf {
namespace {

struct CloseObject {
  void operator()(bpf_object* o) const noexcept { bpf_object__close(o); }
};
using Object = std::unique_ptr<bpf_object, CloseObject>;

// bypass.bpf.o, loaded over these maps and pinned nowhere.
Result<Object> load(const WireState& state) {
  auto path = object_file("bypass.bpf.o");
  if (!path) return Error{path.error()};
  Object object{bpf_object__open_file(path->c_str(), nullptr)};
  if (object == nullptr) return Error{fmt::format("{}: cannot be read: {}", *path, std::strerror(errno))};
  for (const auto& [name, fd] : {std::pair{MIRE_STATE_MAP, state.state_fd()}, {MIRE_COUNTS_MAP, state.counts_fd()}}) {
    bpf_map* map = bpf_object__find_map_by_name(object.get(), name);
    if (map == nullptr) return Error{fmt::format("{}: has no map {}; it belongs to another version", *path, name)};
    bpf_map__set_pin_path(map, nullptr);
    if (bpf_map__reuse_fd(map, fd) != 0) return Error{fmt::format("{}: map {} does not fit", *path, name)};
  }
  if (const int err = bpf_object__load(object.get()); err != 0) {
    return Error{fmt::format("{}: the kernel refuses it: {}{}", *path, std::strerror(-err),
                             err == -EPERM ? "; run as root (CAP_BPF and CAP_NET_ADMIN)" : "")};
  }
  return object;
}

Status attach(const Object& object, const std::string& port, uint32_t ifindex) {
  LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = static_cast<int>(ifindex), .attach_point = BPF_TC_INGRESS);
  if (const int err = bpf_tc_hook_create(&hook); err != 0 && err != -EEXIST)
    return Error{
        fmt::format("{}: no clsact: {}; the kernel needs NET_CLS_ACT and NET_SCH_INGRESS", port, std::strerror(-err))};
  bpf_program* program = bpf_object__find_program_by_name(object.get(), MIRE_BYPASS_PROGRAM);
  MIRE_ASSERT(program != nullptr);
  LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = bpf_program__fd(program), .flags = BPF_TC_F_REPLACE, .handle = kTcHandle,
              .priority = kTcPriority);
  if (const int err = bpf_tc_attach(&hook, &opts); err != 0)
    return Error{fmt::format("{}: bypass cannot be attached: {}", port, std::strerror(-err))};
  return success();
}

void detach(uint32_t ifindex, bool remove_qdisc) {
  LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = static_cast<int>(ifindex), .attach_point = BPF_TC_INGRESS);
  LIBBPF_OPTS(bpf_tc_opts, opts, .handle = kTcHandle, .priority = kTcPriority);
  (void)bpf_tc_detach(&hook, &opts);
  if (!remove_qdisc) return;
  // Both attach points: libbpf then takes the clsact itself.
  hook.attach_point = static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS);
  (void)bpf_tc_hook_destroy(&hook);
}

}  // namespace

bool has_clsact(const std::string& port) {
  // Asking for any filter fails with ENOENT where there is a clsact, and with EINVAL where there is none.
  LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = static_cast<int>(if_nametoindex(port.c_str())),
              .attach_point = BPF_TC_INGRESS);
  LIBBPF_OPTS(bpf_tc_opts, opts, .handle = kTcHandle, .priority = kTcPriority);
  silence_libbpf();
  const int err = bpf_tc_query(&hook, &opts);
  return err == 0 || err == -ENOENT;
}

bool bypass_attached(const std::string& port) {
  const uint32_t ifindex = if_nametoindex(port.c_str());
  if (ifindex == 0) return false;
  const auto id = attached_bypass(ifindex, port);
  return id && *id != 0;
}

Result<WireState> attach_bypass(const PortNames& ports, FailMode mode) {
  silence_libbpf();
  if (auto s = check_ports(ports); !s) return Error{s.error()};
  const uint32_t wan = if_nametoindex(ports.wan.c_str()), lan = if_nametoindex(ports.lan.c_str());
  const auto at_wan = attached_bypass(wan, ports.wan), at_lan = attached_bypass(lan, ports.lan);
  if (!at_wan) return Error{at_wan.error()};
  if (!at_lan) return Error{at_lan.error()};

  // Maps of a bypass that is there already are kept, and with them whoever uses them.
  std::optional<WireState> state;
  for (const std::string* port : {&ports.wan, &ports.lan}) {
    auto maps = attached_maps(*port);
    if (!maps) continue;  // none, or an older layout that will be replaced
    auto kept = WireState::adopt(std::move(maps->state), std::move(maps->counts));
    if (!kept) return kept;
    const bool same = kept->wan_ifindex() == wan && kept->lan_ifindex() == lan;
    const bool unset = kept->wan_ifindex() == 0 && kept->lan_ifindex() == 0;
    if (!same && !unset)
      return Error{fmt::format("{} is wired to another port already; mire-bypass down that wire first", *port)};
    if (!state) state = std::move(*kept);
  }
  if (!state) {
    auto made = WireState::create();
    if (!made) return made;
    state = std::move(*made);
  }
  auto object = load(*state);
  if (!object) return Error{object.error()};
  state->set_ports(wan, lan);
  state->set_fail_mode(mode);
  if (auto s = attach(*object, ports.wan, wan); !s) return Error{s.error()};
  if (auto s = attach(*object, ports.lan, lan); !s) {
    if (*at_wan == 0) detach(wan, false);
    return Error{s.error()};
  }
  return std::move(*state);
}

Status detach_bypass(const PortNames& ports, MadeQdisc remove_qdisc) {
  silence_libbpf();
  for (const auto& [port, remove] : {std::pair{&ports.wan, remove_qdisc.wan}, {&ports.lan, remove_qdisc.lan}}) {
    const uint32_t ifindex = if_nametoindex(port->c_str());
    if (ifindex == 0) continue;  // gone, and its programs with it
    const auto id = attached_bypass(ifindex, *port);
    if (!id) return Error{id.error()};
    if (*id != 0) detach(ifindex, remove);
  }
  return success();
}

}  // namespace mire::ebpf
