// attached.h - what is attached to a port: our programs told from others', and the maps that ours hold. Private to
// ebpf/.
#pragma once

#include <cstdint>
#include <string>

#include "dataplane/base/result.h"
#include "ebpf/fd.h"

namespace mire::ebpf {

// Where bypass sits at tc ingress: a handle and priority of our own, so that others' filters stay.
inline constexpr uint32_t kTcHandle = 0x6d69;
inline constexpr uint32_t kTcPriority = 0x6d69;

struct Maps {
  Fd state;
  Fd counts;
  uint32_t state_id = 0;
};

// The id of bypass at tc ingress; 0: nothing in our place. Somebody else's program there is an error.
[[nodiscard]] Result<uint32_t> attached_bypass(uint32_t ifindex, const std::string& port);

// The maps of the bypass that is attached to the port; an error if there is none, or one of another layout.
[[nodiscard]] Result<Maps> attached_maps(const std::string& port);

// Is the program with this id ours by name?
[[nodiscard]] bool program_is(uint32_t id, const char* name);

// Whatever libbpf would print is ours to say, in one line.
void silence_libbpf() noexcept;

}  // namespace mire::ebpf
