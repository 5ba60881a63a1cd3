#include "dataplane/lcore/pipeline_impl.h"
#include "dataplane/smtp/early.h"

namespace mire::lcore {

using policy::Verdict;
using wire::SeqNo;

namespace {

bool is_syn(const wire::Headers& h) noexcept { return (h.flags & (wire::kSyn | wire::kAck)) == wire::kSyn; }

// Where a SYN asks for a connection beside or after the one that the entry is about.
bool begins_anew(policy::State s) noexcept {
  using policy::State;
  return s != State::syn_seen && s != State::syn_ack_held && s != State::syn_ack_sent;
}

// What a wrong checksum must not be able to do. Frames whose fate does not depend on them are not summed up.
bool changes_state(policy::State s, policy::Event e, const wire::Headers& h) noexcept {
  using policy::Event;
  using policy::State;
  if (e == Event::nothing_new && (h.flags & wire::kFin) == 0) return false;
  switch (s) {
    case State::tombstone:
    case State::finished:
    case State::joined: return false;
    case State::talking:
    case State::closing: return e == Event::reset || e == Event::fin || e == Event::speech;
    case State::none:
    case State::syn_seen:
    case State::syn_ack_held:
    case State::syn_ack_sent:
    case State::waiting:
    case State::banner_held:
    case State::due:
    case State::greeted:
    case State::met:
    case State::deferred:
    case State::invited:
    case State::dialling:
    case State::replied: return true;
  }
  return true;
}

}  // namespace

void Pipeline::Impl::on_client(FrameRef& f, Column& c) {
  Handle h = flow_of(c);
  if (h != flow::kNoFlow && !obey_epoch(h)) h = flow::kNoFlow;
  if (c.id.server != 0 && (h != flow::kNoFlow || is_syn(c.headers))) saw(c.id.server, Side::wan);
  if (h == flow::kNoFlow && is_syn(c.headers)) {
    new_flow(f, c);
    return;
  }
  if (h != flow::kNoFlow && is_syn(c.headers) && meet_anew(f, c, h)) return;
  if (h == flow::kNoFlow) h = meet_by_cookie(f, c);
  if (h == flow::kNoFlow) {
    on_stray(f, c);
    return;
  }
  if (flow::talks_with_us(flows_[h].state)) {
    on_met_client(f, c, h);
    return;
  }
  const auto translation = translation_of(flows_[h]);
  on_passing_client(f, c, h);
  if (translation && f.fate == Fate::forward) wire::to_servers_numbers(f.bytes(), c.headers, *translation);
}

void Pipeline::Impl::on_passing_client(FrameRef& f, Column& c, Handle h) {
  flow::State32& s = flows_[h];
  Event e = client_event(f, c, s);
  if (changes_state(s.state, e, c.headers) && !wire::checksums_valid(f.bytes(), c.headers)) {
    count(Reason::bad_checksum);  // the server will drop it
    return;
  }
  if (is_syn(c.headers) && begins_anew(s.state)) {
    const SourceClass now_class = class_of(c.headers.source);
    Step fresh = policy::step(State::none, Event::syn, treatment(now_class));
    if (fresh.verdict == Verdict::answer) {
      if (s.state == State::closing) {
        enter(h, State::none);
        new_flow(f, c);
        return;
      }
      fresh = {State::none, Verdict::drop, Reason::blocked};  // beside a connection that goes on
    }
    if (!admit(f, c, now_class, fresh)) return;
  }
  if (!flow::hold_runs(s.state)) s.set_seen_second(now_second());

  smtp::Findings findings;
  if ((e == Event::speech || e == Event::fin) && s.state == State::talking && c.headers.payload_length != 0) {
    client_speech(f, c, h, findings);
    if (findings.unsynchronised != 0) e = Event::pipelined;
  }
  const Step st = policy::step(s.state, e, treatment(s.source_class));
  if (e == Event::nothing_new && st.verdict == Verdict::pass && st.next == s.state &&
      (c.headers.flags & wire::kFin) == 0) {
    count(st);  // keepalives, ACKs, repetitions: most of what a held flow sends
    return;
  }
  do_client_step(f, c, h, e, st);
}

// A client that was once offered PIPECONNECT puts EHLO, and the whole message behind it, where it was told it might.
policy::Event Pipeline::Impl::client_event(const FrameRef& f, const Column& c, const flow::State32& s) const {
  const Event e = flow::classify_client(s, c.headers);
  return e == Event::early || e == Event::proof_with_data ? forgiven(e, f, c, s) : e;
}

policy::Event Pipeline::Impl::forgiven(Event e, const FrameRef& f, const Column& c, const flow::State32& s) const {
  const bool begins = c.headers.seq == s.client_first() && now_ < known_servers_[c.id.server].early_hello_until &&
                      smtp::is_hello(payload(f, c.headers));
  if (!begins && !s.has(flow::kForgiven)) return e;
  return e == Event::early ? Event::early_hello : Event::proof_with_hello;
}

// May a SYN of this source go on? The one gate for a first SYN and for one that would begin an old entry anew.
bool Pipeline::Impl::admit(FrameRef& f, const Column& c, SourceClass source_class, const Step& st) {
  const wire::Headers& h = c.headers;
  if (st.verdict == Verdict::drop || st.verdict == Verdict::reset) {
    count(st);
    f.fate = Fate::drop;
    if (st.verdict == Verdict::reset) refuse_syn(f, h);
    return false;
  }
  const policy::Treatment& t = treatment(source_class);
  const auto limit = limit_of(h.source, t);
  if (!limit || t.observe) return true;  // observed, it is counted when the source is proven
  count(Step{State::none, Verdict::drop, *limit});
  f.fate = Fate::drop;
  return false;
}

std::optional<policy::Reason> Pipeline::Impl::limit_of(const wire::Address& client, const policy::Treatment& t) const {
  if (t.concurrent == 0 && t.per_minute == 0) return std::nullopt;
  const auto* r = sources_.find(client);
  if (r == nullptr) return std::nullopt;
  return policy::limit_reached(t, r->live, source::SourceTable::opened_this_minute(*r, now_));
}

// SYNs that come together pass the limit together, for flows count from their proof on: so it holds there too.
std::optional<policy::Reason> Pipeline::Impl::limit_of_proof(const wire::Address& client, const flow::State32& s,
                                                             const Step& st) const {
  if (st.verdict == Verdict::reset || st.verdict == Verdict::finish) return std::nullopt;  // it is refused anyhow
  return limit_of(client, treatment(s.source_class));
}

// A soft refusal (RFC 5321 3.8: a reset counts as a 451), and no offence.
void Pipeline::Impl::refuse_beyond_limit(FrameRef& f, const Column& c, Handle h, Reason limit) {
  const Step refused{State::tombstone, Verdict::reset, limit};
  count(refused);
  f.fate = Fate::drop;
  const State at = flows_[h].state;
  report(h, at, refused.verdict, refused.reason);
  reset_both(h, at, c.headers);
  enter(h, refused.next);
}

void Pipeline::Impl::new_flow(FrameRef& f, Column& c) {
  const wire::Headers& h = c.headers;
  if (!wire::checksums_valid(f.bytes(), h)) {
    count(Reason::bad_checksum);
    return;
  }
  const SourceClass source_class = class_of(h.source);
  const Event e = can_meet(f, c, source_class) ? Event::syn_meetable : Event::syn;
  const Step st = policy::step(State::none, e, treatment(source_class));
  if (!admit(f, c, source_class, st)) return;
  count(st);
  if (st.verdict == Verdict::answer) {
    if (st.next == State::none) {
      f.fate = Fate::drop;
      answer_blocked_syn(f, c, st);
    } else {
      meet(f, c, source_class, st.hold);
    }
    return;
  }
  if (st.next == State::none) return;

  edit_syn(f, c, source_class);
  if (c.id.server == 0) {
    c.id.server = static_cast<uint16_t>(endpoint_for(h.destination, h.vlan, false));
    if (c.id.server == 0) return;  // the server's answer will tell that there is one
    c.probe = flows_.probe(c.id);
  }
  const uint32_t path = path_of(f, h, false);
  if (path == 0) {
    depart(c.id);
    return;
  }
  const Handle handle = create(c, source_class, path);
  if (handle == flow::kNoFlow) return;
  flow::State32& s = flows_[handle];
  s.client_isn = h.seq;
  enter(handle, st.next);
  leash(handle);
}

// RFC 7413 data and MPTCP would carry payload round the gate: they come again after the handshake, where they are
// judged.
void Pipeline::Impl::edit_syn(FrameRef& f, Column& c, SourceClass source_class) {
  if (source_class == SourceClass::trusted || source_class == SourceClass::exempt) return;
  if (treatment(source_class).observe) return;
  const wire::TcpOptions o = wire::read_options(f.bytes(), c.headers);
  if (o.signature) return;  // RFC 2385, RFC 5925: signed over header and data
  if ((o.fast_open || o.multipath) && wire::blank_fast_open_and_multipath(f.bytes(), c.headers))
    count(Reason::options_blanked);
  if (c.headers.payload_length != 0) {
    f.length = wire::trim_payload(f.bytes(), c.headers);
    count(Reason::syn_data_trimmed);
  }
}

void Pipeline::Impl::clamp_mss(FrameRef& f, const Column& c) {
  if (options_.largest_frame == 0) return;
  if (wire::read_options(f.bytes(), c.headers).signature) return;
  const auto fits = static_cast<uint16_t>(options_.largest_frame - c.headers.l4 - 20);
  if (wire::clamp_mss(f.bytes(), c.headers, fits)) count(Reason::mss_clamped);
}

// The handshake's ACK: the source is real from here on.
void Pipeline::Impl::prove(Handle h) {
  flow::State32& s = flows_[h];
  const wire::Address client = flows_.id(h).client;
  s.set(flow::kProven);
  if (!sources_.opened(client, now_)) count(Reason::source_table_full);
  if (const auto* kept = settings_ == nullptr ? nullptr : settings_->penalty_of(client, now_))
    sources_.resume(client, *kept);
  ++counters_.opened[static_cast<size_t>(s.source_class)][client.is_v4() ? 0 : 1];
  if (!policy::would_block(treatment(s.source_class))) return;
  s.set(flow::kWouldReset);
  ++counters_.would_have.blocked;
}

// Observe mode: the first reason to refuse a flow counts.
void Pipeline::Impl::would_reset(Handle h) {
  if (flows_[h].has(flow::kWouldReset)) return;
  flows_[h].set(flow::kWouldReset);
  ++counters_.would_have.reset;
}

// New payload in a dialogue: the scanner reads it, in order, once.
void Pipeline::Impl::client_speech(const FrameRef& f, const Column& c, Handle h, smtp::Findings& findings) {
  flow::State32& s = flows_[h];
  s.set(flow::kSpoke);
  DialogueRecord* d = dialogue_of(s);
  if (d == nullptr || d->dialogue.opaque() != smtp::Opaque::no) return;
  const SeqNo next = s.client_next();
  if (c.headers.seq > next) {
    d->dialogue.give_up();
    count(Reason::dialogue_lost);
    return;
  }
  const auto seen = static_cast<size_t>(next - c.headers.seq);
  if (seen >= c.headers.payload_length) return;  // repeated
  const int32_t acked = d->greeting_open ? 0 : c.headers.ack - d->server_origin;
  d->dialogue.client(payload(f, c.headers).subspan(seen), acked > 0 ? static_cast<uint32_t>(acked) : 0, findings);
}

void Pipeline::Impl::do_client_step(FrameRef& f, Column& c, Handle h, Event e, const Step& st) {
  const wire::Headers& hdr = c.headers;
  const State at = flows_[h].state;
  if (at == State::syn_ack_sent && (e == Event::proof || e == Event::proof_with_data || e == Event::proof_with_hello ||
                                    e == Event::proof_with_fin)) {
    const auto limit = limit_of_proof(c.id.client, flows_[h], st);
    if (limit && !treatment(flows_[h].source_class).observe) {
      refuse_beyond_limit(f, c, h, *limit);
      return;
    }
    prove(h);
    if (limit) {
      count(*limit);
      would_reset(h);
    }
  }
  count(st);
  if (st.reason == Reason::early_hello) {
    MIRE_ASSERT(flow::knows_forgiven(at));
    flows_[h].set(flow::kForgiven);
    if (st.verdict == Verdict::pass) f.length = wire::trim_payload(f.bytes(), c.headers);
  }
  switch (st.verdict) {
    case Verdict::pass:
      if (e == Event::syn_repeated || e == Event::syn_other) {
        edit_syn(f, c, flows_[h].source_class);
        return;
      }
      if (st.next == State::waiting && at == State::syn_ack_sent) {
        if (stopping_) {
          enter(h, State::due);
        } else {
          enter(h, State::waiting);
          begin_hold(h, st.hold);
        }
        return;
      }
      enter(h, st.next);
      if (st.next == State::talking && at == State::greeted) {
        // The first words: they may already run past an EHLO.
        smtp::Findings findings;
        client_speech(f, c, h, findings);
        if (findings.unsynchronised != 0) {
          do_client_step(f, c, h, Event::pipelined,
                         policy::step(State::talking, Event::pipelined, treatment(flows_[h].source_class)));
          return;
        }
      }
      break;
    case Verdict::count:
      if (st.reason == Reason::unsynchronised_pipelining) {
        if (policy::would_reset_pipelining(treatment(flows_[h].source_class))) would_reset(h);
        report(h, at, st.verdict, st.reason, 0, payload(f, hdr));
        break;
      }
      early_talk(f, c, h, st, at);
      break;
    case Verdict::reset:
      f.fate = Fate::drop;
      if (st.reason == Reason::unsynchronised_pipelining) {
        report(h, at, st.verdict, st.reason, 0, payload(f, hdr));
        flows_[h].set(flow::kReported);
        reset_both(h, at, hdr);
        enter(h, State::tombstone);
      } else {
        early_talk(f, c, h, st, at);
      }
      return;
    case Verdict::finish:
      f.fate = Fate::drop;
      finish_client(h, f, hdr);
      if (at != State::finished) reset_server(h, flows_[h].client_first());
      enter(h, st.next);
      if (at != State::finished) flows_[h].set_sent(flows_[h].server_first().value);
      return;
    case Verdict::drop:
      f.fate = Fate::drop;
      if (at == State::tombstone) answer_tombstone(h, hdr, true);
      if (e == Event::reset && at != State::finished) reset_server(h, flows_[h].client_first());
      enter(h, st.next);
      return;
    case Verdict::reply:
      f.fate = Fate::drop;
      early_talk(f, c, h, st, at);
      return;
    case Verdict::hold:
    case Verdict::release:
    case Verdict::answer:
    case Verdict::dial:
    case Verdict::join:
      MIRE_ASSERT(false);  // only the server's segments are held, only time releases; the others are for whom we met
      return;
  }
  // A FIN has passed and now a RST: nobody waits for more, whatever its number.
  if (at == State::closing && e == Event::reset_inexact) {
    end_report(h);
    leave_sources(h);
  }
  if ((hdr.flags & wire::kFin) != 0) {
    if (flows_.used(h) && flows_[h].state == State::talking) enter(h, State::closing);
    saw_fin(h, flow::kClientFin);
  }
  // What went on to the server moves its expectation (only forward, only in a dialogue that we follow).
  if (!flows_.used(h)) return;
  flow::State32& s = flows_[h];
  const bool followed = e == Event::speech || e == Event::pipelined || e == Event::early;
  if (s.state == State::talking && followed && hdr.payload_length != 0) {
    const SeqNo end = hdr.seq + hdr.payload_length;
    if (end > s.client_next()) s.set_client_next(end);
  }
}

void Pipeline::Impl::early_talk(const FrameRef& f, const Column& c, Handle h, const Step& st, State at) {
  const auto said = payload(f, c.headers);
  const bool other_protocol = smtp::other_protocol(said);
  flow::State32& s = flows_[h];
  const uint32_t held_ms = ran_ms(s);
  if (st.verdict == Verdict::reset || st.verdict == Verdict::reply) {
    Duration penalty{};
    if (settings_ != nullptr && policy::demotes(s.source_class, other_protocol))
      penalty = sources_.offend(flows_.id(h).client, settings_->penalty, now_);
    report(h, at, st.verdict, st.reason, held_ms, said, penalty);
    s.set(flow::kReported);
    // A reply must be the next thing that the client reads: one who has not read all that went out is reset.
    const bool spoken = at == State::greeted || at == State::invited || at == State::deferred;
    const bool heard = !spoken || c.headers.ack == sent_to(h);
    if (st.verdict == Verdict::reply && heard) {
      if (!flow::is_meeting(at)) reset_server(h, s.client_first());
      reply(h, &c.headers, st.reason);
      return;
    }
    reset_both(h, at, c.headers);
    enter(h, State::tombstone);
    return;
  }
  if (st.reason == Reason::early_talk_observed) would_reset(h);
  report(h, at, st.verdict, st.reason, held_ms, said);
  s.set(flow::kSpoke);
  if (at == State::banner_held) end_hold(h, st.reason);
  enter(h, State::talking);
  smtp::Findings ignored;  // judged already
  client_speech(f, c, h, ignored);
}

}  // namespace mire::lcore
