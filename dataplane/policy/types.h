// types.h - the words of the policy: classes, states, verdicts, reasons. Everything may print them; only policy/
// decides them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace mire::policy {

// What a source is. The configuration gives each class a Treatment.
enum class SourceClass : uint8_t { exempt, trusted, known, unknown, suspect, blocked };
inline constexpr size_t kClasses = 6;

enum class State : uint8_t {
  none,          // no entry
  syn_seen,      // client's SYN forwarded
  syn_ack_held,  // the server's SYN-ACK is parked as numbers
  syn_ack_sent,  // SYN-ACK gone to the client; the handshake's ACK is awaited
  waiting,       // established, hold running; no byte of the greeting has come
  banner_held,   // hold running; the greeting, or its beginning, is parked
  due,           // established, hold over or none: the greeting passes as it comes
  greeted,       // some of the greeting has gone to the client, who has not spoken since
  talking,       // the client has spoken in turn
  closing,       // a FIN has passed; what remains is pleasantries
  finished,      // the client closed while held: we answered its FIN and reset the server
  tombstone,     // reset by us: its segments are dropped in both directions
  joined,        // first seen mid-stream: passed, never judged
  met,           // defer: we answered the SYN in the server's name; the handshake's ACK is awaited
  deferred,      // defer: proven, hold running; the server knows nothing of it
  invited,       // defer: the learned greeting went out; the first command is awaited
  dialling,      // defer: the first command is kept; the server is dialled, or its turn is awaited
  replied,       // we answered in the server's name and closed
};
inline constexpr size_t kStates = 18;

// What becomes of the packet or the flow.
enum class Verdict : uint8_t {
  pass,     // forwarded
  hold,     // parked, with a deadline
  release,  // what was parked goes out
  drop,     // not forwarded, nobody is told
  reset,    // not forwarded; both sides get a reset that they accept
  finish,   // a FIN while held: the client gets FIN and ACK, the server a reset
  count,    // forwarded, and remembered against (or for) somebody
  answer,   // not forwarded; we answer in the other side's name, as its TCP would
  dial,     // the client's words are kept and the server is dialled
  join,     // the server welcomed its dial: the kept words go on, and the flow with them
  reply,    // not forwarded; the client gets an SMTP reply in the server's name, and a close
};
inline constexpr size_t kVerdicts = 11;

