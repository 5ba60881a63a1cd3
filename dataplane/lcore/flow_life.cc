#include <algorithm>

#include "dataplane/lcore/pipeline_impl.h"

namespace mire::lcore {

// The class that counts now: the operator's list, and above it a running penalty.
policy::SourceClass Pipeline::Impl::class_at(const wire::Address& client, Time now) const {
  // A flow of an earlier dataplane was forgotten before settings came, or begins anew.
  if (settings_ == nullptr) return SourceClass::unknown;
  const SourceClass listed = settings_->classes.find(client).value_or(SourceClass::unknown);
  if (listed != SourceClass::known && listed != SourceClass::unknown) return listed;
  const auto* r = sources_.find(client);
  const bool penalised =
      (r != nullptr && source::SourceTable::penalised(*r, now)) || settings_->penalty_of(client, now) != nullptr;
  return penalised ? SourceClass::suspect : listed;
}

// The number of a protected server, made when it is named in the configuration or has answered; 0: unknown, or no room.
uint32_t Pipeline::Impl::endpoint_for(const wire::Address& server, wire::VlanStack vlan, bool answered) {
  const Endpoint e{server, vlan.value};
  if (const uint32_t id = endpoints_.find(e); id != 0) return id;
  // With no list every lan address is protected: a SYN to nowhere must not take a place, so the answer makes it.
  // Nor may one to a configured address on VLANs that nobody uses take more than half of them.
  if (!answered && (settings_->protect.empty() || endpoints_.size() >= endpoints_.capacity() / 2)) return 0;
  const uint32_t id = endpoints_.acquire(e);  // never released: there are as many as there are servers
  if (id == 0) {
    count(Reason::server_table_full);
    return 0;
  }
  if (settings_ == nullptr) return id;
  known_servers_[id] = facts_of(server);
  heed(id);
  if (const auto kept = settings_->profiles.find({server, vlan.value}); kept != settings_->profiles.end())
    recall(id, kept->second);
  return id;
}

uint32_t Pipeline::Impl::path_of(const FrameRef& f, const wire::Headers& h, bool from_server) {
  const wire::LinkHeader seen = wire::LinkHeader::of(f.bytes(), h);
  const LinkPath path = from_server ? LinkPath{seen.reversed(), seen} : LinkPath{seen, seen.reversed()};
  const uint32_t id = paths_.acquire(path);
  if (id == 0) count(Reason::path_table_full);
  return id;
}

// The way back need not be the way there mirrored (routers with a virtual MAC): take the server's word for it.
void Pipeline::Impl::see_server_path(const FrameRef& f, const wire::Headers& h, flow::State32& s) {
  const wire::LinkHeader seen = wire::LinkHeader::of(f.bytes(), h);
  const LinkPath& known = paths_[s.path];
  if (known.to_client == seen) return;
  const uint32_t id = paths_.acquire({known.to_server, seen});
  if (id == 0) {
    count(Reason::path_table_full);
    return;
  }
  paths_.release(s.path);
  s.path = static_cast<uint16_t>(id);
}

// Takes over one use of `path`. kNoFlow: no room anywhere near; counted.
flow::Handle Pipeline::Impl::create(const Column& c, SourceClass source_class, uint32_t path) {
  Handle h = flows_.insert(c.id, c.probe);
  if (h == flow::kNoFlow) {
    // Unanswered SYNs go first, then flows that are over or were never judged. Held ones and tombstones stay.
    Handle victim = flows_.victim(c.probe, [](const flow::State32& s) {
      return s.state == State::syn_seen || s.state == State::syn_ack_sent || s.state == State::met;
    });
    if (victim == flow::kNoFlow)
      victim = flows_.victim(c.probe, [this](const flow::State32& s) {
        return (s.state == State::closing && !is_translated(s)) || s.state == State::joined ||
               s.state == State::replied;
      });
    if (victim != flow::kNoFlow) {
      count(Reason::evicted);
      end_report(victim);
      depart(flows_.id(victim));
      erase(victim);
      h = flows_.insert(c.id, c.probe);
    }
  }
  if (h == flow::kNoFlow) {
    count(Reason::table_full);
    depart(c.id);
    paths_.release(path);
    return h;
  }
  flow::State32& s = flows_[h];
  s.path = static_cast<uint16_t>(path);
  s.source_class = source_class;
  s.epoch = epoch_;
  s.set_seen_second(now_second());
  ++counters_.flows[static_cast<size_t>(State::none)];  // enter() moves it on
  return h;
}

void Pipeline::Impl::erase(Handle h) {
  flow::State32& s = flows_[h];
  if (outlives(h)) forget_kept(h);
  drop_payload_refs(h);
  leave_sources(h);
  paths_.release(s.path);
  --counters_.flows[static_cast<size_t>(s.state)];
  flows_.erase(h);
}

void Pipeline::Impl::leave_sources(Handle h) {
  flow::State32& s = flows_[h];
  if (!s.has(flow::kProven)) return;
  s.set(flow::kProven, false);
  sources_.closed(flows_.id(h).client);
}

// What word_c names in this state goes back to its room.
void Pipeline::Impl::drop_payload_refs(Handle h) {
  flow::State32& s = flows_[h];
  switch (s.state) {
    case State::banner_held:
    case State::greeted:
      if (s.banner() != 0) banners_.release(s.banner());
      break;
    case State::talking:
    case State::closing:
      if (s.dialogue() != 0) give_dialogue(s.dialogue());
      break;
    case State::deferred:
    case State::invited:
    case State::replied:
      if (s.sent() != 0) banners_.release(s.sent());
      s.set_sent(0);
      break;
    case State::dialling: {
      const uint32_t d = s.sent();
      end_dial(h);
      s.set_sent(0);
      if (!dialogues_[d].queued) {  // else whoever comes to it takes it out of the queue
        give_dialogue(d);
        dial_next(flows_.id(h).server);
      }
      break;
    }
    case State::none:
    case State::syn_seen:
    case State::syn_ack_held:
    case State::syn_ack_sent:
    case State::waiting:
    case State::due:
    case State::finished:
    case State::tombstone:
    case State::joined:
    case State::met: break;
  }
  s.word_c = 0;
}

// 0: none is left; counted.
uint32_t Pipeline::Impl::take_dialogue() {
  const uint32_t d = free_dialogue_;
  if (d == 0) {
    count(Reason::dialogue_pool_full);
  } else {
    free_dialogue_ = dialogues_[d].next;
  }
  return d;
}

void Pipeline::Impl::give_dialogue(uint32_t d) {
  dialogues_[d] = {};
  dialogues_[d].next = free_dialogue_;
  free_dialogue_ = d;
}

// An unproven flow takes its place among those; the oldest may have to give way for it.
void Pipeline::Impl::leash(Handle h) {
  constexpr uint64_t kPressureMs = 1000;
  const Handle oldest = flows_.leash(h);
  if (oldest == flow::kNoFlow) return;
  count(Reason::syn_share_full);
  pressed_until_ms_ = now_ms() + kPressureMs;
  depart(flows_.id(oldest));
  erase(oldest);
}

DialogueRecord* Pipeline::Impl::dialogue_of(const flow::State32& s) {
  const bool may = s.state == State::talking || s.state == State::closing;
  return may && s.dialogue() != 0 ? &dialogues_[s.dialogue()] : nullptr;
}

// On the way to talking: the dialogue's offsets count from the end of the greeting, or that is still to be found if the
// client spoke before it.
void Pipeline::Impl::begin_dialogue(flow::State32& s) {
  const bool known = s.state == State::greeted && s.has(flow::kEndKnown);
  if (!known && !s.has(flow::kSpoke)) return;  // no greeting that we can read, or none of interest
  const uint32_t d = take_dialogue();
  if (d == 0) return;
  DialogueRecord& r = dialogues_[d];
  r.client_origin = s.client_first();
  r.server_origin = known ? s.greeting_end() : s.server_first();
  r.greeting_open = !known;
  s.set_dialogue(d);
}

// The one place where a flow's state changes. Keeps the words of the record in step with it.
void Pipeline::Impl::change(Handle h, State next) {
  flow::State32& s = flows_[h];
  const State was = s.state;
  if (next == State::none) {
    end_report(h);
    erase(h);
    return;
  }
  const bool kept = outlives(h);
  const bool unread = was == State::waiting || was == State::banner_held || was == State::syn_ack_sent;
  const bool followed = was == State::talking && next == State::closing;
  const bool keeps_banner =
      (was == State::banner_held && next == State::greeted) ||
      ((was == State::due || was == State::waiting) && (next == State::greeted || next == State::banner_held));
  const bool met_on = flow::is_meeting(was) && (flow::is_meeting(next) || next == State::talking);  // they see to it
  if (!followed && !keeps_banner && !met_on) drop_payload_refs(h);
  if (was == State::invited || (was == State::deferred && next != State::invited)) s.set(flow::kReadWhole, false);
  if (was == State::met && next == State::deferred) s.set_sent(0);  // no longer how often the SYN-ACK was repeated
  if (flow::knows_forgiven(was) && !flow::knows_forgiven(next)) s.set(flow::kForgiven, false);

  switch (next) {
    case State::due:
    case State::greeted:
      // Up to here word_a and word_b were the server's timestamps.
      if (unread) {
        s.set_server_next(s.server_first());
        s.set_greeting_end({});
        s.set(flow::kEndKnown, false);
      }
      break;
    case State::talking:
      if (was == State::dialling) break;  // join() knows the numbers
      if (unread) s.set_server_next(s.server_first());
      begin_dialogue(s);
      s.set_client_next(s.client_first());
      break;
    case State::tombstone:
      s.set_answered_second(0);
      end_report(h);
      leave_sources(h);
      break;
    case State::finished:
      end_report(h);
      leave_sources(h);
      break;
    case State::closing:
      if (was != State::talking) s.set_client_next(s.client_first());
      break;
    case State::none:
    case State::syn_seen:
    case State::syn_ack_held:
    case State::syn_ack_sent:
    case State::waiting:
    case State::banner_held:
    case State::joined:
    case State::met:
    case State::deferred:
    case State::invited:
    case State::dialling:
    case State::replied: break;
  }
  --counters_.flows[static_cast<size_t>(was)];
  ++counters_.flows[static_cast<size_t>(next)];
  s.state = next;
  if (kept && !outlives(h)) forget_kept(h);
  if (!flow::has_deadline(next)) s.set_seen_second(now_second());
}

uint32_t Pipeline::Impl::hold_of(policy::HoldRange range, uint32_t lot) noexcept {
  const uint64_t width = range.max_ms - range.min_ms + 1u;
  const auto drawn = static_cast<uint32_t>(range.min_ms + ((lot * width) >> 32));
  return drawn == 0 ? 1 : drawn;
}

// Never early: the millisecond in which the hold is over.
uint64_t Pipeline::Impl::deadline_after(uint32_t hold_ms) const noexcept {
  return to_ms(now_ + milliseconds{hold_ms} + (milliseconds{1} - Duration{1}));
}

void Pipeline::Impl::begin_hold(Handle h, policy::HoldRange range) {
  MIRE_ASSERT(range.min_ms <= range.max_ms && range.max_ms <= policy::kHoldCapMs && range.max_ms != 0);
  flow::State32& s = flows_[h];
  MIRE_ASSERT(flow::hold_runs(s.state));
  const uint32_t drawn = hold_of(range, lots_.draw());
  const uint64_t deadline = deadline_after(drawn);
  s.hold_ms = static_cast<uint16_t>(drawn);
  s.set_due_ms(deadline);
  if (calendar_.arm(h, deadline)) return;
  count(Reason::calendar_full);
  end_hold(h, Reason::calendar_full);
}

// How long the hold has run, from the handshake's ACK on. The deadline is known to 65 s, a hold is at most 30.
uint32_t Pipeline::Impl::ran_ms(const flow::State32& s) const {
  if (!flow::hold_runs(s.state)) return 0;
  const auto left = static_cast<int16_t>(static_cast<uint16_t>(s.due_ms() - now_ms()));
  return static_cast<uint32_t>(std::max(0, int{s.hold_ms} - left));
}

// A FIN has passed. With both of them the dialogue is over, and the log may say so.
void Pipeline::Impl::saw_fin(Handle h, flow::Flag whose) {
  if (!flows_.used(h)) return;
  flow::State32& s = flows_[h];
  if (!flow::knows_client_fin(s.state)) return;
  s.set(whose);
  if (!s.has(flow::kServerFin) || !s.has(flow::kClientFin)) return;
  end_report(h);
  leave_sources(h);  // over, though the entry stays for the last repetitions
}

// Frames went past us since the flow began, and it is not yet talking: whatever we believe of it may be wrong.
void Pipeline::Impl::distrust(Handle h) {
  flow::State32& s = flows_[h];
  s.epoch = epoch_;
  switch (s.state) {
    case State::banner_held:
    case State::syn_ack_held:
      end_hold(h, Reason::released_on_bypass);
      if (flows_.used(h)) enter(h, State::joined);
      return;
    case State::syn_seen:
    case State::syn_ack_sent:
    case State::waiting:
    case State::due:
    case State::greeted: enter(h, State::joined); return;
    // What the keeper has is dropped rather than passed while nobody judges. Without one the server was told nothing of
    // it, or not enough: to what went past us it has answered by a reset.
    case State::dialling:
      if (options_.keeper != nullptr) return;
      if (!dialled(s).queued) reset_server(h, s.client_first());
      enter(h, State::none);
      return;
    case State::met:
    case State::deferred:
    case State::invited:
      if (options_.keeper == nullptr) enter(h, State::none);
      return;
    case State::none:
    case State::talking:
    case State::closing:
    case State::finished:
    case State::tombstone:
    case State::replied:
    case State::joined: return;
  }
}

void Pipeline::Impl::offer(const mailbox::FlowEvent& e) {
  if (!events_.offer(e)) ++counters_.events_lost;
}

void Pipeline::Impl::report(Handle h, State at, policy::Verdict verdict, Reason reason, uint32_t hold_ms,
                            std::span<const uint8_t> bytes, Duration penalty) {
  const flow::State32& s = flows_[h];
  const flow::FlowId id = flows_.id(h);
  mailbox::FlowEvent e;
  e.time_ns = static_cast<uint64_t>(now_.time_since_epoch().count());
  e.client = id.client;
  e.server = endpoints_[id.server].address;
  e.vlan = endpoints_[id.server].vlan;
  e.penalty_ms = static_cast<uint64_t>(penalty / milliseconds{1});
  if (penalty != Duration{}) e.offences = static_cast<uint8_t>(std::min(sources_.find(id.client)->offences, 255u));
  e.hold_ms = hold_ms;
  e.client_port = id.port;
  e.source_class = s.source_class;
  e.state = at;
  e.verdict = verdict;
  e.reason = reason;
  e.observed = s.has(flow::kWouldReset) ? 1 : 0;
  e.lcore = options_.lcore;
  if (const DialogueRecord* d = dialogue_of(s)) e.accepted = d->dialogue.accepted();
  e.bytes_length = static_cast<uint8_t>(std::min(bytes.size(), e.first_bytes.size()));
  std::copy_n(bytes.begin(), e.bytes_length, e.first_bytes.begin());
  offer(e);
}

// What the log says when a proven flow ends.
void Pipeline::Impl::end_report(Handle h) {
  flow::State32& s = flows_[h];
  if (!s.has(flow::kProven) || s.has(flow::kReported)) return;
  s.set(flow::kReported);
  switch (s.state) {
    case State::syn_ack_sent:  // a FIN on the handshake's ACK
    case State::waiting:
    case State::deferred:
    case State::banner_held: report(h, s.state, policy::Verdict::finish, Reason::gave_up, ran_ms(s)); return;
    case State::due:
    case State::invited:
    case State::greeted: report(h, s.state, policy::Verdict::pass, Reason::no_data); return;
    case State::talking:
    case State::closing: {
      const DialogueRecord* d = dialogue_of(s);
      const bool delivered = d != nullptr && d->dialogue.accepted() != 0;
      if (delivered) count(Reason::delivered);
      if (delivered && s.has(flow::kWouldReset))
        ++(policy::would_block(treatment(s.source_class)) ? counters_.would_have.blocked_delivered
                                                          : counters_.would_have.reset_delivered);
      const Reason spoke = s.has(flow::kSpoke) ? Reason::closing : Reason::no_data;
      report(h, s.state, policy::Verdict::pass, delivered ? Reason::delivered : spoke);
      return;
    }
    case State::none:
    case State::syn_seen:
    case State::syn_ack_held:
    case State::finished:
    case State::tombstone:
    case State::joined:
    case State::met:
    case State::dialling:
    case State::replied: return;
  }
}

RoomsInUse Pipeline::Impl::rooms_in_use() const {
  RoomsInUse n;
  n.flows = flows_.size();
  n.paths = paths_.size();
  n.parked = banners_.size();
  std::vector<uint32_t> learned;
  for (const ServerFacts& s : known_servers_) {
    n.dials += s.profile.dialling();
    for (const uint32_t id : {s.profile.greeting(), s.profile.learned_greeting()})
      if (id != 0) learned.push_back(id);
  }
  std::sort(learned.begin(), learned.end());
  n.parked -= static_cast<uint32_t>(std::unique(learned.begin(), learned.end()) - learned.begin());
  n.dialogues = static_cast<uint32_t>(dialogues_.size()) - 1;
  for (uint32_t d = free_dialogue_; d != 0; d = dialogues_[d].next) --n.dialogues;
  return n;
}

std::optional<SourceView> Pipeline::Impl::find_source(const wire::Address& client, Time now) const {
  if (settings_ == nullptr) return std::nullopt;
  const auto* r = sources_.find(client);
  const auto* kept = settings_->penalty_of(client, now);
  if (r == nullptr && kept == nullptr && !settings_->classes.find(client)) return std::nullopt;
  SourceView v;
  v.source_class = class_at(client, now);
  if (kept != nullptr) {
    v.offences = kept->offences;
    v.penalty_left = kept->until - now;
  }
  if (r == nullptr) return v;
  v.live_flows = r->live;
  v.opened_this_minute = source::SourceTable::opened_this_minute(*r, now);
  v.offences = std::max(v.offences, r->offences);
  if (source::SourceTable::penalised(*r, now))
    v.penalty_left = seconds{r->penalty_until - source::SourceTable::second(now)};
  return v;
}

}  // namespace mire::lcore
