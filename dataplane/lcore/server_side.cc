#include "dataplane/lcore/pipeline_impl.h"
#include "dataplane/smtp/greeting.h"

namespace mire::lcore {

using policy::Verdict;
using wire::SeqNo;

namespace {

bool is_syn_ack(const wire::Headers& h) noexcept {
  return (h.flags & (wire::kSyn | wire::kAck)) == (wire::kSyn | wire::kAck);
}

bool changes_state(policy::State s, policy::Event e) noexcept {
  using policy::Event;
  using policy::State;
  if (e == Event::server_nothing_new) return false;
  if (s == State::tombstone || s == State::finished) return e == Event::syn_ack_other;
  if (s == State::talking || s == State::closing || s == State::joined)
    return e == Event::server_reset || e == Event::server_fin || e == Event::syn_ack_other;
  return true;
}

}  // namespace

void Pipeline::Impl::on_server(FrameRef& f, Column& c) {
  const Handle h = flow_of(c);
  if (h == flow::kNoFlow) {
    adopt(f, c);
    return;
  }
  if (!obey_epoch(h)) {
    adopt(f, c);
    return;
  }
  saw(c.id.server, Side::lan);
  if (flow::talks_with_us(flows_[h].state)) {
    on_met_server(f, c, h);
    return;
  }
  if (const auto translation = translation_of(flows_[h])) {
    // A SYN-ACK for another connection of this name is not counted as this one's.
    const bool of_another = (c.headers.flags & wire::kSyn) != 0 && c.headers.ack != flows_[h].client_first();
    if (!of_another) wire::to_clients_numbers(f.bytes(), c.headers, *translation);
  }
  flow::State32& s = flows_[h];
  const Event e = flow::classify_server(s, c.headers, expected_of_greeting(s));
  if (changes_state(s.state, e) && !wire::checksums_valid(f.bytes(), c.headers)) {
    count(Reason::bad_checksum);
    return;
  }
  if (!flow::hold_runs(s.state)) s.set_seen_second(now_second());
  if (e == Event::syn_ack || e == Event::syn_ack_repeated || e == Event::syn_ack_other) {
    on_syn_ack(f, c, h, e);
  } else if (e == Event::greeting_part) {
    on_greeting(f, c, h);
  } else {
    do_server_step(f, c, h, e, policy::step(s.state, e, treatment(s.source_class)));
  }
}

// A server's segment without an entry: a SYN-ACK of a server that is new to us, or a flow joined mid-stream.
void Pipeline::Impl::adopt(FrameRef& f, Column& c) {
  const wire::Headers& h = c.headers;
  if ((h.flags & wire::kRst) != 0 || ((h.flags & wire::kSyn) != 0 && !is_syn_ack(h))) {
    count(Reason::no_entry);
    return;
  }
  const SourceClass source_class = class_of(h.destination);
  const Event e = is_syn_ack(h) ? Event::syn_ack : (h.flags & wire::kFin) != 0 ? Event::server_fin : Event::server_data;
  const policy::Treatment& t = treatment(source_class);
  const Step st = policy::step(State::none, e, t);
  if (st.next == State::none) {
    count(st);
    return;
  }
  if (!wire::checksums_valid(f.bytes(), h)) {
    count(Reason::bad_checksum);
    return;
  }
  if (c.id.server == 0) {
    c.id.server = static_cast<uint16_t>(endpoint_for(h.source, h.vlan, true));
    if (c.id.server == 0) return;
    c.probe = flows_.probe(c.id);
  }
  const uint32_t path = path_of(f, h, true);
  if (path == 0) return;
  const Handle handle = create(c, source_class, path);
  if (handle == flow::kNoFlow) return;
  saw(c.id.server, Side::lan);
  if (e == Event::syn_ack) {
    flow::State32& s = flows_[handle];
    s.client_isn = h.ack - 1;
    enter(handle, State::syn_seen);
    on_syn_ack(f, c, handle, Event::syn_ack);
    leash(handle);
    return;
  }
  count(st);
  enter(handle, st.next);
}

void Pipeline::Impl::on_syn_ack(FrameRef& f, Column& c, Handle h, Event e) {
  const State at = flows_[h].state;
  const bool anew = at != State::syn_seen && at != State::syn_ack_held && at != State::syn_ack_sent;
  const SourceClass source_class = anew ? class_of(flows_.id(h).client) : flows_[h].source_class;
  const Step st = policy::step(at, e, treatment(source_class));
  count(st);
  if (e == Event::syn_ack_repeated) {
    if (at == State::syn_ack_held) park_syn_ack(f, c, flows_[h]);
    if (st.verdict == Verdict::drop) f.fate = Fate::drop;
    return;
  }
  // The server begins (or begins anew: its old connection is gone, RFC 5961 4.2): so do we.
  if (anew) {
    end_report(h);
    leave_sources(h);
    flows_[h].source_class = source_class;
    flows_[h].flags = 0;
    if (st.next == State::none) {
      enter(h, State::none);
      return;
    }
  }
  see_server_path(f, c.headers, flows_[h]);
  if (at == State::syn_ack_held) {
    park_syn_ack(f, c, flows_[h]);
    f.fate = Fate::drop;
    return;
  }
  enter(h, st.next);
  flow::State32& s = flows_[h];
  s.epoch = epoch_;
  park_syn_ack(f, c, s);
  if (st.verdict == Verdict::hold) {
    if (stopping_) {
      enter(h, State::syn_ack_sent);
      return;
    }
    // The calendar may have no chunk: then begin_hold() has built and sent our copy, and this one is too much.
    f.fate = Fate::drop;
    begin_hold(h, st.hold);
  }
}

// A SYN-ACK is a few numbers: they are kept whether it is held or not.
void Pipeline::Impl::park_syn_ack(const FrameRef& f, const Column& c, flow::State32& s) {
  const wire::Headers& h = c.headers;
  const wire::TcpOptions o = wire::read_options(f.bytes(), h);
  known_servers_[c.id.server].profile.saw_syn_ack(o, h.window);
  s.client_isn = h.ack - 1;
  s.server_isn = h.seq;
  s.window() = h.window;
  s.set(flow::kTimestamps, o.has_timestamps);
  s.server_tsval() = o.tsval;
  s.server_tsecr() = o.tsecr;
  if (s.state != State::syn_ack_held) return;
  constexpr uint8_t kEceFlag = 0x40;  // RFC 3168 6.1
  flow::ParkedSynAck p;
  p.mss = o.has_mss ? o.mss : 0;
  p.window_scale = o.has_window_scale ? o.window_scale : flow::ParkedSynAck::kNoScale;
  p.bits = static_cast<uint8_t>((o.sack_permitted ? flow::ParkedSynAck::kSack : 0) |
                                ((h.flags & kEceFlag) != 0 ? flow::ParkedSynAck::kEce : 0));
  s.set_syn_ack(p);
}

SeqNo Pipeline::Impl::expected_of_greeting(const flow::State32& s) const {
  switch (s.state) {
    case State::banner_held: return s.server_first() + static_cast<uint32_t>(banners_.bytes(s.banner()).size());
    case State::greeted:
      if (s.has(flow::kEndKnown) || s.banner() == 0) return s.server_next();
      return s.server_first() + static_cast<uint32_t>(banners_.bytes(s.banner()).size());
    case State::none:
    case State::syn_seen:
    case State::syn_ack_held:
    case State::syn_ack_sent:
    case State::waiting:
    case State::due:
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
  return s.server_first();
}

// The parked copy goes out with the timestamps, the ACK and the window of the server's latest repeat.
void Pipeline::Impl::learn_numbers(const FrameRef& f, const wire::Headers& h, flow::State32& s) {
  const wire::TcpOptions o = wire::read_options(f.bytes(), h);
  s.window() = h.window;
  if (!o.has_timestamps) return;
  s.server_tsval() = o.tsval;
  s.server_tsecr() = o.tsecr;
}

// New bytes in order, in a state that reads a greeting.
void Pipeline::Impl::on_greeting(FrameRef& f, Column& c, Handle h) {
  flow::State32& s = flows_[h];
  const wire::Headers& hdr = c.headers;
  if (s.state == State::greeted && s.has(flow::kEndKnown)) {
    do_server_step(f, c, h, Event::server_data, policy::step(s.state, Event::server_data, treatment(s.source_class)));
    return;
  }
  const SeqNo expected = expected_of_greeting(s);
  const auto fresh = payload(f, hdr).subspan(static_cast<size_t>(expected - hdr.seq));
  std::span<const uint8_t> all = fresh;
  uint16_t segment = hdr.payload_length;
  const bool parked = (s.state == State::banner_held || s.state == State::greeted) && s.banner() != 0;
  if (parked) {
    const auto before = banners_.bytes(s.banner());
    if (before.size() + fresh.size() > scratch_.size()) {
      all = {};
    } else {
      std::copy(before.begin(), before.end(), scratch_.begin());
      std::copy(fresh.begin(), fresh.end(), scratch_.begin() + static_cast<ptrdiff_t>(before.size()));
      all = {scratch_.data(), before.size() + fresh.size()};
    }
    segment = std::max(segment, banners_.largest_segment(s.banner()));
  }
  const auto scan = all.empty() ? smtp::GreetingScan{smtp::GreetingResult::unjudgeable, 0} : smtp::scan_greeting(all);
  Event e = Event::greeting_part;
  switch (scan.result) {
    case smtp::GreetingResult::incomplete: break;
    case smtp::GreetingResult::ready: e = Event::greeting_end; break;
    case smtp::GreetingResult::refused: e = Event::greeting_refusal; break;
    case smtp::GreetingResult::unjudgeable: e = Event::greeting_unreadable; break;
  }
  if (e == Event::greeting_end && scan.end == all.size()) learn_greeting(c.id.server, all, segment);
  const Step st = policy::step(s.state, e, treatment(s.source_class));
  count(st);
  const State at = s.state;
  if (st.verdict == Verdict::hold) {
    park_greeting(f, c, h, all, segment, st);
    return;
  }
  // Passed: at once, because the hold was over, or because there is nothing to judge. What was parked goes first.
  if (at == State::banner_held) end_hold(h, st.reason);
  if (at == State::waiting || at == State::due) {
    const uint32_t held = flows_[h].hold_ms;
    report(h, at, st.verdict, st.reason, st.reason == Reason::hold_over ? held : 0);
  }
  enter(h, st.next);
  if (st.next == State::greeted) pass_greeting(h, hdr, all, e == Event::greeting_end ? scan.end : 0, segment);
  if ((hdr.flags & wire::kFin) != 0) {
    enter(h, State::closing);
    saw_fin(h, flow::kServerFin);
  }
}

// Bytes of the greeting that go to the client now: F, and B if it is known (end != 0).
void Pipeline::Impl::pass_greeting(Handle h, const wire::Headers& hdr, std::span<const uint8_t> all, size_t end,
                                   uint16_t segment) {
  flow::State32& s = flows_[h];
  const SeqNo after = hdr.seq + hdr.payload_length;
  if (after > s.server_next()) s.set_server_next(after);
  const uint32_t before = s.banner();
  if (end != 0) {
    s.set_greeting_end(s.server_first() + static_cast<uint32_t>(end));
    s.set(flow::kEndKnown);
    s.set_banner(0);
  } else {
    const uint32_t id = banners_.acquire(all, segment);
    if (id == 0) count(Reason::banner_pool_full);
    s.set_banner(id);
  }
  if (before != 0) banners_.release(before);
  if (end == 0 && s.banner() == 0) enter(h, State::talking);  // no room to read on: not judged
}

void Pipeline::Impl::park_greeting(FrameRef& f, const Column& c, Handle h, std::span<const uint8_t> all,
                                   uint16_t segment, const Step& st) {
  const uint32_t id = banners_.acquire(all, segment);
  if (id == 0) {
    // No room: the greeting goes on at once, behind what is parked of it.
    count(Reason::banner_pool_full);
    if (flows_[h].state == State::banner_held) end_hold(h, Reason::banner_pool_full);
    enter(h, State::talking);
    return;
  }
  flow::State32& s = flows_[h];
  if (s.state == State::banner_held) banners_.release(s.banner());
  s.set_banner(id);
  enter(h, st.next);
  learn_numbers(f, c.headers, s);
  if ((c.headers.flags & wire::kFin) != 0) s.set(flow::kServerFin);
  see_server_path(f, c.headers, s);
  f.fate = Fate::drop;
}

// The server's payload in a dialogue: replies are read, PIPECONNECT is hidden from those whom we may judge next time.
void Pipeline::Impl::server_speech(FrameRef& f, const Column& c, Handle h) {
  flow::State32& s = flows_[h];
  const wire::Headers& hdr = c.headers;
  DialogueRecord* d = dialogue_of(s);
  if (d == nullptr) return;
  if (d->greeting_open) {
    const auto scan = smtp::scan_greeting(payload(f, hdr));
    if (hdr.seq != s.server_first() || scan.result != smtp::GreetingResult::ready) {
      d->dialogue.give_up();
      return;
    }
    d->greeting_open = false;
    d->server_origin = hdr.seq + static_cast<uint32_t>(scan.end);
    s.set_server_next(d->server_origin);
  }
  const bool hides = s.source_class != SourceClass::trusted && !treatment(s.source_class).observe;
  const SeqNo next = d->server_origin + d->dialogue.server_bytes();
  static constexpr std::array<uint8_t, 32> kBlank = [] {
    std::array<uint8_t, 32> a{};
    a.fill('X');
    return a;
  }();
  if (d->dialogue.opaque() == smtp::Opaque::no && hdr.seq + hdr.payload_length > next) {
    if (hdr.seq > next) {
      if (hides && d->dialogue.awaits_ehlo_reply()) {
        f.fate = Fate::drop;
        count(Reason::reordered_reply);
        return;
      }
      d->dialogue.give_up();
      count(Reason::dialogue_lost);
    } else {
      smtp::Findings found;
      d->dialogue.server(payload(f, hdr).subspan(static_cast<size_t>(next - hdr.seq)), found);
      if (hides && found.keyword.length != 0) {
        count(Reason::pipeconnect_hidden);
        report(h, s.state, Verdict::pass, Reason::pipeconnect_hidden);
        Time& until = known_servers_[c.id.server].early_hello_until;
        if (until == Time{}) until = now_ + std::chrono::hours{24 * 30};  // from the first hiding on
      }
    }
  }
  if (!hides) return;
  // A repetition is overwritten as the first one was, however the server cuts it.
  const int32_t from = hdr.seq - d->server_origin;
  if (from < 0) return;
  const smtp::Part hidden = d->dialogue.keyword_in(static_cast<uint32_t>(from), hdr.payload_length);
  if (hidden.length != 0)
    wire::overwrite_payload(f.bytes(), hdr, static_cast<uint16_t>(hidden.begin),
                            std::span{kBlank}.first(std::min(hidden.length, kBlank.size())));
}

void Pipeline::Impl::do_server_step(FrameRef& f, Column& c, Handle h, Event e, const Step& st) {
  count(st);
  const wire::Headers& hdr = c.headers;
  flow::State32& s = flows_[h];
  const State at = s.state;
  if (e == Event::server_repeat && at == State::banner_held) {
    learn_numbers(f, hdr, s);
    if ((hdr.flags & wire::kFin) != 0 && hdr.seq + hdr.payload_length == expected_of_greeting(s))
      s.set(flow::kServerFin);
  }
  switch (st.verdict) {
    case Verdict::hold:
      // Waits behind the greeting, if nothing is missing before it; else TCP repeats both.
      if (hdr.seq == expected_of_greeting(s)) s.set(flow::kServerFin);
      f.fate = Fate::drop;
      return;
    case Verdict::drop:
      f.fate = Fate::drop;
      if (at == State::tombstone) answer_tombstone(h, hdr, false);
      if (at == State::finished && (hdr.flags & wire::kRst) == 0) reset_server(h, hdr.ack);
      return;
    case Verdict::pass:
    case Verdict::count: break;
    case Verdict::release:
    case Verdict::reset:
    case Verdict::finish:
    case Verdict::answer:
    case Verdict::dial:
    case Verdict::join:
    case Verdict::reply:
      MIRE_ASSERT(false);  // a server's segment never causes these, but where it was dialled
      return;
  }
  if (hdr.payload_length != 0) {
    if (at == State::talking || at == State::closing) server_speech(f, c, h);
    if (at == State::greeted || at == State::talking) {
      const SeqNo after = hdr.seq + hdr.payload_length;
      if (after > s.server_next()) s.set_server_next(after);
    }
  }
  enter(h, st.next);
  if ((hdr.flags & wire::kFin) != 0) saw_fin(h, flow::kServerFin);
}

}  // namespace mire::lcore
