// wire.h - closes and opens a wire: ports and bypass in the right order, or nothing at all.
//
// What mire-bypass does, for whoever wants it without a process of its own.
#pragma once

#include <string>

#include "dataplane/base/result.h"
#include "ebpf/wire_state.h"

namespace mire::ebpf {

// Checks, prepares the ports, attaches bypass: from then on the wire is closed. On an error both ports are as they
// were.
Result<WireState> close_wire(const PortNames&, FailMode);

// Detaches what is ours, XDP and tc, and puts the ports back. Refuses before it touches anything if a port carries
// somebody else's XDP program.
Status open_wire(const PortNames&);

}  // namespace mire::ebpf
