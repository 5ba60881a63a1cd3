// A client's segments that belong to no flow: whose they may be, and what they get.
#include "dataplane/lcore/pipeline_impl.h"

namespace mire::lcore {

using policy::Verdict;

namespace {

constexpr uint32_t kLatelySeconds = 60;

}  // namespace

// We do not know what began before: after a start, after frames went past us, after a commit that has more judged.
void Pipeline::Impl::went_past() { watching_since_.reset(); }

// A segment of a flow of this server, by the side that it came from.
void Pipeline::Impl::saw(uint32_t server, Side from) {
  if (!resets_strays_) return;
  uint32_t& seen = known_servers_[server].seen[static_cast<size_t>(from)];
  if (seen != now_second() + 1) seen = now_second() + 1;
}

// The flow goes, or never had an entry, though its two ends may go on.
void Pipeline::Impl::depart(const flow::FlowId& id) {
  if (resets_strays_ && id.server != 0) departed_.add(id, now_);
}

// Can this segment be of a flow that began where we did not see it, or that we have forgotten?
bool Pipeline::Impl::may_be_older(const Column& c) const {
  if (stopping_ || c.id.server == 0) return true;
  if (!watching_since_ || now_ - *watching_since_ < flow::Departed::kKept) return true;
  // Who sees but one direction of a server's traffic sees no flow begin and end.
  for (const uint32_t seen : known_servers_[c.id.server].seen)
    if (now_second() + 1 - seen > kLatelySeconds) return true;
  return departed_.may_hold(c.id, now_);
}

void Pipeline::Impl::on_stray(FrameRef& f, Column& c) {
  if (!refuses_alone_ && !resets_strays_) {
    count(Reason::no_entry);
    return;
  }
  const SourceClass source_class = class_of(c.headers.source);
  const policy::Treatment& t = treatment(source_class);
  if (policy::refuses_alone(t)) {
    on_refused_stray(f, c, source_class);
    return;
  }
  // A reset is never answered.
  const bool asks = policy::resets_joined(t) && (c.headers.flags & wire::kRst) == 0;
  const Step st = policy::step_of_stray(t, !asks || may_be_older(c));
  if (st.reason == Reason::no_entry) {
    count(st);
    return;
  }
  if (!wire::checksums_valid(f.bytes(), c.headers)) {
    count(Reason::bad_checksum);  // the server will drop it
    return;
  }
  count(st);
  tell_of_stray(c, source_class, st);
  if (st.verdict != Verdict::reset) return;
  f.fate = Fate::drop;
  refuse_stray(f, c.headers);
}

// What a TCP that knows of no connection answers (RFC 9293 3.10.7.1): the one number that the segment's sender obeys.
// Its sender is not proven: bounded.
void Pipeline::Impl::refuse_stray(const FrameRef& f, const wire::Headers& h) {
  wire::Segment seg = back_to_sender(f, h);
  if ((h.flags & wire::kAck) != 0) {
    seg.flags = wire::kRst;
    seg.seq = h.ack;
  } else {
    seg.flags = wire::kRst | wire::kAck;
    seg.ack = h.seq + h.sequence_length();
  }
  send_unproven(seg, f.length);
}

// Anybody can forge as many as he likes: the log hears of a few a second, the counters of all.
void Pipeline::Impl::tell_of_stray(const Column& c, SourceClass source_class, const Step& st) {
  new_second();
  if (stray_event_tokens_ == 0) return;
  --stray_event_tokens_;
  const Endpoint& server = endpoints_[c.id.server];
  mailbox::FlowEvent e;
  e.time_ns = static_cast<uint64_t>(now_.time_since_epoch().count());
  e.client = c.id.client;
  e.server = server.address;
  e.vlan = server.vlan;
  e.client_port = c.id.port;
  e.source_class = source_class;
  e.state = State::none;
  e.verdict = st.verdict;
  e.reason = st.reason;
  e.observed = st.verdict == Verdict::count ? 1 : 0;
  e.lcore = options_.lcore;
  offer(e);
}

}  // namespace mire::lcore
