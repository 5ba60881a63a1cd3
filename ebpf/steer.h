// steer.h - what a dataplane does around the XDP program that its net_af_xdp ports load.
//
// The PMD takes a path, loads the object and attaches it by itself, once a port; what is left to us is where the file
// lies, that it finds the shared maps, and that a dead dataplane's program is gone first (the PMD refuses to attach
// over it). In order:
//   attach_bypass or WireState::find; detach_xdp of both ports; introduce_maps; EAL with xdp_prog=steer_object().
#pragma once

#include <cstdint>
#include <string>

#include "dataplane/base/result.h"
#include "ebpf/wire_state.h"

namespace mire::ebpf {

// Where steer.bpf.o lies: $MIRE_BPF_DIR, beside the running program's build (BUILD/ebpf), else /usr/lib/mire.
Result<std::string> steer_object();

// Gives the calling process a mount namespace of its own with a fresh bpffs on /sys/fs/bpf, in which the shared maps
// are pinned by name, so that libbpf takes these for every object loaded from now on. Nothing is left behind when the
// process ends. Call while the process has one thread, and after everything that must be mounted outside.
Status introduce_maps(const WireState&);

// Detaches our XDP program from a port, whoever left it there; success if there is none. Refuses somebody else's.
Status detach_xdp(const std::string& port);

enum class XdpOwner : uint8_t { none, ours, foreign };
[[nodiscard]] Result<XdpOwner> xdp_owner(const std::string& port);

// Whether frames can be redirected to a port inside the kernel (ndo_xdp_xmit). Where the kernel cannot be asked
// (before 6.3): yes.
struct RedirectTarget {
  bool frames = true;
  bool fragments = true;  // of several buffers too (set_linear_only otherwise)
};
[[nodiscard]] RedirectTarget redirect_target(uint32_t ifindex);

}  // namespace mire::ebpf
