#include "dataplane/policy/policy.h"

#include "dataplane/policy/steps.h"

namespace mire::policy {
namespace {

// Is there anything to enforce: a hold, or a reset for early talk? Where there is not, what only the server need refuse
// goes on to it.
bool enforces(const Treatment& t) noexcept {
  return !t.observe && (t.early_talk != OnEarlyTalk::count || withholds(t));
}
Step drop_if_enforced(const Treatment& t, State next, Reason reason) noexcept {
  return enforces(t) ? drop(next, reason) : pass(next, reason);
}
// A RST of the client at the exact number. Its server may ignore the client's own frame (a signature option, an old
// timestamp, a hop limit too low): it gets one of ours instead.
Step client_reset(const Treatment& t, Reason reason) noexcept { return drop_if_enforced(t, State::none, reason); }

// Exim's PIPECONNECT: it was promised once, so the early bytes are left to TCP's repetition rather than punished.
bool forgives(const Treatment& t) noexcept { return !t.observe && t.early_talk != OnEarlyTalk::count; }

bool holds_syn_ack(const Treatment& t) noexcept { return t.judged && !t.observe && t.syn_ack.max_ms != 0; }

// RFC 5321 4.3.1: a client waits for the greeting. One that does not is an early talker.
Step early_talk(const Treatment& t) noexcept {
  switch (t.early_talk) {
    case OnEarlyTalk::count: break;
    case OnEarlyTalk::reset:
      if (t.observe) return {State::talking, Verdict::count, Reason::early_talk_observed};
      return {State::tombstone, Verdict::reset, Reason::early_talk};
    case OnEarlyTalk::reject:
      if (t.observe) return {State::talking, Verdict::count, Reason::early_talk_observed};
      return {State::replied, Verdict::reply, Reason::early_talk_rejected};
  }
  return {State::talking, Verdict::count, Reason::early_talk_counted};
}

Step pipelined(const Treatment& t) noexcept {
  if (!t.observe && t.pipelining == OnPipelining::reset)
    return {State::tombstone, Verdict::reset, Reason::unsynchronised_pipelining};
  return {State::talking, Verdict::count, Reason::unsynchronised_pipelining};
}

// A SYN-ACK of the server begins (or begins anew) a handshake, whatever the entry was: it answers a SYN only when its
// old connection is gone (RFC 9293 3.10.7.4, RFC 5961 4.2).
Step server_answers(const Treatment& t) noexcept {
  if (!t.judged) return pass(State::none, Reason::exempt);
  if (holds_syn_ack(t)) return {State::syn_ack_held, Verdict::hold, Reason::syn_ack_held, t.syn_ack};
  return pass(State::syn_ack_sent, Reason::handshake);
}

// Its window is closed: payload and probes hear that it still is, packet for packet. Whoever goes is let go.
Step on_trapped(Event e) noexcept {
  if (e == Event::proof_with_data || e == Event::early || e == Event::nothing_new)
    return {State::none, Verdict::answer, Reason::trapped};
  if (e == Event::proof || e == Event::proof_with_fin || e == Event::fin) return drop(State::none, Reason::trapped);
  return drop(State::none, Reason::blocked);
}

// A segment without an entry, of a source that is refused by ourselves. A proof is one of a number that we baked.
Step on_refused(Event e, const Treatment& t) noexcept {
  if (t.syn == OnSyn::trap) return on_trapped(e);
  const bool proves =
      e == Event::proof || e == Event::proof_with_data || e == Event::proof_with_hello || e == Event::proof_with_fin;
  if (proves) return {State::replied, Verdict::reply, Reason::blocked_rejected};
  return drop(State::none, Reason::blocked);
}

bool is_new_syn(Event e) noexcept {
  return e == Event::syn || e == Event::syn_meetable || e == Event::syn_other || e == Event::syn_repeated;
}

Step on_none(Event e, const Treatment& t) noexcept {
  if (refuses_alone(t) && e < Event::syn_ack && !is_new_syn(e)) return on_refused(e, t);
  switch (e) {
    case Event::syn:
    case Event::syn_meetable:
      if (!t.judged) return pass(State::none, Reason::exempt);
      if (t.syn == OnSyn::pass && e == Event::syn_meetable && !t.observe && t.withhold == Withhold::defer &&
          withholds(t))
        return {State::met, Verdict::answer, Reason::met, holds_syn_ack(t) ? t.syn_ack : HoldRange{}};
      if (t.syn == OnSyn::pass) return pass(State::syn_seen, Reason::handshake);
      if (t.observe) return {State::syn_seen, Verdict::count, Reason::blocked_observed};
      if (t.syn == OnSyn::reset) return {State::none, Verdict::reset, Reason::blocked};
      if (t.syn == OnSyn::reject) return {State::none, Verdict::answer, Reason::met};  // without a record
      if (t.syn == OnSyn::trap) return {State::none, Verdict::answer, Reason::trapped};
      return drop(State::none, Reason::blocked);
    case Event::syn_ack:
    case Event::syn_ack_other: return server_answers(t);
    // Adopted only once the server's segment was seen: a forged client segment creates nothing.
    case Event::greeting_part:
    case Event::greeting_end:
    case Event::greeting_refusal:
    case Event::greeting_unreadable:
    case Event::greeting_gap:
    case Event::server_repeat:
    case Event::server_nothing_new:
    case Event::server_data:
      return pass(t.judged ? State::joined : State::none, t.judged ? Reason::joined_mid_stream : Reason::exempt);
    case Event::syn_repeated:
    case Event::syn_other:
    case Event::proof:
    case Event::proof_with_data:
    case Event::proof_with_hello:
    case Event::proof_with_fin:
    case Event::unproven:
    case Event::unproven_data:
    case Event::nothing_new:
    case Event::early:
    case Event::early_hello:
    case Event::speech:
    case Event::pipelined:
    case Event::ahead:
    case Event::outside:
    case Event::fin:
    case Event::reset:
    case Event::reset_inexact:
    case Event::syn_ack_repeated:
    case Event::server_fin:
    case Event::server_reset:
    case Event::deadline:
    case Event::waited_enough: return pass(State::none, Reason::no_entry);
  }
  return pass(State::none, Reason::no_entry);
}

// syn_seen, syn_ack_held, syn_ack_sent: nothing is proven, nothing is evidence.
Step on_handshake(State s, Event e, const Treatment& t) noexcept {
  switch (e) {
    case Event::syn:
    case Event::syn_meetable:
    case Event::syn_repeated:
    case Event::syn_other: return pass(s, Reason::handshake);  // the server's SYN-ACK tells which one it took
    case Event::syn_ack:
    case Event::syn_ack_other:
      if (s == State::syn_ack_held) return drop(s, Reason::repeated_while_held);  // the newest numbers are kept
      return server_answers(t);
    case Event::syn_ack_repeated:
      if (s == State::syn_ack_held) return drop(s, Reason::repeated_while_held);
      return pass(s, Reason::handshake);
    case Event::proof:
      if (s != State::syn_ack_sent) return drop_if_enforced(t, s, Reason::ahead_ack);
      if (withholds(t)) return {State::waiting, Verdict::pass, Reason::handshake, t.greeting};
      return pass(State::due, Reason::handshake);
    case Event::proof_with_data:
      if (s != State::syn_ack_sent) return drop_if_enforced(t, s, Reason::unproven_data);
      return early_talk(t);
    case Event::proof_with_hello:  // the ACK goes on without its bytes
      if (s != State::syn_ack_sent) return drop_if_enforced(t, s, Reason::unproven_data);
      if (!forgives(t)) return early_talk(t);
      if (withholds(t)) return {State::waiting, Verdict::pass, Reason::early_hello, t.greeting};
      return pass(State::due, Reason::early_hello);
    case Event::proof_with_fin:
      if (s != State::syn_ack_sent) return drop_if_enforced(t, s, Reason::ahead_ack);
      if (withholds(t)) return {State::finished, Verdict::finish, Reason::gave_up};
      return pass(State::closing, Reason::no_data);
    // A server takes an ACK that we would not call a proof, and answers a wrong one by a RST: neither shall happen
    // behind our back. A polite client sends the exact ACK again; TCP repeats its data, where they can be judged.
    case Event::unproven:
    case Event::unproven_data:
    case Event::early:
    case Event::early_hello:
    case Event::speech:
    case Event::pipelined: return drop_if_enforced(t, s, Reason::unproven_data);
    case Event::ahead: return drop_if_enforced(t, s, Reason::ahead_ack);
    case Event::outside: return drop_if_enforced(t, s, Reason::outside_window);
    case Event::reset: return client_reset(t, Reason::gave_up);
    case Event::reset_inexact: return pass(s, Reason::inexact_reset);
    case Event::server_reset: return pass(State::none, Reason::handshake);
    case Event::deadline:
      if (s == State::syn_ack_held) return {State::syn_ack_sent, Verdict::release, Reason::deadline};
      return pass(s, Reason::handshake);
    // We saw no proof and the server has one (a SYN cookie's ACK that went another way): not ours to judge.
    case Event::greeting_part:
    case Event::greeting_end:
    case Event::greeting_refusal:
    case Event::greeting_unreadable:
    case Event::greeting_gap:
    case Event::server_data: return pass(State::joined, Reason::joined_mid_stream);
    // Before any SYN-ACK, an ACK of the server is a challenge (RFC 5961 4.2): it has a connection that we did not see
    // begin.
    case Event::server_nothing_new:
      return s == State::syn_seen ? pass(State::joined, Reason::joined_mid_stream) : pass(s, Reason::handshake);
    case Event::nothing_new:
    case Event::fin:
    case Event::server_repeat:
    case Event::server_fin:
    case Event::waited_enough: return pass(s, Reason::handshake);
  }
  return pass(s, Reason::handshake);
}

// A SYN, or another piece of a handshake, for a flow that has it behind it.
#define CASES_OF_A_LATE_HANDSHAKE(answer) \
  case Event::syn:                        \
  case Event::syn_meetable:               \
  case Event::syn_repeated:               \
  case Event::syn_other:                  \
  case Event::proof:                      \
  case Event::proof_with_data:            \
  case Event::proof_with_hello:           \
  case Event::proof_with_fin:             \
  case Event::syn_ack:                    \
  case Event::syn_ack_repeated: return answer

// waiting, banner_held (hold running) and due (hold over or none): established, no byte of the greeting has gone out.
Step on_unread(State s, Event e, const Treatment& t) noexcept {
  const bool holding = s != State::due;
  switch (e) {
    CASES_OF_A_LATE_HANDSHAKE(pass(s, Reason::nothing_new));
    case Event::early: return early_talk(t);
    case Event::early_hello: return forgives(t) ? drop(s, Reason::early_hello) : early_talk(t);
    case Event::unproven:
    case Event::unproven_data: return drop_if_enforced(t, s, Reason::unproven_data);
    case Event::ahead: return drop_if_enforced(t, s, Reason::ahead_ack);
    case Event::outside: return drop_if_enforced(t, s, Reason::outside_window);
    case Event::fin:
      if (holding) return {State::finished, Verdict::finish, Reason::gave_up};
      return pass(State::closing, Reason::no_data);
    case Event::reset: return client_reset(t, holding ? Reason::gave_up : Reason::no_data);
    case Event::reset_inexact: return pass(s, Reason::inexact_reset);
    case Event::greeting_part:
      if (holding) return {State::banner_held, Verdict::hold, Reason::greeting_held};
      return pass(State::greeted, withholds(t) ? Reason::hold_over : Reason::no_hold);
    case Event::greeting_end:
      if (holding) return {State::banner_held, Verdict::hold, Reason::greeting_held};
      return pass(State::greeted, withholds(t) ? Reason::hold_over : Reason::no_hold);
    // RFC 5321 3.1: the server itself refuses. Nothing is left to protect, and it wants its process back.
    case Event::greeting_refusal: return pass(State::talking, Reason::greeting_refused);
    case Event::greeting_unreadable: return pass(State::talking, Reason::greeting_unjudged);
    case Event::server_repeat:
      if (s == State::banner_held) return drop(s, Reason::repeated_while_held);
      return pass(s, Reason::nothing_new);
    case Event::greeting_gap:
      if (holding) return drop(s, Reason::repeated_while_held);
      return enforces(t) ? drop(s, Reason::reordered_reply) : pass(State::talking, Reason::greeting_unjudged);
    case Event::server_data: return pass(s, Reason::nothing_new);
    case Event::server_fin:
      if (s == State::banner_held) return {s, Verdict::hold, Reason::greeting_held};  // waits behind the greeting
      return pass(State::closing, Reason::closing);
    case Event::server_reset: return pass(State::none, Reason::closing);
    case Event::deadline:
      if (s == State::banner_held) return {State::greeted, Verdict::release, Reason::deadline};
      return pass(State::due, Reason::hold_over);
    case Event::syn_ack_other: return server_answers(t);
    case Event::speech:  // cannot be: nothing went out that could have been read
    case Event::pipelined: return early_talk(t);
    case Event::nothing_new:
    case Event::server_nothing_new:
    case Event::waited_enough: return pass(s, Reason::nothing_new);
  }
  return pass(s, Reason::nothing_new);
}

Step on_greeted(Event e, const Treatment& t) noexcept {
  constexpr State s = State::greeted;
  switch (e) {
    CASES_OF_A_LATE_HANDSHAKE(pass(s, Reason::nothing_new));
    case Event::early: return early_talk(t);
    case Event::early_hello: return forgives(t) ? drop(s, Reason::early_hello) : early_talk(t);
    case Event::speech: return pass(State::talking, Reason::in_dialogue);
    case Event::pipelined: return pipelined(t);
    case Event::ahead: return pass(s, Reason::ahead_ack);  // for the server to refuse
    case Event::outside:
      return drop_if_enforced(t, s, Reason::outside_window);  // a server takes an ACK that is a little old
    case Event::fin: return pass(State::closing, Reason::no_data);
    case Event::reset: return client_reset(t, Reason::no_data);
    case Event::reset_inexact: return pass(s, Reason::inexact_reset);
    case Event::greeting_refusal: return pass(State::talking, Reason::greeting_refused);
    case Event::greeting_unreadable: return pass(State::talking, Reason::greeting_unjudged);
    // Bytes that we never saw would hide the greeting's end, and who has read it would look early.
    case Event::greeting_gap:
      return enforces(t) ? drop(s, Reason::reordered_reply) : pass(State::talking, Reason::greeting_unjudged);
    case Event::server_fin: return pass(State::closing, Reason::closing);
    case Event::server_reset: return pass(State::none, Reason::closing);
    case Event::syn_ack_other: return server_answers(t);
    case Event::greeting_part:
    case Event::greeting_end:
    case Event::server_repeat:
    case Event::server_data: return pass(s, Reason::in_dialogue);
    case Event::unproven:
    case Event::unproven_data:
    case Event::nothing_new:
    case Event::server_nothing_new:
    case Event::deadline:
    case Event::waited_enough: return pass(s, Reason::nothing_new);
  }
  return pass(s, Reason::nothing_new);
}

Step on_talking(Event e, const Treatment& t) noexcept {
  constexpr State s = State::talking;
  switch (e) {
    CASES_OF_A_LATE_HANDSHAKE(pass(s, Reason::in_dialogue));
    case Event::pipelined: return pipelined(t);
    case Event::fin:
    case Event::server_fin: return pass(State::closing, Reason::closing);
    case Event::reset:
    case Event::server_reset: return pass(State::none, Reason::closing);
    case Event::reset_inexact: return pass(s, Reason::inexact_reset);
    case Event::outside: return pass(s, Reason::outside_window);
    case Event::ahead: return pass(s, Reason::ahead_ack);
    case Event::syn_ack_other: return server_answers(t);
    case Event::nothing_new:
    case Event::server_nothing_new: return pass(s, Reason::nothing_new);
    case Event::unproven:
    case Event::unproven_data:
    case Event::early:
    case Event::early_hello:
    case Event::speech:
    case Event::greeting_part:
    case Event::greeting_end:
    case Event::greeting_refusal:
    case Event::greeting_unreadable:
    case Event::greeting_gap:
    case Event::server_repeat:
    case Event::server_data:
    case Event::deadline:
    case Event::waited_enough: return pass(s, Reason::in_dialogue);
  }
  return pass(s, Reason::in_dialogue);
}

#undef CASES_OF_A_LATE_HANDSHAKE

// closing, joined: everything passes until a RST ends it or the server begins anew.
Step on_passing(State s, Reason reason, Event e, const Treatment& t) noexcept {
  if (e == Event::syn_ack_other) return server_answers(t);
  if (e == Event::reset || e == Event::server_reset) return pass(State::none, reason);
  if (s == State::joined && (e == Event::fin || e == Event::server_fin)) return pass(State::closing, Reason::closing);
  return pass(s, reason);
}

// finished: the client's FIN was answered by us and the server was reset.
Step on_finished(Event e, const Treatment& t) noexcept {
  constexpr State s = State::finished;
  if (e == Event::syn_ack_other) return server_answers(t);
  if (is_new_syn(e)) return pass(s, Reason::handshake);
  if (e == Event::fin || e == Event::proof_with_fin) return {s, Verdict::finish, Reason::gave_up};
  if (e == Event::reset) return drop(State::none, Reason::gave_up);
  return drop(s, Reason::gave_up);
}

Step on_tombstone(Event e, const Treatment& t) noexcept {
  if (e == Event::syn_ack_other) return server_answers(t);
  if (is_new_syn(e)) return pass(State::tombstone, Reason::handshake);
  return drop(State::tombstone, Reason::tombstone);
}

}  // namespace

Step step(State s, Event e, const Treatment& t) noexcept {
  switch (s) {
    case State::none: return on_none(e, t);
    case State::syn_seen:
    case State::syn_ack_held:
    case State::syn_ack_sent: return on_handshake(s, e, t);
    case State::waiting:
    case State::banner_held:
    case State::due: return on_unread(s, e, t);
    case State::greeted: return on_greeted(e, t);
    case State::talking: return on_talking(e, t);
    case State::closing: return on_passing(s, Reason::closing, e, t);
    case State::finished: return on_finished(e, t);
    case State::tombstone: return on_tombstone(e, t);
    // We restarted, or one direction goes elsewhere; not the client's fault.
    case State::joined: return on_passing(s, Reason::joined_mid_stream, e, t);
    case State::met: return on_met(e, t);
    case State::deferred: return on_deferred(e, t);
    case State::invited: return on_invited(e, t);
    case State::dialling: return on_dialling(e);
    case State::replied: return on_replied(e);
  }
  return pass(State::joined, Reason::joined_mid_stream);
}

Treatments default_treatments() noexcept {
  Treatments t{};
  auto& exempt = t[static_cast<size_t>(SourceClass::exempt)];
  exempt.judged = false;
  exempt.early_talk = OnEarlyTalk::count;
  t[static_cast<size_t>(SourceClass::trusted)].early_talk = OnEarlyTalk::count;
  auto& unknown = t[static_cast<size_t>(SourceClass::unknown)];
  unknown.withhold = Withhold::defer;
  unknown.greeting = {1000, 5000};
  auto& suspect = t[static_cast<size_t>(SourceClass::suspect)];
  suspect.withhold = Withhold::defer;
  suspect.syn_ack = {200, 900};
  suspect.greeting = {5000, 15000};
  suspect.concurrent = 20;
  suspect.per_minute = 60;
  t[static_cast<size_t>(SourceClass::blocked)].syn = OnSyn::drop;
  return t;
}

}  // namespace mire::policy
