// The server's side of a flow that we met ourselves: whose turn it is to be dialled, the handshake in the client's
// name, the greeting that is swallowed, and the moment from which on both sides talk with each other.
#include <algorithm>

#include "dataplane/lcore/pipeline_impl.h"
#include "dataplane/smtp/greeting.h"

namespace mire::lcore {

using flow::ParkedSynAck;
using policy::Verdict;
using wire::SeqNo;

namespace {

// A dial that waits asks once a second whether its turn has come, for so many seconds.
constexpr uint16_t kTurnMs = 1000, kTurns = 30;

// How long a server that has answered may take to greet: 40 s. Until it does it gets the handshake's ACK again from
// time to time: one that answered by a SYN cookie would not ask for it.
constexpr std::array<uint16_t, 5> kWelcomeSteps = {1000, 2000, 4000, 8000, 25'000};

}  // namespace

// Keeps the client's first words, in order and from their beginning, as far as they fit: TCP repeats the rest. False:
// no room, or not the beginning; TCP repeats all of it.
bool Pipeline::Impl::keep_words(const FrameRef& f, const Column& c, Handle h) {
  const wire::Headers& hdr = c.headers;
  const SeqNo first = flows_[h].client_first();
  if (hdr.seq > first) return false;
  auto words = payload(f, hdr).subspan(static_cast<size_t>(first - hdr.seq));
  words = words.first(std::min(words.size(), hold::BannerPool::kLargest));
  const uint32_t id = banners_.acquire(words, static_cast<uint16_t>(words.size()));
  if (id == 0) {
    count(Reason::banner_pool_full);
    return false;
  }
  const uint32_t d = take_dialogue();
  if (d == 0) {
    banners_.release(id);
    return false;
  }
  const SeqNo greeted_to = sent_to(h);
  banners_.release(flows_[h].sent());
  enter(h, State::dialling);
  flow::State32& s = flows_[h];
  s.set_sent(d);
  DialogueRecord& r = dialogues_[d];
  r = {};
  r.client_origin = first;
  r.greeted_to = greeted_to;
  r.words = id;
  r.flow = h;
  return true;
}

// --- turns -----------------------------------------------------------------------------------------------------------

// Each lcore keeps its own pace: what is configured is what all of them do together.
policy::Pace Pipeline::Impl::pace_of(const ServerFacts& server) const noexcept {
  const policy::Pace until_configured;
  const policy::Pace& whole = server.strangers       ? *server.strangers
                              : settings_ != nullptr ? settings_->strangers
                                                     : until_configured;
  return policy::share_of(whole, options_.lcore, options_.lcores);
}

void Pipeline::Impl::begin_dial(Handle h) {
  const uint16_t server = flows_.id(h).server;
  ServerFacts& facts = known_servers_[server];
  const uint32_t d = flows_[h].sent();
  dialogues_[d].queued = true;
  dialogues_[d].next = 0;
  if (facts.dials.last != 0) dialogues_[facts.dials.last].next = d;
  facts.dials.last = d;
  if (facts.dials.first == 0) facts.dials.first = d;
  dial_next(server);
  if (!dialogues_[d].queued) return;
  count(Reason::dial_waits);
  flows_[h].set_tries(0);
  arm(h, kTurnMs);
}

// Whoever has waited longest, as far as the pace allows. Those who left the queue meanwhile are only taken out of it.
void Pipeline::Impl::dial_next(uint16_t server) {
  ServerFacts& facts = known_servers_[server];
  while (facts.dials.first != 0) {
    const uint32_t d = facts.dials.first;
    DialogueRecord& r = dialogues_[d];
    const bool left = r.flow == flow::kNoFlow;
    if (!left && !facts.profile.may_dial(pace_of(facts), now_)) return;
    facts.dials.first = r.next;
    if (facts.dials.first == 0) facts.dials.last = 0;
    r.queued = false;
    if (left) {
      give_dialogue(d);
    } else {
      dial(r.flow);
    }
  }
}

void Pipeline::Impl::dial(Handle h) {
  known_servers_[flows_.id(h).server].profile.dialled(now_);
  flows_[h].set_tries(0);
  send_syn(h);
  arm(h, kDialSteps[0]);
}

// The client's own SYN, as it would have come to the server.
void Pipeline::Impl::send_syn(Handle h) {
  const flow::State32& s = flows_[h];
  const ParkedSynAck o = s.offered();
  wire::TcpOptions its;
  its.has_mss = o.mss != 0;
  its.mss = o.mss;
  its.sack_permitted = (o.bits & ParkedSynAck::kSack) != 0;
  its.has_timestamps = s.has(flow::kTimestamps);
  its.tsval = s.client_clock();
  its.has_window_scale = o.window_scale != ParkedSynAck::kNoScale;
  its.window_scale = o.window_scale;
  std::array<uint8_t, wire::kSynOptions> options;
  const uint32_t scale = o.window_scale == ParkedSynAck::kNoScale ? 0 : o.window_scale;
  wire::Segment seg = to_server(h);
  seg.flags = wire::kSyn;
  seg.seq = s.client_isn;
  seg.window =
      static_cast<uint16_t>(std::min<uint32_t>(65535, uint32_t{s.window()} << scale));  // never scaled in a SYN
  seg.options = std::span{options}.first(wire::write_syn_options(its, options));
  send(Side::lan, seg);
}

// Leaves the dial, whatever came of it: its references go back, and the next one has its turn.
void Pipeline::Impl::end_dial(Handle h) {
  const uint32_t d = flows_[h].sent();
  DialogueRecord& r = dialogues_[d];
  if (r.words != 0) banners_.release(std::exchange(r.words, 0));
  if (r.greeting != 0) banners_.release(std::exchange(r.greeting, 0));
  r.flow = flow::kNoFlow;
  if (!r.queued) known_servers_[flows_.id(h).server].profile.dial_ended();
}

// Time for what a dialling flow waits for: its turn, the server's answer, the server's greeting. False: long enough.
bool Pipeline::Impl::wait_on(Handle h) {
  const uint32_t d = flows_[h].sent();
  const auto tries = static_cast<uint16_t>(flows_[h].tries() + 1);
  if (dialogues_[d].queued) {
    if (tries >= kTurns) return false;
    flows_[h].set_tries(tries);
    arm(h, kTurnMs);
    dial_next(flows_.id(h).server);
    return true;
  }
  const bool answered = dialogues_[d].answered;
  if (tries >= (answered ? kWelcomeSteps.size() : kDialSteps.size())) return false;
  flows_[h].set_tries(tries);
  answered ? acknowledge_server(h) : send_syn(h);
  arm(h, answered ? kWelcomeSteps[tries] : kDialSteps[tries]);
  return true;
}

// It refused, or did not answer. Strangers see that for themselves until it answers again.
void Pipeline::Impl::give_up_dial(Handle h) {
  const DialogueRecord& r = dialled(flows_[h]);
  if (!r.queued) {
    if (!r.answered) known_servers_[flows_.id(h).server].profile.went_down();
    reset_server(h, flows_[h].client_first());
  }
}

// --- segments of the server ------------------------------------------------------------------------------------------

void Pipeline::Impl::on_met_server(FrameRef& f, Column& c, Handle h) {
  f.fate = Fate::drop;
  flow::State32& s = flows_[h];
  if (s.state == State::dialling && !dialled(s).queued) {
    on_dialled(f, c, h);
    return;
  }
  count(policy::step(s.state, Event::server_data, treatment(s.source_class)));
  // A connection of the same name that it has and we do not know, or one that it was made to forget.
  if ((c.headers.flags & (wire::kRst | wire::kAck)) == wire::kAck && wire::checksums_valid(f.bytes(), c.headers))
    reset_server(h, c.headers.ack);
}

void Pipeline::Impl::on_dialled(FrameRef& f, Column& c, Handle h) {
  const wire::Headers& hdr = c.headers;
  if (!wire::checksums_valid(f.bytes(), hdr)) {
    count(Reason::bad_checksum);
    return;
  }
  const flow::State32& s = flows_[h];
  const DialogueRecord& r = dialled(s);
  Event e = flow::classify_dialled({s.client_first(), r.answered, r.server_isn, r.server_next}, hdr);
  if (e == Event::syn_ack) e = take_syn_ack(f, c, h);
  if (e == Event::greeting_part) e = read_dialled_greeting(f, c, h);
  const Step st = policy::step(State::dialling, e, treatment(s.source_class));
  count(st);
  switch (st.verdict) {
    case Verdict::answer:
      if (hdr.sequence_length() != 0 && (hdr.flags & wire::kRst) == 0) acknowledge_server(h);
      return;
    case Verdict::join: join(h); return;
    case Verdict::reply: {
      if (e == Event::server_reset)
        known_servers_[flows_.id(h).server].profile.went_down();
      else
        reset_server(h, s.client_first());
      if (e == Event::greeting_unreadable) known_servers_[flows_.id(h).server].profile.forget();
      const bool refused = st.reason == Reason::greeting_refused;
      if (refused) std::copy_n(banners_.bytes(r.greeting).begin(), banners_.bytes(r.greeting).size(), scratch_.begin());
      const auto text = refused ? std::span<const uint8_t>{scratch_}.first(banners_.bytes(r.greeting).size())
                                : std::span<const uint8_t>{};
      report(h, State::dialling, st.verdict, st.reason);
      flows_[h].set(flow::kReported);
      reply(h, nullptr, st.reason, text);
      return;
    }
    case Verdict::drop:
      if (e == Event::syn_ack_other && (hdr.flags & (wire::kRst | wire::kAck)) == wire::kAck)
        reset_server(h, hdr.ack);  // its older connection of this name (RFC 9293 3.10.7.3); our SYN comes again
      return;
    case Verdict::pass:
    case Verdict::hold:
    case Verdict::release:
    case Verdict::reset:
    case Verdict::finish:
    case Verdict::count:
    case Verdict::dial: MIRE_ASSERT(false); return;
  }
}

// The server answers. What it offers must be what the client was promised in its name.
policy::Event Pipeline::Impl::take_syn_ack(const FrameRef& f, const Column& c, Handle h) {
  flow::State32& s = flows_[h];
  DialogueRecord& r = dialled(s);
  const wire::TcpOptions o = wire::read_options(f.bytes(), c.headers);
  defer::ServerProfile& profile = known_servers_[flows_.id(h).server].profile;
  const ParkedSynAck offered = s.offered();
  const bool same = (offered.bits & ParkedSynAck::kGeneration) >> 4 == profile.generation();
  if (!same || !defer::keeps_promise(o, answer_to(offered, profile.offer(), s.has(flow::kTimestamps))))
    return Event::greeting_unreadable;
  see_server_path(f, c.headers, s);
  r.answered = true;
  r.server_isn = c.headers.seq;
  r.server_next = c.headers.seq + 1;
  r.server_clock = o.tsval;
  r.translation.clock = s.has(flow::kTimestamps) ? our_clock(h) - o.tsval : 0;
  s.set_tries(0);
  arm(h, kWelcomeSteps[0]);
  return Event::syn_ack;
}

void Pipeline::Impl::acknowledge_server(Handle h) {
  const flow::State32& s = flows_[h];
  const DialogueRecord& r = dialled(s);
  wire::Segment seg = to_server(h);
  seg.flags = wire::kAck;
  seg.seq = s.client_first();
  seg.ack = r.server_next;
  seg.window = s.window();
  if (s.has(flow::kTimestamps)) seg.timestamps = wire::Timestamps{s.client_clock(), r.server_clock};
  send(Side::lan, seg);
}

// Swallows what is new of the server's own greeting.
policy::Event Pipeline::Impl::read_dialled_greeting(const FrameRef& f, const Column& c, Handle h) {
  flow::State32& s = flows_[h];
  DialogueRecord& r = dialled(s);
  const wire::Headers& hdr = c.headers;
  const auto fresh = payload(f, hdr).subspan(static_cast<size_t>(r.server_next - hdr.seq));
  const auto before = r.greeting == 0 ? std::span<const uint8_t>{} : banners_.bytes(r.greeting);
  if (before.size() + fresh.size() > scratch_.size()) return Event::greeting_unreadable;
  std::copy(before.begin(), before.end(), scratch_.begin());
  std::copy(fresh.begin(), fresh.end(), scratch_.begin() + static_cast<ptrdiff_t>(before.size()));
  const std::span<const uint8_t> all{scratch_.data(), before.size() + fresh.size()};
  const uint16_t segment =
      std::max(hdr.payload_length, r.greeting == 0 ? uint16_t{0} : banners_.largest_segment(r.greeting));
  const uint32_t id = banners_.acquire(all, segment);
  if (id == 0) {
    count(Reason::banner_pool_full);
    return Event::nothing_new;  // not acknowledged: it comes again
  }
  if (r.greeting != 0) banners_.release(r.greeting);
  r.greeting = id;
  r.server_next = r.server_next + static_cast<uint32_t>(fresh.size());
  const wire::TcpOptions o = wire::read_options(f.bytes(), hdr);
  if (o.has_timestamps) r.server_clock = o.tsval;
  const auto scan = smtp::scan_greeting(all);
  switch (scan.result) {
    case smtp::GreetingResult::incomplete: return Event::greeting_part;
    case smtp::GreetingResult::ready:
      if (scan.end != all.size()) return Event::greeting_unreadable;  // it speaks before the client has
      learn_greeting(flows_.id(h).server, all, segment);
      return Event::greeting_end;
    case smtp::GreetingResult::refused:  // its line goes to the client: whole
      return all.back() == '\n' ? Event::greeting_refusal : Event::greeting_part;
    case smtp::GreetingResult::unjudgeable: return Event::greeting_unreadable;
  }
  return Event::greeting_unreadable;
}

// The client's words go on; from here on the two talk, and the numbers differ by constants.
void Pipeline::Impl::join(Handle h) {
  const uint32_t d = flows_[h].sent();
  DialogueRecord& r = dialogues_[d];
  const auto words = banners_.bytes(r.words);
  wire::Segment seg = to_server(h);
  seg.flags = wire::kAck | wire::kPsh;
  seg.seq = flows_[h].client_first();
  seg.ack = r.server_next;
  seg.window = flows_[h].window();
  if (flows_[h].has(flow::kTimestamps)) seg.timestamps = wire::Timestamps{flows_[h].client_clock(), r.server_clock};
  seg.payload = words;
  send(Side::lan, seg);

  r.translation.seq = static_cast<uint32_t>(r.greeted_to - r.server_next);
  r.client_origin = flows_[h].client_first();
  r.server_origin = r.greeted_to;
  const SeqNo client_next = r.client_origin + static_cast<uint32_t>(words.size());
  smtp::Findings findings;
  r.dialogue.client(words, 0, findings);
  end_dial(h);
  const uint16_t server = flows_.id(h).server;
  flows_[h].set_dialogue(d, true);
  enter(h, State::talking);
  flow::State32& s = flows_[h];
  s.set(flow::kSpoke);
  s.set_server_next(r.server_origin);
  s.set_client_next(client_next);
  keep(h);
  if (findings.unsynchronised != 0) {
    const Step st = policy::step(State::talking, Event::pipelined, treatment(s.source_class));
    count(st);
    report(h, State::talking, st.verdict, st.reason);
    if (st.verdict == Verdict::reset) {
      s.set(flow::kReported);
      reset_client(h, s.server_next());
      reset_server(h, client_next);
      enter(h, State::tombstone);
    }
  }
  dial_next(server);
}

std::optional<wire::Translation> Pipeline::Impl::translation_of(const flow::State32& s) {
  return s.translated() ? std::optional{dialogues_[s.dialogue()].translation} : std::nullopt;
}

// Would the two no longer understand each other without its entry? Not if both have closed.
bool Pipeline::Impl::is_translated(const flow::State32& s) {
  if (!s.translated()) return false;
  return s.state == State::talking || !s.has(flow::kServerFin) || !s.has(flow::kClientFin);
}

}  // namespace mire::lcore
