// The client's side of a flow that we meet ourselves: hold, greeting, first command (the handshake: handshake.cc).
// Everything here is sent in the server's name and nothing reaches the server.
#include <algorithm>

#include "dataplane/lcore/pipeline_impl.h"
#include "dataplane/smtp/early.h"

namespace mire::lcore {

using flow::ParkedSynAck;
using policy::Verdict;
using wire::SeqNo;

namespace {

// When an invited client is looked after, in ms after the time before: the greeting is repeated after 1, 3 and 7 s
// unless it was acknowledged; silence ends after 10 s in a crowd, else after 50 s.
constexpr std::array<uint16_t, 5> kInvitedSteps = {1000, 2000, 4000, 3000, 40'000};
constexpr uint16_t kCrowdStep = 3;

}  // namespace

// --- numbers of a flow that we met -----------------------------------------------------------------------------------

// Behind what we have sent to the client.
SeqNo Pipeline::Impl::sent_to(Handle h) const {
  const flow::State32& s = flows_[h];
  switch (s.state) {
    case State::deferred:
    case State::invited:
      return s.server_first() + (s.sent() == 0 ? 0 : static_cast<uint32_t>(banners_.bytes(s.sent()).size()));
    case State::dialling: return dialogues_[s.sent()].greeted_to;
    case State::greeted:
    case State::replied: return s.server_next();
    case State::none:
    case State::syn_seen:
    case State::syn_ack_held:
    case State::syn_ack_sent:
    case State::waiting:
    case State::banner_held:
    case State::due:
    case State::talking:
    case State::closing:
    case State::finished:
    case State::tombstone:
    case State::joined:
    case State::met: break;
  }
  return s.server_first();
}

defer::Handshake Pipeline::Impl::handshake_of(Handle h) const {
  const flow::FlowId id = flows_.id(h);
  const Endpoint& e = endpoints_[id.server];
  return {id.client, e.address, e.vlan, id.port, flows_[h].client_isn};
}

uint32_t Pipeline::Impl::our_clock(Handle h) const {
  return static_cast<uint32_t>(now_ms()) + cookies_.clock_offset(handshake_of(h));
}

// After a pause of ours the calendar is behind the clock and catches up: nothing may be armed beyond what it can hold.
uint64_t Pipeline::Impl::can_be_armed(uint64_t deadline_ms) const {
  return std::clamp(deadline_ms, calendar_.now_ms() + 1, calendar_.now_ms() + flow::Calendar::kSlots - 1);
}

// The deadline is kept even if the calendar has no chunk for it: the sweep finds it then, a little late.
void Pipeline::Impl::arm(Handle h, uint64_t after_ms) {
  MIRE_ASSERT(after_ms <= kLongestWaitMs);
  const uint64_t deadline = can_be_armed(now_ms() + after_ms);
  flows_[h].set_due_ms(deadline);
  if (!calendar_.arm(h, deadline)) count(Reason::calendar_full);
}

// --- segments of the client ------------------------------------------------------------------------------------------

void Pipeline::Impl::on_met_client(FrameRef& f, Column& c, Handle h) {
  flow::State32& s = flows_[h];
  const wire::Headers& hdr = c.headers;
  f.fate = Fate::drop;
  if (!wire::checksums_valid(f.bytes(), hdr)) {
    count(Reason::bad_checksum);
    return;
  }
  const uint32_t said = s.state == State::dialling ? static_cast<uint32_t>(banners_.bytes(dialled(s).words).size()) : 0;
  Event e = flow::classify_met(s, hdr, sent_to(h), said);
  if (e == Event::early || e == Event::proof_with_data) e = forgiven(e, f, c, s);
  if (!flow::has_deadline(s.state)) s.set_seen_second(now_second());
  const bool in_step =
      e == Event::proof || e == Event::speech || e == Event::nothing_new || e == Event::proof_with_hello;
  if (in_step && flow::is_meeting(s.state)) {
    s.window() = hdr.window;
    if (s.has(flow::kTimestamps)) {
      const wire::TcpOptions o = wire::read_options(f.bytes(), hdr);
      if (o.has_timestamps && SeqNo{o.tsval} > SeqNo{s.client_clock()}) s.set_client_clock(o.tsval);
    }
  }
  do_meeting_step(f, c, h, e, policy::step(s.state, e, treatment(s.source_class)));
}

void Pipeline::Impl::do_meeting_step(FrameRef& f, Column& c, Handle h, Event e, const Step& st) {
  const wire::Headers& hdr = c.headers;
  const State at = flows_[h].state;
  if (at == State::met && st.next != State::met && e != Event::reset) {
    if (const auto limit = limit_of_proof(c.id.client, flows_[h], st)) {
      refuse_beyond_limit(f, c, h, *limit);
      return;
    }
    prove(h);
  }
  count(st);
  if (st.reason == Reason::early_hello) flows_[h].set(flow::kForgiven);
  switch (st.verdict) {
    case Verdict::pass: f.fate = Fate::forward; return;  // a SYN after our reply: the server's word will tell
    case Verdict::drop:
      if (st.reason == Reason::early_talk_counted && !flows_[h].has(flow::kSpoke)) {
        flows_[h].set(flow::kSpoke);
        report(h, at, Verdict::count, st.reason, ran_ms(flows_[h]), payload(f, hdr));
      }
      if (at == State::dialling && st.next == State::none && !dialled(flows_[h]).queued)
        reset_server(h, flows_[h].client_first());
      enter(h, st.next);
      return;
    case Verdict::hold: {
      enter(h, st.next);
      policy::HoldRange range = st.hold;
      if (range.max_ms == 0) range = {1, 1};  // the treatment has changed since the SYN
      if (st.reason == Reason::teased) tease(h);
      begin_hold(h, range);
      keep(h);
      return;
    }
    case Verdict::answer: answer_client(f, c, h, e); return;
    case Verdict::reset:
    case Verdict::reply: early_talk(f, c, h, st, at); return;
    case Verdict::finish: finish_met(h, f, hdr); return;
    case Verdict::dial:
      if (keep_words(f, c, h)) begin_dial(h);
      return;
    case Verdict::release:
    case Verdict::count:
    case Verdict::join: MIRE_ASSERT(false); return;  // only time releases, only the server's welcome joins
  }
}

// What the server's TCP would answer.
void Pipeline::Impl::answer_client(const FrameRef& f, const Column& c, Handle h, Event e) {
  flow::State32& s = flows_[h];
  const wire::Headers& hdr = c.headers;
  const bool is_syn = (hdr.flags & wire::kSyn) != 0;
  if (s.state == State::met) {
    if (is_syn) answer_syn(f, c, h, 0);
    return;
  }
  if (s.state == State::replied) {
    const SeqNo end = hdr.seq + hdr.sequence_length();
    if (end > s.acknowledged()) s.set_acknowledged(end);
    if (hdr.ack < s.server_next() && s.sent() != 0) {
      send_reply(h, f, hdr);
    } else if (hdr.sequence_length() != 0) {
      acknowledge_client(h, s.acknowledged());
    }
    return;
  }
  const bool listens = s.state == State::invited || s.state == State::deferred;
  if (listens && e == Event::nothing_new && hdr.ack == sent_to(h)) s.set(flow::kReadWhole);
  // A SYN (RFC 5961 4.2), or a keepalive or probe below what we expect (RFC 9293 3.8.4); an ACK is not acknowledged.
  if (is_syn || hdr.seq < s.client_first()) acknowledge_client(h, s.client_first());
}

void Pipeline::Impl::acknowledge_client(Handle h, SeqNo ack) {
  const flow::State32& s = flows_[h];
  wire::Segment seg = to_client(h);
  seg.flags = wire::kAck;
  seg.seq = sent_to(h);
  seg.ack = ack;
  seg.window = advertised(h);
  if (s.has(flow::kTimestamps) && s.state != State::replied)
    seg.timestamps = wire::Timestamps{our_clock(h), s.client_clock()};
  send(Side::wan, seg);
}

// The server's window as it would be in a segment that is no SYN: scaled, if the client offered to scale.
uint16_t Pipeline::Impl::advertised(Handle h) const {
  const flow::State32& s = flows_[h];
  const defer::Offer& offer = known_servers_[flows_.id(h).server].profile.offer();
  if (offer.window == 0) return kOwnWindow;  // of a server that we know nothing of
  if (!flow::is_meeting(s.state)) return offer.window;
  const bool scales = offer.has_window_scale && s.offered().window_scale != ParkedSynAck::kNoScale;
  return static_cast<uint16_t>(std::max(1, scales ? offer.window >> offer.window_scale : int{offer.window}));
}

// A FIN before a command: FIN and ACK. The server never heard of it.
void Pipeline::Impl::finish_met(Handle h, const FrameRef& f, const wire::Headers& hdr) {
  const SeqNo fin = sent_to(h);
  const uint32_t clock = our_clock(h);
  enter(h, State::finished);
  flow::State32& s = flows_[h];
  s.server_tsval() = clock;
  s.set_sent(fin.value);
  finish_client(h, f, hdr);
}

// --- the greeting ----------------------------------------------------------------------------------------------------

// The first line of the greeting, while the rest is held.
void Pipeline::Impl::tease(Handle h) {
  flow::State32& s = flows_[h];
  const std::string& line = settings_->teasers[static_cast<size_t>(s.source_class)];
  MIRE_ASSERT(line.size() + 2 <= smtp::kLongestReply);
  std::array<uint8_t, smtp::kLongestReply> whole;
  const auto end = std::copy(line.begin(), line.end(), whole.begin());
  end[0] = '\r';
  end[1] = '\n';
  const uint32_t id = banners_.acquire(std::span{whole}.first(line.size() + 2), smtp::kLongestReply);
  if (id == 0) {
    count(Reason::banner_pool_full);  // the greeting will be the learned one alone
    return;
  }
  s.set_sent(id);
  send_greeting(h);
}

// A teaser and the learned greeting as one. 0: no room.
uint32_t Pipeline::Impl::greeting_behind(uint32_t teaser, uint32_t learned) {
  const auto first = banners_.bytes(teaser), rest = banners_.bytes(learned);
  if (first.size() + rest.size() > scratch_.size()) return 0;
  const auto at = std::copy(first.begin(), first.end(), scratch_.begin());
  std::copy(rest.begin(), rest.end(), at);
  const size_t segment = first.size() + banners_.largest_segment(learned);
  return banners_.acquire(std::span{scratch_}.first(first.size() + rest.size()), static_cast<uint16_t>(segment));
}

// The hold is over: the client gets the greeting that we have learned, behind the teaser if it had one.
void Pipeline::Impl::invite(Handle h) {
  const defer::ServerProfile& profile = known_servers_[flows_.id(h).server].profile;
  const uint32_t learned = profile.greeting(), teaser = flows_[h].sent();
  MIRE_ASSERT(learned != 0);
  uint32_t greeting = learned;
  size_t from = 0;
  if (teaser == 0) {
    banners_.share(learned);
  } else {
    greeting = greeting_behind(teaser, learned);
    if (greeting == 0) {
      count(Reason::banner_pool_full);
      flows_[h].set(flow::kReported);
      reply(h, nullptr, Reason::server_down);  // its greeting cannot be finished, so it comes again
      return;
    }
    if (flows_[h].has(flow::kReadWhole)) from = banners_.bytes(teaser).size();  // else the teaser was perhaps lost
    banners_.release(teaser);
  }
  enter(h, State::invited);
  flow::State32& s = flows_[h];
  s.set_sent(greeting);
  s.set_tries(0);
  s.set(flow::kReadWhole, false);
  send_greeting(h, from);
  arm(h, kInvitedSteps[0]);
  keep(h);
}

// What goes out of a greeting or teaser, from an offset on.
void Pipeline::Impl::send_greeting(Handle h, size_t from) {
  const flow::State32& s = flows_[h];
  const auto bytes = banners_.bytes(s.sent());
  const uint16_t most = s.offered().mss == 0 ? kLeastMss : s.offered().mss;
  const size_t room = s.has(flow::kTimestamps) ? 12 : 0;
  const size_t step = std::max<size_t>(std::min<size_t>(banners_.largest_segment(s.sent()), most - room), 1);
  for (size_t at = from; at < bytes.size(); at += step) {
    const auto part = bytes.subspan(at, std::min(step, bytes.size() - at));
    wire::Segment seg = to_client(h);
    seg.flags = static_cast<uint8_t>(wire::kAck | (at + part.size() == bytes.size() ? wire::kPsh : 0));
    seg.seq = s.server_first() + static_cast<uint32_t>(at);
    seg.ack = s.client_first();
    seg.window = advertised(h);
    if (s.has(flow::kTimestamps)) seg.timestamps = wire::Timestamps{our_clock(h), s.client_clock()};
    seg.payload = part;
    send(Side::wan, seg);
  }
}

// Time for what an invited or a dialling flow waits for.
void Pipeline::Impl::meeting_due(Handle h) {
  flow::State32& s = flows_[h];
  const uint16_t tries = s.tries();
  const bool invited = s.state == State::invited;
  bool enough;
  if (invited) {
    const bool crowd = counters_.flows[static_cast<size_t>(State::invited)] > options_.crowd;
    enough = tries + 1u >= kInvitedSteps.size() || (tries >= kCrowdStep && crowd);
  } else {
    enough = !wait_on(h);
  }
  const Step st = policy::step(s.state, enough ? Event::waited_enough : Event::deadline, treatment(s.source_class));
  if (st.verdict == Verdict::reply) {
    count(st);
    if (!invited) give_up_dial(h);
    const State at = s.state;
    report(h, at, st.verdict, st.reason);
    s.set(flow::kReported);
    reply(h, nullptr, st.reason);
    return;
  }
  if (!invited) return;
  s.set_tries(static_cast<uint16_t>(tries + 1));
  if (tries < kCrowdStep && !s.has(flow::kReadWhole)) send_greeting(h);
  arm(h, kInvitedSteps[s.tries()]);
}

}  // namespace mire::lcore
