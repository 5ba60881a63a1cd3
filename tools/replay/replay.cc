#include "tools/replay/replay.h"

#include "dataplane/wire/parse.h"

namespace mire::replay {

using policy::Reason;
using policy::Verdict;

namespace {

source::Settings observing(source::Settings s) {
  s.observe = true;
  return s;
}

lcore::PipelineOptions options(uint64_t seed) {
  lcore::PipelineOptions o;
  o.seed = seed;
  o.defers = false;  // a capture has no server to dial
  return o;
}

// What the class's treatment would do to a flow that plays fair.
void begin_with(Outcome& o, const policy::Treatment& t) {
  if (!t.judged) {
    o.reason = Reason::exempt;
  } else if (t.syn != policy::OnSyn::pass) {
    o.verdict = t.syn == policy::OnSyn::reset ? Verdict::reset : Verdict::drop;
    o.reason = Reason::blocked;
  } else if (t.observe || (t.greeting.max_ms == 0 && t.syn_ack.max_ms == 0)) {
    o.reason = Reason::no_hold;
  } else {
    o.verdict = Verdict::hold;
    o.syn_ack = t.syn_ack;
    o.greeting = t.withhold != policy::Withhold::none ? t.greeting : policy::HoldRange{};
    o.reason = o.greeting.max_ms != 0 ? Reason::greeting_held : Reason::syn_ack_held;
  }
}

}  // namespace

Replay::Replay(const source::Settings& s, uint64_t seed)
    : settings_(observing(s)), pipeline_(options(seed), *this, *this) {
  pipeline_.use(&settings_);
}

Outcome& Replay::outcome_of(const FlowKey& key, Time at, bool begins) {
  const auto known = latest_.find(key);
  if (known != latest_.end() && !begins) return outcomes_[known->second];
  Outcome o;
  o.begun = at;
  std::tie(o.client, o.port, o.server, o.vlan) = key;
  o.source_class = settings_.classes.find(o.client).value_or(policy::SourceClass::unknown);
  policy::Treatment t = settings_.treatments[static_cast<size_t>(o.source_class)];
  if (begins) {
    begin_with(o, t);
  } else {
    o.reason = t.judged ? Reason::joined_mid_stream : Reason::exempt;
  }
  latest_[key] = outcomes_.size();
  return outcomes_.emplace_back(std::move(o));
}

void Replay::frame(std::vector<uint8_t> bytes, Time at, bool cut) {
  ++totals_.frames;
  now_ = std::max(now_, at);  // captures of several interfaces may step back a little
  const wire::Headers h = wire::parse(bytes);
  if (h.kind == wire::FrameKind::fragment) ++totals_.fragments;
  const bool to_server = h.kind == wire::FrameKind::tcp && h.destination_port == 25;
  const bool to_client = h.kind == wire::FrameKind::tcp && h.source_port == 25 && !to_server;
  if (!to_server && !to_client) {
    if (cut && h.kind == wire::FrameKind::malformed) {
      ++totals_.cut;
    } else {
      ++totals_.not_smtp;
    }
    return;
  }
  const wire::Address& server = to_server ? h.destination : h.source;
  if (!settings_.protects(server)) {
    ++totals_.unprotected;
    return;
  }
  const FlowKey key{to_server ? h.source : h.destination, to_server ? h.source_port : h.destination_port, server,
                    h.vlan.value};
  // A SYN begins a flow unless it repeats one whose answer has not come; the pipeline tells the two apart by itself.
  const bool syn = to_server && (h.flags & (wire::kSyn | wire::kAck)) == wire::kSyn;
  const auto known = latest_.find(key);
  const bool begins = syn && (known == latest_.end() || outcomes_[known->second].end != Reason::handshake ||
                              at - outcomes_[known->second].begun > seconds{75});
  if (begins || known == latest_.end()) (void)outcome_of(key, at, begins);

  lcore::Burst burst;
  burst.count = 1;
  burst.frames[0].data = bytes.data();
  burst.frames[0].length = static_cast<uint16_t>(bytes.size());
  burst.frames[0].from = to_server ? lcore::Side::wan : lcore::Side::lan;
  pipeline_.process(burst, now_);
  pipeline_.expire(now_);
}

bool Replay::offer(const mailbox::FlowEvent& e) {
  Outcome& o = outcome_of({e.client, e.client_port, e.server, e.vlan}, now_, false);
  if (e.reason == Reason::early_talk_observed || e.reason == Reason::early_talk_counted) {
    const bool resets =
        e.reason == Reason::early_talk_observed && !settings_.treatments[static_cast<size_t>(e.source_class)].observe;
    if (o.reason != Reason::blocked) {  // who is refused at the SYN never gets to talk
      o.verdict = resets ? Verdict::reset : Verdict::count;
      o.reason = resets ? Reason::early_talk : Reason::early_talk_counted;
    }
    o.first_bytes.assign(e.first_bytes.begin(), e.first_bytes.begin() + e.bytes_length);
  } else if (e.reason == Reason::unsynchronised_pipelining) {
    o.unsynchronised = true;
  } else if (e.reason == Reason::delivered || e.reason == Reason::no_data || e.reason == Reason::closing) {
    o.end = e.reason;
    o.accepted = e.accepted;
  }  // what a hold would tell does not happen while observing
  return true;
}

void Replay::finish() {
  now_ += std::chrono::minutes{20};  // longer than any flow may be silent: one sweep ends them all
  pipeline_.expire(now_);
}

}  // namespace mire::replay
