// The states in which we meet the client ourselves. Nothing of such a flow reaches the server before its first command
// has come in turn, and nothing of the server's reaches such a client untranslated.
#include "dataplane/policy/steps.h"

namespace mire::policy {
namespace {

// Whoever speaks here has not read a greeting. What is only counted is left to TCP's repetition: by then it is in turn.
Step early(State otherwise, const Treatment& t) noexcept {
  if (t.observe) return drop(otherwise, Reason::early_talk_observed);
  switch (t.early_talk) {
    case OnEarlyTalk::count: return drop(otherwise, Reason::early_talk_counted);
    case OnEarlyTalk::reset: return {State::tombstone, Verdict::reset, Reason::early_talk};
    case OnEarlyTalk::reject: return {State::replied, Verdict::reply, Reason::early_talk_rejected};
  }
  return drop(otherwise, Reason::early_talk_counted);
}

// Where the treatment has changed since the SYN there may be no hold left: the greeting goes out at once.
Step defers(Reason reason, const Treatment& t) noexcept {
  return {State::deferred, Verdict::hold, reason, withholds(t) ? t.greeting : HoldRange{}};
}

bool is_syn(Event e) noexcept {
  return e == Event::syn || e == Event::syn_meetable || e == Event::syn_repeated || e == Event::syn_other;
}
bool of_server(Event e) noexcept { return e >= Event::syn_ack && e <= Event::server_reset; }

}  // namespace

// Nothing is proven, nothing is evidence.
Step on_met(Event e, const Treatment& t) noexcept {
  constexpr State s = State::met;
  if (of_server(e)) return drop(s, Reason::stray_of_server);
  if (is_syn(e)) return {s, Verdict::answer, Reason::met};
  if (e == Event::proof) return defers(t.teaser && withholds(t) ? Reason::teased : Reason::deferred, t);
  if (e == Event::proof_with_hello) return defers(Reason::early_hello, t);
  if (e == Event::proof_with_data) {
    if (t.early_talk == OnEarlyTalk::count || t.observe) return defers(Reason::early_talk_counted, t);
    return early(s, t);
  }
  if (e == Event::proof_with_fin) return {State::finished, Verdict::finish, Reason::gave_up};
  if (e == Event::reset) return drop(State::none, Reason::gave_up);
  if (e == Event::reset_inexact) return drop(s, Reason::inexact_reset);
  if (e == Event::ahead) return drop(s, Reason::ahead_ack);
  if (e == Event::outside) return drop(s, Reason::outside_window);
  return drop(s, Reason::unproven_data);
}

Step on_deferred(Event e, const Treatment& t) noexcept {
  constexpr State s = State::deferred;
  if (of_server(e)) return drop(s, Reason::stray_of_server);
  if (e == Event::early) return early(s, t);
  if (e == Event::early_hello) return drop(s, Reason::early_hello);
  if (is_syn(e)) return {s, Verdict::answer, Reason::challenged};  // RFC 5961 4.2
  if (e == Event::fin) return {State::finished, Verdict::finish, Reason::gave_up};
  if (e == Event::reset) return drop(State::none, Reason::gave_up);
  if (e == Event::reset_inexact) return drop(s, Reason::inexact_reset);
  if (e == Event::ahead) return drop(s, Reason::ahead_ack);
  if (e == Event::outside) return drop(s, Reason::outside_window);
  if (e == Event::deadline) return {State::invited, Verdict::release, Reason::deadline};
  return {s, Verdict::answer, Reason::nothing_new};
}

Step on_invited(Event e, const Treatment& t) noexcept {
  constexpr State s = State::invited;
  if (of_server(e)) return drop(s, Reason::stray_of_server);
  if (e == Event::speech || e == Event::pipelined) return {State::dialling, Verdict::dial, Reason::dialled};
  if (e == Event::early) return early(s, t);
  if (e == Event::early_hello) return drop(s, Reason::early_hello);
  if (is_syn(e)) return {s, Verdict::answer, Reason::challenged};
  if (e == Event::fin) return {State::finished, Verdict::finish, Reason::no_data};
  if (e == Event::reset) return drop(State::none, Reason::no_data);
  if (e == Event::reset_inexact) return drop(s, Reason::inexact_reset);
  if (e == Event::ahead) return drop(s, Reason::ahead_ack);
  if (e == Event::outside) return drop(s, Reason::outside_window);
  if (e == Event::deadline) return {s, Verdict::release, Reason::deadline};  // the greeting once more
  if (e == Event::waited_enough) return {State::replied, Verdict::reply, Reason::silent};
  return {s, Verdict::answer, Reason::nothing_new};
}

// What the client says meanwhile TCP repeats: it is not acknowledged before the server does so.
Step on_dialling(Event e) noexcept {
  constexpr State s = State::dialling;
  if (is_syn(e)) return {s, Verdict::answer, Reason::challenged};
  if (e == Event::reset) return drop(State::none, Reason::closing);
  if (e == Event::reset_inexact) return drop(s, Reason::inexact_reset);
  if (e == Event::ahead) return drop(s, Reason::ahead_ack);
  if (e == Event::outside) return drop(s, Reason::outside_window);
  if (e == Event::deadline) return {s, Verdict::release, Reason::dialled};  // the SYN once more
  if (e == Event::waited_enough || e == Event::server_reset)
    return {State::replied, Verdict::reply, Reason::server_down};
  if (e == Event::syn_ack || e == Event::syn_ack_repeated || e == Event::greeting_part || e == Event::server_repeat ||
      e == Event::greeting_gap || e == Event::server_nothing_new)
    return {s, Verdict::answer, Reason::dialled};
  if (e == Event::greeting_end) return {State::talking, Verdict::join, Reason::dial_welcomed};
  if (e == Event::greeting_refusal) return {State::replied, Verdict::reply, Reason::greeting_refused};
  if (e == Event::greeting_unreadable || e == Event::server_data)
    return {State::replied, Verdict::reply, Reason::promise_broken};
  if (e == Event::server_fin) return {State::replied, Verdict::reply, Reason::server_down};
  if (e == Event::syn_ack_other) return drop(s, Reason::stray_of_server);
  return drop(s, Reason::nothing_new);
}

Step on_replied(Event e) noexcept {
  constexpr State s = State::replied;
  if (of_server(e)) return drop(s, Reason::stray_of_server);
  if (e == Event::reset) return drop(State::none, Reason::replied);
  if (is_syn(e)) return pass(s, Reason::handshake);
  if (e == Event::deadline || e == Event::reset_inexact) return drop(s, Reason::replied);
  return {s, Verdict::answer, Reason::replied};
}

}  // namespace mire::policy
