// classify.h - a segment's numbers against a flow's: which Event is it?
//
// Pure: no clock, no tables. It knows sequence numbers and nothing of SMTP; what the greeting's bytes say is told by
// the caller. "Early talk, exactly" (docs/policy.md): a segment acknowledges the greeting's last byte if and only if
// its sender has read it.
#pragma once

#include "dataplane/flow/record.h"
#include "dataplane/policy/policy.h"
#include "dataplane/wire/parse.h"

namespace mire::flow {

// For a segment of the client. Never returns early_hello or pipelined: those need bytes.
[[nodiscard]] policy::Event classify_client(const State32&, const wire::Headers&) noexcept;

// For a segment of the server. `expected` is the first byte of the greeting that we have not seen. In the states that
// read a greeting (waiting, banner_held, due, greeted) new bytes in order come back as greeting_part, and the caller
// scans them; bytes behind a gap as greeting_gap, or as server_data once the greeting's end is known.
[[nodiscard]] policy::Event classify_server(const State32&, const wire::Headers&, wire::SeqNo expected) noexcept;

// For a segment of a client whom we meet ourselves (met .. dialling, replied). `greeting_end`: behind what we have sent
// it; in met and deferred its server_first(). `said`: how many bytes of its first words are kept (dialling).
[[nodiscard]] policy::Event classify_met(const State32&, const wire::Headers&, wire::SeqNo greeting_end,
                                         uint32_t said) noexcept;

// A server that was dialled, in its own counting.
struct Dialled {
  wire::SeqNo client_first;
  bool answered = false;  // its SYN-ACK has come
  wire::SeqNo isn;        // if answered
  wire::SeqNo next;       // first byte that has not come
};
// For its segments. What belongs to another connection comes back as syn_ack_other; new bytes in order as
// greeting_part, to be scanned by the caller.
[[nodiscard]] policy::Event classify_dialled(const Dialled&, const wire::Headers&) noexcept;

}  // namespace mire::flow