// Why. Each reason is a counter (per lcore) and a word in the log. X(name, text for people)
#define MIRE_REASONS(X)                                                                                \
  /* passed */                                                                                         \
  X(not_smtp, "not TCP port 25, or not towards a protected server")                                    \
  X(outbound, "a connection opened from the lan side")                                                 \
  X(exempt, "source is exempt")                                                                        \
  X(handshake, "part of a handshake")                                                                  \
  X(no_hold, "greeting passed at once: the class has no hold")                                         \
  X(hold_over, "greeting came after the hold was over")                                                \
  X(in_dialogue, "dialogue in turn")                                                                   \
  X(nothing_new, "acknowledgement, keepalive, probe or repetition")                                    \
  X(no_entry, "belongs to no flow that we saw begin")                                                  \
  X(joined_mid_stream, "flow was joined mid-stream")                                                   \
  X(closing, "flow is closing")                                                                        \
  X(not_configured, "no configuration yet")                                                            \
  /* held and released */                                                                              \
  X(syn_ack_held, "SYN-ACK held")                                                                      \
  X(greeting_held, "greeting held")                                                                    \
  X(repeated_while_held, "repetition of what is held")                                                 \
  X(deadline, "hold ended at its deadline")                                                            \
  X(greeting_refused, "server greets with 4xx or 5xx: passed at once")                                 \
  X(greeting_unjudged, "greeting is no SMTP greeting that we can read: not judged")                    \
  X(released_on_stop, "hold ended because the dataplane stops")                                        \
  X(released_on_bypass, "hold cancelled: frames went past the dataplane")                              \
  /* refused */                                                                                        \
  X(early_talk, "spoke before the greeting was read")                                                  \
  X(early_talk_counted, "spoke before the greeting was read; only counted for this class")             \
  X(early_talk_observed, "spoke before the greeting was read; would have been reset")                  \
  X(blocked, "source is blocked")                                                                      \
  X(blocked_observed, "source is blocked; would have been refused")                                    \
  X(concurrent_limit, "more concurrent flows than the class allows")                                   \
  X(rate_limit, "more new flows in a minute than the class allows")                                    \
  X(unsynchronised_pipelining, "sent past a command whose reply it had not read")                      \
  X(early_hello, "early EHLO of a client that was once offered PIPECONNECT: bytes left to repetition") \
  X(tombstone, "segment of a flow that was reset")                                                     \
  X(stray_reset, "belongs to no flow that there can be: reset")                                        \
  X(stray_observed, "belongs to no flow that there can be; would have been reset")                     \
  X(gave_up, "client closed while held")                                                               \
  X(no_data, "connected and closed without a word")                                                    \
  X(delivered, "server accepted a message")                                                            \
  /* deferred: the server is dialled only for those who speak in turn */                               \
  X(met, "SYN answered in the server's name")                                                          \
  X(deferred, "greeting deferred; the server is not dialled yet")                                      \
  X(teased, "first line of the greeting sent at once; the rest is deferred")                           \
  X(dialled, "first command came in turn: server dialled")                                             \
  X(dial_waits, "dial waits for its turn")                                                             \
  X(dial_welcomed, "server welcomed the dial: the dialogue goes on")                                   \
  X(silent, "no command after the greeting: closed with 421")                                          \
  X(server_down, "server refused a dial or did not answer: closed with 421")                           \
  X(promise_broken, "server answered a dial otherwise than learned: closed with 421")                  \
  X(challenged, "SYN or probe on a deferred flow answered by an ACK")                                  \
  X(replied, "segment after a reply of ours")                                                          \
  X(stray_of_server, "segment of a server that was not dialled")                                       \
  X(error_of_ours, "ICMP error about a segment of ours: it is nobody else's business")                 \
  X(early_talk_rejected, "spoke before the greeting was read; refused with 521")                       \
  X(trapped, "source is blocked; its connection is taken and nothing of what it sends")                \
  X(blocked_rejected, "source is blocked; refused with 554")                                           \
  /* never evidence */                                                                                 \
  X(ahead_ack, "acknowledges what was never sent")                                                     \
  X(outside_window, "sequence number outside the window")                                              \
  X(inexact_reset, "reset whose sequence number is not the expected one")                              \
  X(unproven_data, "before the handshake was proven")                                                  \
  X(bad_checksum, "wrong checksum on a segment that would change state")                               \
  /* edits */                                                                                          \
  X(syn_data_trimmed, "data in a SYN trimmed")                                                         \
  X(options_blanked, "TCP Fast Open or MPTCP option blanked")                                          \
  X(error_translated, "ICMP error about a translated segment: its sender's own numbers quoted again")  \
  X(mss_clamped, "MSS clamped so that segments fit the port's frame")                                  \
  X(pipeconnect_hidden, "PIPECONNECT keyword overwritten in an EHLO reply")                            \
  /* full rooms and trouble: mail goes on, judged less */                                              \
  X(table_full, "flow table full: passed unjudged")                                                    \
  X(syn_share_full, "too many unanswered SYNs: the oldest gave way")                                   \
  X(source_table_full, "source table full: penalties and limits not kept for this source")             \
  X(banner_pool_full, "no room to park a greeting: passed at once")                                    \
  X(dialogue_pool_full, "no dialogue record: pipelining not judged")                                   \
  X(server_table_full, "more servers than the table holds: passed unjudged")                           \
  X(path_table_full, "more link paths than the table holds: passed unjudged")                          \
  X(calendar_full, "no calendar chunk: passed without a hold")                                         \
  X(no_buffer, "no packet buffer for a frame of our own")                                              \
  X(reflection_bound, "reply to an unproven source withheld: rate bound")                              \
  X(reordered_reply, "server's bytes out of order: left to repetition")                                \
  X(dialogue_lost, "gap in a dialogue: pipelining no longer judged")                                   \
  X(malformed, "frame with impossible lengths")                                                        \
  X(fragment, "IP fragment of TCP")                                                                    \
  X(not_kept, "no room to keep a deferred flow for the dataplane's successor")                         \
  X(idle, "flow forgotten after long silence")                                                         \
  X(evicted, "flow gave way to a newer one")

enum class Reason : uint8_t {
#define X(name, text) name,
  MIRE_REASONS(X)
#undef X
};

inline constexpr size_t kReasons = 0
#define X(name, text) +1
    MIRE_REASONS(X)
#undef X
    ;

// The word as operators type and read it, underscores as dashes are not used: "early_talk".
[[nodiscard]] std::string_view to_string(Reason) noexcept;
[[nodiscard]] std::string_view describe(Reason) noexcept;
[[nodiscard]] std::string_view to_string(SourceClass) noexcept;
[[nodiscard]] std::string_view to_string(State) noexcept;
[[nodiscard]] std::string_view to_string(Verdict) noexcept;

}  // namespace mire::policy
