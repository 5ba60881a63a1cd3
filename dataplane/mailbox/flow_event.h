// flow_event.h - what a lcore reports of a flow: one fixed-size value, no pointers, the same in the queues, in shared
// memory and in mire-replay.
#pragma once

#include <array>
#include <cstdint>
#include <type_traits>

#include "dataplane/policy/types.h"
#include "dataplane/wire/address.h"

namespace mire::mailbox {

struct FlowEvent {
  uint64_t time_ns = 0;  // CLOCK_MONOTONIC; the reader turns it into wall time
  wire::Address client;  // as on the wire
  wire::Address server;
  uint64_t vlan = 0;         // wire::VlanStack::value
  uint64_t penalty_ms = 0;   // with early_talk: how long the source is now suspect; else 0
  uint32_t hold_ms = 0;      // measured: handshake's ACK in to first release out (or to the verdict)
  uint16_t client_port = 0;  // host byte order
  policy::SourceClass source_class = policy::SourceClass::unknown;
  policy::State state = policy::State::none;  // in which it happened
  policy::Verdict verdict = policy::Verdict::pass;
  policy::Reason reason = policy::Reason::handshake;
  uint8_t observed = 0;      // 1: judged only, nothing was enforced
  uint8_t bytes_length = 0;  // of first_bytes
  uint8_t lcore = 0;
  uint8_t offences = 0;  // with a penalty: how many count against the source; 255: that many or more
  uint8_t padding[2] = {};
  uint32_t accepted = 0;  // messages that the server accepted on this flow (with the event that ends it)
  std::array<uint8_t, 52> first_bytes{};  // what an early talker said
};

static_assert(sizeof(FlowEvent) == 128,
              "two cache lines; crosses a process boundary: layout is part of kLayoutVersion");
static_assert(std::is_trivially_copyable_v<FlowEvent>);

}  // namespace mire::mailbox
