// wire_state.h - what the eBPF programs and the dataplane tell each other: the two maps of kern_user.h, as typed
// access.
//
// The maps belong to the bypass programs at tc ingress of both ports: they live as long as the wire is closed, with no
// pin on any file system, and are found through the attached program. Knows neither DPDK nor policy. Setters are plain
// stores into mapped memory: no system call, any thread; each field has one writer.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "dataplane/base/result.h"
#include "dataplane/base/time.h"
#include "dataplane/wire/address.h"
#include "ebpf/fd.h"
#include "ebpf/kern_user.h"

namespace mire::ebpf {

enum class FailMode : uint8_t { open, closed };

// The two interfaces that the wire joins, by name in the current network namespace.
struct PortNames {
  std::string wan;
  std::string lan;
};

// Frames by reason, by the side they came in on (0: wan, 1: lan), summed over all CPUs.
using WireCounts = std::array<std::array<uint64_t, 2>, MIRE_COUNT_REASONS>;

// "redirected", "to_dataplane", ...: the name of a reason for people and for JSON keys.
[[nodiscard]] const char* count_name(mire_count reason) noexcept;

class WireState {
 public:
  // The maps of the wire that bypass keeps closed between these two ports. An error if it does not.
  static Result<WireState> find(const PortNames&);
  // Maps of its own, not yet shared with any program: for attach_bypass and tests.
  static Result<WireState> create();
  // Takes over the two map descriptors.
  static Result<WireState> adopt(Fd state, Fd counts);

  WireState(WireState&&) noexcept;
  WireState& operator=(WireState&&) noexcept;
  ~WireState();

  // For the dataplane, in this order: the facts of its ports, a first beat of every queue, ready; and not ready before
  // it goes.
  void set_via_user(bool every_frame) noexcept;
  void set_linear_only(bool linear_only) noexcept;
  void set_largest_frame(uint32_t bytes) noexcept;
  void set_fail_mode(FailMode) noexcept;
  void beat(unsigned queue, Time now) noexcept;  // at least every half second, else the queue counts as dead
  void set_ready(bool somebody_judges) noexcept;

  // Flows that only this dataplane, or one that it hands them to, can carry on: while nobody judges, the programs drop
  // their segments instead of passing them (for MIRE_SUCCESSOR_NS). Any lcore; each keep() is matched by a let_go().
  void forget_kept(uint32_t key) noexcept;
  void keep(const wire::Address& client, const wire::Address& server, uint16_t client_port) noexcept;
  void let_go(const wire::Address& client, const wire::Address& server, uint16_t client_port) noexcept;

  // Grows when TCP/25 has passed unjudged: every flow not yet talking becomes joined.
  [[nodiscard]] uint64_t bypass_epoch() const noexcept;

  [[nodiscard]] bool ready() const noexcept;
  // ready, and some queue has beaten of late: what the programs take for a living dataplane.
  [[nodiscard]] bool judged(Time now) const noexcept;
  [[nodiscard]] FailMode fail_mode() const noexcept;
  [[nodiscard]] uint32_t wan_ifindex() const noexcept;
  [[nodiscard]] uint32_t lan_ifindex() const noexcept;
  [[nodiscard]] bool via_user() const noexcept;
  [[nodiscard]] uint32_t largest_frame() const noexcept;
  void set_ports(uint32_t wan_ifindex, uint32_t lan_ifindex) noexcept;  // for attach_bypass and tests

  [[nodiscard]] Result<WireCounts> counts() const;

  [[nodiscard]] int state_fd() const noexcept { return state_fd_.get(); }
  [[nodiscard]] int counts_fd() const noexcept { return counts_fd_.get(); }

 private:
  WireState(Fd state, Fd counts, mire_state* mapped) noexcept;
  [[nodiscard]] uint32_t kept_place(const wire::Address&, const wire::Address&, uint16_t port) const noexcept;

  Fd state_fd_;
  Fd counts_fd_;
  mire_state* mapped_ = nullptr;
};

}  // namespace mire::ebpf
