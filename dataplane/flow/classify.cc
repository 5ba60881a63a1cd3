#include "dataplane/flow/classify.h"

namespace mire::flow {

using policy::Event;
using policy::State;
using wire::SeqNo;

namespace {

struct Numbers {
  SeqNo seq;
  SeqNo end;  // behind the payload
  SeqNo ack;
  uint16_t payload;
  bool fin;
};

// Before any byte of the greeting went out: only ACK = G is possible for one who plays fair.
Event before_greeting(const State32& f, const Numbers& n) noexcept {
  const SeqNo first = f.client_first();
  if (n.ack > f.server_first()) return Event::ahead;
  const bool fresh = n.payload != 0 && n.end > first;  // keepalives and probes lie below (RFC 9293 3.8.4, 3.8.6.1)
  if (!fresh) {
    if (n.fin && n.seq == first) return Event::fin;
    return Event::nothing_new;
  }
  // While a greeting is parked the window is the scaled one of its repeats; the first is never larger than 64 KB (RFC
  // 7323 2.2).
  const uint32_t window = f.state == State::banner_held ? 65535u : f.window() == 0 ? 1u : f.window();
  if (n.seq - first >= static_cast<int32_t>(window) || n.ack < f.server_first()) return Event::outside;
  return Event::early;
}

// Some of the greeting is on its way. One-sided on purpose: an early segment that was lost and is repeated after the
// greeting was read acknowledges it then, and passes as polite.
Event after_greeting(const State32& f, const Numbers& n) noexcept {
  const SeqNo first = f.client_first();
  const bool fresh = n.payload != 0 && n.end > first;
  if (!fresh) {
    if (n.ack > f.server_next()) return Event::ahead;
    if (n.fin && n.seq == first) return Event::fin;
    return Event::nothing_new;
  }
  if (n.ack > f.server_next()) return Event::ahead;
  if (n.ack < f.server_first() || n.seq - first >= (1 << 30)) return Event::outside;
  const bool read = f.has(kEndKnown) && n.ack >= f.greeting_end();
  return read ? Event::speech : Event::early;
}

Event in_dialogue(const State32& f, const Numbers& n) noexcept {
  // Neither believed nor followed: what the server has not sent, or what lies beyond any window.
  constexpr int32_t kFar = 1 << 30;  // the largest window (RFC 7323 2.3)
  if (n.ack > f.server_next()) return Event::ahead;
  if (f.server_next() - n.ack >= kFar) return Event::outside;
  const int32_t beyond = n.seq - f.client_next();
  if (beyond >= kFar || beyond <= -kFar) return Event::outside;
  if (n.fin && beyond <= 0) return Event::fin;
  return n.payload != 0 && n.end > f.client_next() ? Event::speech : Event::nothing_new;
}

Event before_proof(const State32& f, const wire::Headers& h) noexcept {
  const bool answered = f.state == State::syn_ack_sent || f.state == State::met;
  const bool exact = answered && h.seq == f.client_first() && h.ack == f.server_first();
  if (!exact) return h.payload_length != 0 ? Event::unproven_data : Event::unproven;
  if (h.payload_length != 0) return Event::proof_with_data;
  return (h.flags & wire::kFin) != 0 ? Event::proof_with_fin : Event::proof;
}

// The one number at which the client's RST is obeyed (RFC 5961 3.2): what the server has received from it.
SeqNo exact_reset_number(const State32& f) noexcept {
  return f.state == State::talking ? f.client_next() : f.client_first();
}

}  // namespace

Event classify_client(const State32& f, const wire::Headers& h) noexcept {
  if ((h.flags & wire::kRst) != 0) {
    // Where we no longer follow the stream, the server's own judgement is all there is; the entry then ages out.
    if (f.state == State::closing || f.state == State::joined) return Event::reset_inexact;
    return h.seq == exact_reset_number(f) ? Event::reset : Event::reset_inexact;
  }
  if ((h.flags & wire::kSyn) != 0) {
    // A SYN-ACK of a client (simultaneous open) acknowledges nothing that we forwarded: for the server to refuse.
    if ((h.flags & wire::kAck) != 0) return Event::nothing_new;
    return h.seq == f.client_isn ? Event::syn_repeated : Event::syn_other;
  }
  if ((h.flags & wire::kAck) == 0) return Event::outside;  // RFC 9293 3.10.7.4: every other segment has an ACK

  const Numbers n{h.seq, h.seq + h.payload_length, h.ack, h.payload_length, (h.flags & wire::kFin) != 0};
  switch (f.state) {
    case State::syn_seen:
    case State::syn_ack_held:
    case State::syn_ack_sent: return before_proof(f, h);
    case State::waiting:
    case State::banner_held:
    case State::due: return before_greeting(f, n);
    case State::greeted: return after_greeting(f, n);
    case State::talking: return in_dialogue(f, n);
    case State::none:
    case State::closing:
    case State::finished:
    case State::tombstone:
    case State::joined:
    case State::met:
    case State::deferred:
    case State::invited:
    case State::dialling:
    case State::replied: break;  // classify_met()
  }
  return n.fin ? Event::fin : Event::nothing_new;
}

namespace {

// A RST of the server ends what we keep only at a number that one of the two would obey; a provoked one (RFC
// 9293 3.10.7.2: it repeats whatever was acknowledged to it) does not.
bool server_reset_counts(const State32& f, const wire::Headers& h, SeqNo expected) noexcept {
  switch (f.state) {
    case State::syn_seen: return (h.flags & wire::kAck) != 0 && h.ack == f.client_first();
    case State::syn_ack_held:
    case State::syn_ack_sent:
    case State::waiting:
    case State::banner_held:
    case State::due: return h.seq == f.server_first() || h.seq == expected;
    case State::greeted: return h.seq >= f.server_first() && h.seq <= f.server_next();
    case State::none:
    case State::talking:
    case State::closing:
    case State::finished:
    case State::tombstone:
    case State::joined:
    case State::met:
    case State::deferred:
    case State::invited:
    case State::dialling:
    case State::replied: break;
  }
  return true;
}

}  // namespace

Event classify_server(const State32& f, const wire::Headers& h, SeqNo expected) noexcept {
  if ((h.flags & wire::kRst) != 0)
    return server_reset_counts(f, h, expected) ? Event::server_reset : Event::server_nothing_new;
  if ((h.flags & wire::kSyn) != 0) {
    if ((h.flags & wire::kAck) == 0) return Event::server_nothing_new;
    if (h.ack != f.client_first()) return Event::syn_ack_other;
    if (f.state == State::syn_seen) return Event::syn_ack;
    if (f.state == State::syn_ack_held || f.state == State::syn_ack_sent)
      return h.seq == f.server_isn ? Event::syn_ack_repeated : Event::syn_ack;  // a new cookie, a new request
    return Event::syn_ack_repeated;
  }
  const bool reads_greeting =
      f.state == State::waiting || f.state == State::banner_held || f.state == State::due || f.state == State::greeted;
  if (h.payload_length != 0 && reads_greeting) {
    const SeqNo end = h.seq + h.payload_length;
    if (end <= expected) return Event::server_repeat;
    if (h.seq <= expected) return Event::greeting_part;
    return f.state == State::greeted && f.has(kEndKnown) ? Event::server_data : Event::greeting_gap;
  }
  if ((h.flags & wire::kFin) != 0) return Event::server_fin;  // with or without payload
  return h.payload_length != 0 ? Event::server_data : Event::server_nothing_new;
}

Event classify_met(const State32& f, const wire::Headers& h, SeqNo greeting_end, uint32_t said) noexcept {
  const SeqNo first = f.client_first();
  if ((h.flags & wire::kRst) != 0) {
    if (f.state == State::replied) return h.seq == f.acknowledged() ? Event::reset : Event::reset_inexact;
    const bool exact = h.seq == first || (f.state == State::dialling && h.seq == first + said);
    return exact ? Event::reset : Event::reset_inexact;
  }
  if ((h.flags & wire::kSyn) != 0) {
    if ((h.flags & wire::kAck) != 0) return Event::nothing_new;
    return h.seq == f.client_isn ? Event::syn_repeated : Event::syn_other;
  }
  if ((h.flags & wire::kAck) == 0) return Event::outside;  // RFC 9293 3.10.7.4
  if (f.state == State::met) return before_proof(f, h);
  if (f.state == State::replied) return Event::nothing_new;

  if (h.ack > greeting_end) return Event::ahead;
  const SeqNo end = h.seq + h.payload_length;
  const bool fresh = h.payload_length != 0 && end > first;
  if (!fresh) return (h.flags & wire::kFin) != 0 && h.seq == first ? Event::fin : Event::nothing_new;
  if (h.seq - first >= 65535 || h.ack < f.server_first()) return Event::outside;
  if (f.state == State::deferred || h.ack != greeting_end) return Event::early;
  return Event::speech;
}

Event classify_dialled(const Dialled& d, const wire::Headers& h) noexcept {
  const bool acks = (h.flags & wire::kAck) != 0;
  if ((h.flags & wire::kRst) != 0) {
    if (!d.answered) return acks && h.ack == d.client_first ? Event::server_reset : Event::server_nothing_new;
    return h.seq == d.next ? Event::server_reset : Event::server_nothing_new;
  }
  if (!acks) return Event::syn_ack_other;
  if ((h.flags & wire::kSyn) != 0) {
    if (h.ack != d.client_first) return Event::syn_ack_other;
    if (!d.answered) return Event::syn_ack;
    return h.seq == d.isn ? Event::syn_ack_repeated : Event::syn_ack_other;
  }
  if (!d.answered) return Event::syn_ack_other;  // a challenge of an older connection (RFC 5961 4.2)
  if (h.payload_length != 0) {
    if (h.seq + h.payload_length <= d.next) return Event::server_repeat;
    return h.seq <= d.next ? Event::greeting_part : Event::greeting_gap;
  }
  if ((h.flags & wire::kFin) != 0 && h.seq == d.next) return Event::server_fin;
  return Event::server_nothing_new;
}

}  // namespace mire::flow
