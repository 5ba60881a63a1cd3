// policy.h - decides what becomes of an SMTP flow.
//
// A pure function of its arguments: it sees no packets, reads no clock, draws no chance and keeps no state of its own,
// so the same events give the same verdicts on a live lcore, in a unit test, under a fuzzer and in a replayed capture.
// docs/policy.md draws the states.
#pragma once

#include <optional>

#include "dataplane/policy/treatment.h"
#include "dataplane/policy/types.h"

namespace mire::policy {

// What happened, as flow/classify reads it off the numbers of a segment. "Payload" below means new payload: bytes
// beyond what was seen.
enum class Event : uint8_t {
  // from the client
  syn,               // the first SYN of a flow that has no entry
  syn_meetable,      // the same, to a server in whose name we can answer
  syn_repeated,      // the same ISN again
  syn_other,         // another ISN on a live entry
  proof,             // the ACK that completes the handshake exactly, and nothing else
  proof_with_data,   // the same with payload on it
  proof_with_hello,  // the same, the payload being an EHLO to a server that once offered PIPECONNECT
  proof_with_fin,    // the same with a FIN and no payload
  unproven,          // before the proof, a segment that is none; no payload
  unproven_data,     // before the proof, payload
  nothing_new,       // ACK, keepalive, window probe, repetition
  early,             // payload of one who cannot have read the greeting
  early_hello,       // the same, of a flow that began with an EHLO to a server that once offered PIPECONNECT
  speech,            // payload in turn
  pipelined,         // payload past a group-ending command whose reply was not acknowledged
  ahead,             // acknowledges what was never sent
  outside,           // payload outside the window
  fin,               // a FIN without payload, at the exact number
  reset,             // RST at the exact number
  reset_inexact,     // RST at another number
  // from the server
  syn_ack,              // acknowledges the client's ISN
  syn_ack_repeated,     // the one that we know already
  syn_ack_other,        // acknowledges another ISN: the server has begun anew
  greeting_part,        // in order, no final line yet
  greeting_end,         // in order, up to and with the final 220 line
  greeting_refusal,     // 4xx or 5xx
  greeting_unreadable,  // no SMTP greeting that we can read
  server_repeat,        // bytes of the greeting that we have already
  server_nothing_new,   // ACK without payload
  greeting_gap,         // bytes of the greeting out of order: what lies before them is missing
  server_data,          // payload after the greeting
  server_fin,
  server_reset,
  // time
  deadline,
  waited_enough,  // for the first command of an invited client, or for the answer of a dialled server
};
inline constexpr size_t kEvents = static_cast<size_t>(Event::waited_enough) + 1;

// A decision as a value. `hold` names the range from which the caller draws, only where a hold begins: of what is
// parked, or of our own SYN-ACK (State::met).
struct Step {
  State next = State::none;
  Verdict verdict = Verdict::pass;
  Reason reason = Reason::in_dialogue;
  HoldRange hold{};
  friend constexpr bool operator==(const Step&, const Step&) noexcept = default;
};

// `treatment` is that of the class, with `observe` already true if the whole box observes. Any combination has an
// answer.
[[nodiscard]] Step step(State, Event, const Treatment& treatment) noexcept;

// Does early talk demote the source for a while? One that speaks another protocol (GET, POST, a TLS hello) is lost
// rather than hostile: it never demotes a trusted or known source.
[[nodiscard]] constexpr bool demotes(SourceClass c, bool other_protocol) noexcept {
  return !(other_protocol && (c == SourceClass::trusted || c == SourceClass::known));
}

// Does the treatment withhold the greeting, enforcement included?
[[nodiscard]] constexpr bool withholds(const Treatment& t) noexcept {
  return t.judged && !t.observe && t.withhold != Withhold::none && t.greeting.max_ms != 0;
}

// Is such a source refused by ourselves? Then its segments without an entry are ours to judge and never the server's.
[[nodiscard]] constexpr bool refuses_alone(const Treatment& t) noexcept {
  return t.judged && !t.observe && (t.syn == OnSyn::reject || t.syn == OnSyn::trap);
}

// Is such a source's segment that belongs to no flow reset? Observed, it is only counted.
[[nodiscard]] constexpr bool resets_joined(const Treatment& t) noexcept {
  return t.judged && t.joined == OnJoined::reset;
}

// What becomes of a segment that belongs to no flow, where its source is not refused by ourselves. `perhaps_older`: its
// flow may have begun where we did not see it, or may have been forgotten; that is not the client's fault.
[[nodiscard]] constexpr Step step_of_stray(const Treatment& t, bool perhaps_older) noexcept {
  if (!resets_joined(t) || perhaps_older) return {State::none, Verdict::pass, Reason::no_entry};
  if (t.observe) return {State::none, Verdict::count, Reason::stray_observed};
  return {State::none, Verdict::reset, Reason::stray_reset};
}

// Observe mode: what enforcement would have done to a flow of this class.
[[nodiscard]] constexpr bool would_block(const Treatment& t) noexcept {
  return t.judged && t.observe && t.syn != OnSyn::pass;
}
[[nodiscard]] constexpr bool would_reset_pipelining(const Treatment& t) noexcept {
  return t.judged && t.observe && t.pipelining == OnPipelining::reset;
}

// Is the source at a limit of its class already? Both numbers count its proven flows, without the one in question.
[[nodiscard]] constexpr std::optional<Reason> limit_reached(const Treatment& t, uint32_t live,
                                                            uint32_t opened_this_minute) noexcept {
  if (t.concurrent != 0 && live >= t.concurrent) return Reason::concurrent_limit;
  if (t.per_minute != 0 && opened_this_minute >= t.per_minute) return Reason::rate_limit;
  return std::nullopt;
}

[[nodiscard]] std::string_view to_string(Event) noexcept;

}  // namespace mire::policy
