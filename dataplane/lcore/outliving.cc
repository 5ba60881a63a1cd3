// Flows that outlive the process: written where they change, restored by the dataplane that comes after.
#include <algorithm>
#include <bit>

#include "dataplane/lcore/pipeline_impl.h"

namespace mire::lcore {

// Is it in numbers, or in a wait, that only we know?
bool Pipeline::Impl::outlives(Handle h) const {
  const flow::State32& s = flows_[h];
  switch (s.state) {
    case State::met:
    case State::deferred:
    case State::invited:
    case State::dialling: return true;
    case State::talking:
    case State::closing: return s.translated();
    case State::none:
    case State::syn_seen:
    case State::syn_ack_held:
    case State::syn_ack_sent:
    case State::waiting:
    case State::banner_held:
    case State::due:
    case State::greeted:
    case State::finished:
    case State::tombstone:
    case State::joined:
    case State::replied: return false;
  }
  return false;
}

defer::FlowName Pipeline::Impl::name_of(Handle h) const {
  const flow::FlowId id = flows_.id(h);
  return {id.client, endpoints_[id.server].address, endpoints_[id.server].vlan, id.port, 0};
}

void Pipeline::Impl::forget_kept(Handle h) {
  if (options_.keeper != nullptr) options_.keeper->forget(name_of(h));
}

// A dial is not kept: the client repeats its command, and its server is dialled again.
void Pipeline::Impl::keep(Handle h) {
  if (options_.keeper == nullptr || !outlives(h)) return;
  const flow::State32& s = flows_[h];
  // Of the unproven only so many: forged SYNs shall not take the places of those who are real.
  constexpr uint64_t kUnproven = 1000;
  if (s.state == State::met && counters_.flows[static_cast<size_t>(State::met)] > kUnproven) return;
  const defer::ServerProfile& profile = known_servers_[flows_.id(h).server].profile;
  const auto learned = profile.greeting() == 0 ? std::span<const uint8_t>{} : banners_.bytes(profile.greeting());
  auto greeting = learned;
  std::span<const uint8_t> teaser;
  if (s.state == State::deferred && s.sent() != 0) teaser = banners_.bytes(s.sent());
  if (s.state == State::invited) {
    greeting = banners_.bytes(s.sent());
    const bool teased = greeting.size() > learned.size() && std::ranges::equal(greeting.last(learned.size()), learned);
    if (teased) teaser = greeting.first(greeting.size() - learned.size());
    greeting = greeting.subspan(teaser.size());
  }
  if (learned.empty() || teaser.size() + greeting.size() > defer::Survivor::kGreeting) {
    count(Reason::not_kept);
    return;
  }
  defer::Survivor v;
  v.name = name_of(h);
  v.state = s.state;
  v.source_class = s.source_class;
  v.timestamps = s.has(flow::kTimestamps);
  v.generation = profile.generation();
  v.client_isn = s.client_isn;
  v.server_isn = s.server_isn;
  v.to_server = paths_[s.path].to_server;
  v.to_client = paths_[s.path].to_client;
  v.offer = profile.offer();
  v.greeting_length = static_cast<uint16_t>(teaser.size() + greeting.size());
  v.teaser_length = static_cast<uint16_t>(teaser.size());
  std::copy(greeting.begin(), greeting.end(), std::copy(teaser.begin(), teaser.end(), v.greeting.begin()));
  if (s.state == State::talking) {
    const DialogueRecord& r = dialogues_[s.dialogue()];
    v.translation = r.translation;
    v.greeted_to = r.greeted_to;
  } else {
    v.greeted_to = sent_to(h);
    v.client_clock = s.client_clock();
    v.offered = std::bit_cast<uint32_t>(s.offered());
    v.client_window = s.window();
    v.hold_ms = s.state == State::met ? uint16_t{0} : s.hold_ms;
    v.deadline_ms = now_ms() + static_cast<uint16_t>(s.due_ms() - now_ms());
  }
  if (!options_.keeper->keep(v)) count(Reason::not_kept);
}

void Pipeline::Impl::restore(const defer::Survivor& v, Time now) {
  expire(now);
  const uint32_t server = endpoint_for(v.name.server, wire::VlanStack{v.name.vlan}, true);
  if (server == 0) return;
  defer::ServerProfile& profile = known_servers_[server].profile;
  const auto whole = std::span{v.greeting}.first(v.greeting_length);
  if (profile.greeting() == 0) {
    const auto learned = whole.subspan(v.teaser_length);
    const uint32_t id = banners_.acquire(learned, static_cast<uint16_t>(learned.size()));
    if (id == 0) return;
    profile.restore(v.offer, v.generation, id, static_cast<uint32_t>(learned.size()));
  }
  Column c;
  c.id = {v.name.client, static_cast<uint16_t>(v.name.client_port), static_cast<uint16_t>(server)};
  c.probe = flows_.probe(c.id);
  if (flows_.find(c.id, c.probe) != flow::kNoFlow) return;
  const uint32_t dialogue = v.state == State::talking ? take_dialogue() : 0;
  const auto told = v.state == State::invited    ? whole
                    : v.state == State::deferred ? whole.first(v.teaser_length)
                                                 : whole.first(0);
  const uint32_t greeting = told.empty() ? 0 : banners_.acquire(told, v.greeting_length);
  const uint32_t path = paths_.acquire({v.to_server, v.to_client});
  const bool room = path != 0 && (dialogue != 0) == (v.state == State::talking) && (greeting != 0) == !told.empty();
  const Handle h = room ? create(c, v.source_class, path) : flow::kNoFlow;
  if (h == flow::kNoFlow) {
    if (path != 0 && !room) paths_.release(path);
    if (dialogue != 0) give_dialogue(dialogue);
    if (greeting != 0) banners_.release(greeting);
    return;
  }
  flow::State32& s = flows_[h];
  s.client_isn = v.client_isn;
  s.server_isn = v.server_isn;
  s.set(flow::kTimestamps, v.timestamps);
  enter(h, v.state);
  if (v.state != State::met) prove(h);
  if (v.state == State::talking) {
    // What the two have said since is not known: nothing of it is judged, all of it is translated.
    DialogueRecord& r = dialogues_[dialogue];
    r.dialogue.give_up();
    r.translation = v.translation;
    r.greeted_to = r.server_origin = v.greeted_to;
    r.client_origin = s.client_first();
    s.set(flow::kSpoke);
    s.set_dialogue(dialogue, true);
    s.set_server_next(v.greeted_to);
    s.set_client_next(s.client_first());
  } else {
    s.set_client_clock(v.client_clock);
    s.set_offered(std::bit_cast<flow::ParkedSynAck>(v.offered));
    s.window() = v.client_window;
    s.set_sent(greeting);
    if (v.state == State::met) {
      ask_again(h, 1000);  // its ACK may have come while nobody was there
      leash(h);
    } else if (v.state == State::invited) {
      s.set_tries(0);
      arm(h, 1000);
    } else {
      s.hold_ms = v.hold_ms;
      const uint64_t left = v.deadline_ms > now_ms() ? v.deadline_ms - now_ms() : 1;
      arm(h, std::min<uint64_t>(left, policy::kHoldCapMs));
    }
  }
  keep(h);
}

}  // namespace mire::lcore
