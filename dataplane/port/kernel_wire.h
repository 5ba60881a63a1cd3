// kernel_wire.h - what must stand around two kernel interfaces before DPDK may have them, in the right order.
//
// Bypass closes the wire first, whoever came before at XDP is taken away last, and the shared maps lie where the PMD's
// loader finds them. If anything is wrong the wire stays as it was: closed by bypass, or not ours at all.
#pragma once

#include <string>
#include <vector>

#include "dataplane/base/result.h"
#include "ebpf/ports.h"
#include "ebpf/wire_state.h"

namespace mire::port {

struct KernelWire {
  ebpf::WireState state;
  ebpf::PortFacts wan;
  ebpf::PortFacts lan;
  std::string steer;      // the object that the PMD loads
  std::string note;       // one line for the operator, or empty
  bool via_user = false;  // a port takes no redirected frames: all of them come to us

  [[nodiscard]] uint32_t mtu() const noexcept { return wan.mtu > lan.mtu ? wan.mtu : lan.mtu; }
};

// Call with one thread, before EAL. Waits up to 1.5 s for the heart of a predecessor to stop; one that lives on is an
// error.
Result<KernelWire> open_kernel_wire(const ebpf::PortNames&);

// The --vdev argument of one side.
[[nodiscard]] std::string af_xdp_device(const char* side, const std::string& interface, unsigned queues,
                                        const std::string& steer);

// Every receive queue needs a lcore, else its share of the mail goes past us. `asked` 0: as many as there are queues.
[[nodiscard]] Result<unsigned> lcores_for(const ebpf::PortNames&, unsigned asked);

// The privileges that the kernel will want, checked by name. Success for root.
[[nodiscard]] Status check_privileges();

}  // namespace mire::port
