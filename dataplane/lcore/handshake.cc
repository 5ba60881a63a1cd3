// The handshake of a stranger whom we meet ourselves, in the server's name: with a record, or under pressure without
// one.
#include <algorithm>

#include "dataplane/lcore/pipeline_impl.h"

namespace mire::lcore {

using flow::ParkedSynAck;
using policy::Verdict;
using wire::SeqNo;

namespace {

// When a SYN-ACK of ours is repeated, in ms after the time before.
constexpr std::array<uint16_t, 2> kAskAgainMs = {1000, 2000};
constexpr uint64_t kFloodMs = 10'000;  // not so soon after a flood

// What a client's SYN offered rides on the low bits of our TSval, for the case that its record gives way: window scale
// and SACK, as Linux does with its SYN cookies. The value itself stays behind our clock.
constexpr uint32_t kClockBits = 31;
uint32_t clock_with(uint32_t clock, const ParkedSynAck& o) noexcept {
  const uint32_t scale = o.window_scale == ParkedSynAck::kNoScale ? 15u : o.window_scale;
  return ((clock & ~kClockBits) - (kClockBits + 1)) | scale << 1 | ((o.bits & ParkedSynAck::kSack) != 0 ? 1u : 0u);
}
ParkedSynAck offered_by(uint32_t echo, uint16_t mss) noexcept {
  const uint32_t scale = (echo & kClockBits) >> 1;
  ParkedSynAck o;
  o.mss = mss;
  o.window_scale = scale == 15 ? ParkedSynAck::kNoScale : static_cast<uint8_t>(scale);
  o.bits = (echo & 1) != 0 ? ParkedSynAck::kSack : 0;
  return o;
}

ParkedSynAck offered_by(const wire::TcpOptions& o) noexcept {
  ParkedSynAck p;
  p.mss = o.has_mss ? o.mss : 0;
  p.window_scale = o.has_window_scale ? o.window_scale : ParkedSynAck::kNoScale;
  p.bits = o.sack_permitted ? ParkedSynAck::kSack : 0;
  return p;
}

}  // namespace

// What a server that offers `offer` answers to a SYN that offered `offered`: what we promise, and what it must keep
// when it is dialled. Without the values of the clocks.
wire::TcpOptions Pipeline::Impl::answer_to(const ParkedSynAck& offered, const defer::Offer& offer, bool clocks) {
  wire::TcpOptions o;
  o.has_mss = offered.mss != 0 && offer.mss != 0;
  o.mss = offer.mss;
  o.sack_permitted = (offered.bits & ParkedSynAck::kSack) != 0 && offer.sack;
  o.has_timestamps = clocks;
  o.has_window_scale = offered.window_scale != ParkedSynAck::kNoScale && offer.has_window_scale;
  o.window_scale = offer.window_scale;
  return o;
}

bool Pipeline::Impl::can_meet(const FrameRef& f, const Column& c, SourceClass source_class) const {
  if (!options_.defers || c.id.server == 0 || stopping_) return false;
  if (treatment(source_class).withhold != policy::Withhold::defer) return false;
  if (!known_servers_[c.id.server].profile.ready()) return false;
  return !wire::read_options(f.bytes(), c.headers).signature;  // RFC 2385, RFC 5925: only its two ends have the key
}

// Answers a first SYN, at once or after a hold. Under pressure nothing is kept: the number and the clock that we answer
// with remember enough, and nothing is held.
void Pipeline::Impl::meet(FrameRef& f, Column& c, SourceClass source_class, policy::HoldRange hold) {
  f.fate = Fate::drop;
  if (now_ms() < pressed_until_ms_) {
    answer_syn(f, c, flow::kNoFlow, 0);
    return;
  }
  const uint32_t path = path_of(f, c.headers, false);
  const Handle h = path == 0 ? flow::kNoFlow : create(c, source_class, path);
  if (h == flow::kNoFlow) {
    answer_syn(f, c, flow::kNoFlow, 0);
    return;
  }
  enter(h, State::met);
  answer_syn(f, c, h, hold.max_ms == 0 || stopping_ ? 0 : hold_of(hold, lots_.draw()));
  if (!flows_[h].answer_held()) ask_again(h, kAskAgainMs[0]);
  keep(h);
  leash(h);
}

// A SYN that would begin a flow anew which is over, and of which the server knows nothing any more.
bool Pipeline::Impl::meet_anew(FrameRef& f, Column& c, Handle h) {
  const State s = flows_[h].state;
  if (s != State::replied && s != State::tombstone && s != State::finished) return false;
  const SourceClass source_class = class_of(c.headers.source);
  if (!wire::checksums_valid(f.bytes(), c.headers)) return false;
  const Event e = can_meet(f, c, source_class) ? Event::syn_meetable : Event::syn;
  const Step st = policy::step(State::none, e, treatment(source_class));
  if (st.verdict != Verdict::answer && s != State::replied) return false;  // the server's SYN-ACK will tell
  if (!admit(f, c, source_class, st)) return true;
  end_report(h);
  erase(h);
  new_flow(f, c);
  return true;
}

// The SYN-ACK that the server would send, now or in `hold_ms`; one that is held already takes up the newest numbers and
// goes when it would have gone. `met`: where to keep what the client offered; without a record it gets only what the
// handshake's ACK will tell us again.
void Pipeline::Impl::answer_syn(const FrameRef& f, const Column& c, Handle met, uint32_t hold_ms) {
  flow::State32* const record = met == flow::kNoFlow ? nullptr : &flows_[met];
  MIRE_ASSERT(record != nullptr || hold_ms == 0);
  const bool held = record != nullptr && answer_is_due_later(*record);
  const wire::Headers& h = c.headers;
  const wire::TcpOptions o = wire::read_options(f.bytes(), h);
  const defer::ServerProfile& profile = known_servers_[c.id.server].profile;
  const defer::Offer& offer = profile.offer();
  const bool clocks = o.has_timestamps && offer.timestamps;
  ParkedSynAck offered = offered_by(o);
  if (record == nullptr && !clocks) offered = {offered.mss, ParkedSynAck::kNoScale, 0};

  const defer::Handshake shake{h.source, h.destination, h.vlan.value, h.source_port, h.seq};
  const bool needs_record = !clocks && (offered.window_scale != ParkedSynAck::kNoScale || offered.bits != 0);
  // The number of a handshake stays: a SYN may come again when its first answer is on its way.
  const bool again =
      record != nullptr && record->state == State::met && record->repeat_ms() != 0 && record->client_isn == h.seq;
  const SeqNo number =
      again ? record->server_isn
            : cookies_.bake(
                  shake, needs_record ? std::nullopt : std::optional{offered.mss == 0 ? kLeastMss : offered.mss}, now_);
  const uint32_t clock = static_cast<uint32_t>(now_ms()) + cookies_.clock_offset(shake);
  if (record != nullptr) {
    record->client_isn = h.seq;
    record->server_isn = number;
    record->window() = h.window;
    record->set(flow::kTimestamps, clocks);
    record->set_client_clock(o.tsval);
    ParkedSynAck kept = offered;
    kept.bits = static_cast<uint8_t>(kept.bits | profile.generation() << 4);
    record->set_offered(kept);
    if (held) return;
    if (record->answer_held()) record->set_repeats(0);
  }

  std::array<uint8_t, wire::kSynOptions> options;
  wire::Segment seg = back_to_sender(f, h);
  seg.flags = wire::kSyn | wire::kAck;
  seg.seq = number;
  seg.ack = h.seq + 1;
  seg.window = offer.window;
  wire::TcpOptions ours = answer_to(offered, offer, clocks);
  ours.tsval = clock_with(clock, offered);
  ours.tsecr = o.tsval;
  seg.options = std::span{options}.first(wire::write_syn_options(ours, options));
  if (!may_send_unproven(seg, f.length)) return;
  if (hold_ms != 0 && hold_answer(met, hold_ms)) return;
  send(Side::wan, seg);
}

// The bound on answers has let it go: it goes when its time has come. False: the calendar is full, so it goes now.
bool Pipeline::Impl::hold_answer(Handle h, uint32_t hold_ms) {
  if (!ask_again(h, hold_ms)) return false;
  count(Reason::syn_ack_held);
  flows_[h].set_repeats(flow::State32::kAnswerHeld);
  return true;
}

// A hold is shorter than what 16 bits tell apart.
bool Pipeline::Impl::answer_is_due_later(const flow::State32& s) const {
  static_assert(policy::kHoldCapMs < 32768);
  return s.answer_held() && static_cast<int16_t>(static_cast<uint16_t>(s.repeat_ms() - now_ms())) > 0;
}

// Its hold is over. If the server was learned anew or has gone down meanwhile there is nothing to promise: the SYN
// comes again, to whatever is true by then.
void Pipeline::Impl::release_answer(Handle h) {
  flow::State32& s = flows_[h];
  const defer::ServerProfile& profile = known_servers_[flows_.id(h).server].profile;
  if (!profile.ready() || (s.offered().bits & ParkedSynAck::kGeneration) >> 4 != profile.generation()) {
    enter(h, State::none);
    return;
  }
  count(Step{State::met, Verdict::release, Reason::deadline});
  s.set_repeats(0);
  send_syn_ack(h);
  ask_again(h, kAskAgainMs[0]);
}

// The handshake's ACK has not come: if it was lost nobody else would notice, for a client waits for the greeting. It is
// asked for as a server asks, but so seldom in all that forged SYNs make no reflector of us.
void Pipeline::Impl::repeat_syn_ack(Handle h) {
  flow::State32& s = flows_[h];
  const defer::ServerProfile& profile = known_servers_[flows_.id(h).server].profile;
  const ParkedSynAck offered = s.offered();
  if (now_ms() < pressed_until_ms_ + kFloodMs ||
      (offered.bits & ParkedSynAck::kGeneration) >> 4 != profile.generation())
    return;
  new_second();
  if (repeat_tokens_ == 0) {
    count(Reason::reflection_bound);
    return;
  }
  --repeat_tokens_;
  send_syn_ack(h);
  if (s.repeats() != 0) return;
  s.set_repeats(1);
  ask_again(h, kAskAgainMs[1]);
}

// From what the record has kept of the SYN.
void Pipeline::Impl::send_syn_ack(Handle h) {
  const flow::State32& s = flows_[h];
  const defer::ServerProfile& profile = known_servers_[flows_.id(h).server].profile;
  const ParkedSynAck offered = s.offered();
  std::array<uint8_t, wire::kSynOptions> options;
  wire::Segment seg = to_client(h);
  seg.flags = wire::kSyn | wire::kAck;
  seg.seq = s.server_isn;
  seg.ack = s.client_first();
  seg.window = profile.offer().window;
  wire::TcpOptions ours = answer_to(offered, profile.offer(), s.has(flow::kTimestamps));
  ours.tsval = clock_with(our_clock(h), offered);
  ours.tsecr = s.client_clock();
  seg.options = std::span{options}.first(wire::write_syn_options(ours, options));
  send(Side::wan, seg);
}

// No deadline, and no harm if the calendar is full, but for an answer that is held. False: it is.
bool Pipeline::Impl::ask_again(Handle h, uint32_t after_ms) {
  const uint64_t at = can_be_armed(now_ms() + after_ms);
  const uint64_t not_zero = static_cast<uint16_t>(at) != 0 ? at : can_be_armed(at + 1) == at ? at - 1 : at + 1;
  flows_[h].set_repeat_ms(not_zero);
  if (calendar_.arm(h, not_zero)) return true;
  count(Reason::calendar_full);
  return false;
}

// An ACK without an entry: if its number is one that we baked, its sender is real, and the flow begins here.
flow::Handle Pipeline::Impl::meet_by_cookie(const FrameRef& f, Column& c) {
  const wire::Headers& h = c.headers;
  if ((h.flags & (wire::kSyn | wire::kRst | wire::kAck)) != wire::kAck || c.id.server == 0) return flow::kNoFlow;
  const SourceClass source_class = class_of(h.source);
  if (!can_meet(f, c, source_class) || treatment(source_class).observe) return flow::kNoFlow;
  const defer::Handshake shake{h.source, h.destination, h.vlan.value, h.source_port, h.seq - 1};
  const auto opened = cookies_.open(shake, h.ack - 1, now_);
  if (!opened || !wire::checksums_valid(f.bytes(), h)) return flow::kNoFlow;
  const uint32_t path = path_of(f, h, false);
  if (path == 0) return flow::kNoFlow;
  const Handle handle = create(c, source_class, path);
  if (handle == flow::kNoFlow) return handle;
  enter(handle, State::met);
  flow::State32& s = flows_[handle];
  s.client_isn = shake.client_isn;
  s.server_isn = h.ack - 1;
  s.window() = h.window;
  const wire::TcpOptions o = wire::read_options(f.bytes(), h);
  s.set(flow::kTimestamps, o.has_timestamps);
  s.set_client_clock(o.tsval);
  ParkedSynAck offered{opened->mss, ParkedSynAck::kNoScale, 0};
  if (o.has_timestamps) offered = offered_by(o.tsecr, opened->mss);
  offered.bits = static_cast<uint8_t>(offered.bits | known_servers_[c.id.server].profile.generation() << 4);
  s.set_offered(offered);
  leash(handle);
  return handle;
}

}  // namespace mire::lcore
