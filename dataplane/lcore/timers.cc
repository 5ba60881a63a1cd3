#include "dataplane/lcore/pipeline_impl.h"
#include "dataplane/smtp/greeting.h"

namespace mire::lcore {

using policy::Verdict;

namespace {
constexpr uint32_t kSweepMs = 16'384;  // every flow is looked at once in so long

// Seconds of silence after which a flow in this state is forgotten. Whoever speaks later is passed as joined
// mid-stream.
uint16_t patience(policy::State s) noexcept {
  using policy::State;
  switch (s) {
    case State::syn_seen: return 75;  // Linux repeats a SYN-ACK for 63 s
    case State::met: return 75;       // and its client a SYN, which is answered anew
    case State::replied: return 60;
    case State::syn_ack_sent: return 150;  // the ACK of a SYN cookie is good for two minutes
    case State::due:
    case State::greeted: return 330;  // RFC 5321 4.5.3.2.1: 5 min for the greeting
    case State::talking:
    case State::joined: return 930;  // RFC 5321 4.5.3.2.6: 10 min after the final dot
    case State::closing: return 30;
    case State::finished:
    case State::tombstone: return 150;  // the life of a SYN cookie, and more
    case State::none:
    case State::syn_ack_held:
    case State::waiting:
    case State::banner_held:
    case State::deferred:
    case State::invited:
    case State::dialling: return UINT16_MAX;  // these have a deadline
  }
  return UINT16_MAX;
}

// Can its two ends be connected still, though nothing was heard of them for so long?
bool may_go_on(const flow::State32& s) noexcept {
  using policy::State;
  if (s.state == State::closing) return !s.has(flow::kServerFin) || !s.has(flow::kClientFin);
  return s.state == State::due || s.state == State::greeted || s.state == State::talking || s.state == State::joined;
}
}  // namespace

void Pipeline::Impl::expire(Time now) {
  begin_turn(now);
  if (!started_) {
    calendar_.start(now_ms());
    swept_ms_ = now_ms();
    started_ = true;
  }
  calendar_.expire(
      now_ms(), [this](uint32_t h, uint64_t ms) { due(h, ms); }, [this](uint32_t h) { flows_.prefetch_at(h); });
  sweep();
}

void Pipeline::Impl::due(Handle h, uint64_t deadline_ms) {
  // Cancelled timers are not taken out: the flow may be another one by now, or its hold another one.
  if (!flows_.used(h)) return;
  const flow::State32& s = flows_[h];
  if (s.state == State::met && s.repeat_ms() == static_cast<uint16_t>(deadline_ms)) {
    s.answer_held() ? release_answer(h) : repeat_syn_ack(h);
    return;
  }
  if (!flow::has_deadline(s.state) || s.due_ms() != static_cast<uint16_t>(deadline_ms)) return;
  if (!flow::hold_runs(s.state)) {
    meeting_due(h);
    return;
  }
  const uint64_t late = now_ms() - deadline_ms;
  if (late < 60'000 && late > counters_.late_ms_max) counters_.late_ms_max = late;
  end_hold(h, Reason::deadline);
}

// Ends what is held of a flow: parked numbers or bytes go out, a wait without anything parked is over.
void Pipeline::Impl::end_hold(Handle h, Reason reason) {
  flow::State32& s = flows_[h];
  MIRE_ASSERT(flow::hold_runs(s.state));
  const Step st = policy::step(s.state, Event::deadline, treatment(s.source_class));
  count(reason == Reason::deadline ? st.reason : reason);
  ++counters_.verdicts[static_cast<size_t>(st.verdict)];
  const State at = s.state;
  const uint32_t held_ms = ran_ms(s);
  if (at == State::syn_ack_held) {
    release_syn_ack(h);
    enter(h, st.next);
    return;
  }
  if (at == State::waiting) {
    enter(h, st.next);
    return;
  }
  if (at == State::deferred) {
    ++counters_.releases;
    counters_.hold_ms_sum += held_ms;
    report(h, at, Verdict::release, reason, held_ms);
    invite(h);
    return;
  }
  const auto scan = smtp::scan_greeting(banners_.bytes(s.banner()));
  const uint32_t length = release_greeting(h);
  ++counters_.releases;
  counters_.hold_ms_sum += held_ms;
  report(h, at, Verdict::release, reason, held_ms);
  enter(h, st.next);
  flow::State32& g = flows_[h];
  g.set_server_next(g.server_first() + length);
  if (scan.result == smtp::GreetingResult::ready) {
    g.set_greeting_end(g.server_first() + static_cast<uint32_t>(scan.end));
    g.set(flow::kEndKnown);
    banners_.release(g.banner());
    g.set_banner(0);
  }
  if (g.has(flow::kServerFin)) enter(h, State::closing);
}

void Pipeline::Impl::release_all(Time now) {
  now_ = now;
  stopping_ = true;
  if (!started_) return;
  calendar_.drain([this](uint32_t h, uint64_t ms) {
    if (!flows_.used(h)) return;
    const flow::State32& s = flows_[h];
    if (flow::hold_runs(s.state) && s.due_ms() == static_cast<uint16_t>(ms)) end_hold(h, Reason::released_on_stop);
  });
  calendar_.start(now_ms());
}

void Pipeline::Impl::bypassed() {
  went_past();
  if (++epoch_ != 0) return;
  // The small number has come round: whoever was begun under the old zero must not look current.
  flows_.sweep(1, [this](Handle h) {
    if (flows_[h].epoch == 0) flows_[h].epoch = 1;
    if (flows_[h].epoch != epoch_) distrust(h);
  });
}

std::optional<Time> Pipeline::Impl::next_deadline() const {
  const auto ms = calendar_.next(10);
  return ms ? std::optional{from_ms(*ms)} : std::nullopt;
}

// Looks at a part of all flows, such that each is seen every kSweepMs.
void Pipeline::Impl::sweep() {
  const uint64_t passed = now_ms() - swept_ms_;
  if (passed < 16) return;
  swept_ms_ = now_ms();
  const auto parts = static_cast<uint32_t>(kSweepMs / std::min<uint64_t>(passed, kSweepMs));
  flows_.sweep(parts, [this](Handle h) { forget_if_silent(h); });
  sources_.sweep(now_);
  if (options_.keeper != nullptr) options_.keeper->beat(now_);
}

void Pipeline::Impl::forget_if_silent(Handle h) {
  const flow::State32& s = flows_[h];
  if (flow::has_deadline(s.state)) {
    // The calendar had no room for it: looked after now. Of the 65.5 s that the record's number tells apart at most 40
    // lie ahead; what is 2 s to a sweep old was missed.
    constexpr uint16_t kAheadMs = 45'000, kLateMs = 2000;
    const auto left = static_cast<uint16_t>(s.due_ms() - now_ms());
    if (!flow::hold_runs(s.state) && left > kAheadMs && left < 65536 - kLateMs) meeting_due(h);
    return;
  }
  const auto silent = static_cast<uint16_t>(static_cast<uint16_t>(now_second()) - s.seen_second());
  if (silent < patience(is_translated(s) ? State::talking : s.state)) return;
  count(Reason::idle);
  end_report(h);
  if (may_go_on(s) && !s.translated()) depart(flows_.id(h));  // translated, the two cannot go on without us
  erase(h);
}

}  // namespace mire::lcore
