#include "dataplane/lcore/pipeline_impl.h"

namespace mire::lcore {

using wire::SeqNo;

void Pipeline::Impl::send(Side to, const wire::Segment& segment) {
  const size_t size = wire::crafted_size(segment);
  const auto room = out_.reserve(to, size);
  if (room.empty()) {
    count(Reason::no_buffer);
    return;
  }
  const size_t length = wire::craft(segment, room);
  MIRE_ASSERT(length == size);
  out_.commit(length);
  ++counters_.crafted[static_cast<size_t>(to)];
}

// A segment in the server's name.
wire::Segment Pipeline::Impl::to_client(Handle h) const {
  const flow::FlowId id = flows_.id(h);
  wire::Segment seg;
  seg.link = paths_[flows_[h].path].to_client;
  seg.source = endpoints_[id.server].address;
  seg.destination = id.client;
  seg.source_port = 25;
  seg.destination_port = id.port;
  return seg;
}

// A segment in the client's name.
wire::Segment Pipeline::Impl::to_server(Handle h) const {
  const flow::FlowId id = flows_.id(h);
  wire::Segment seg;
  seg.link = paths_[flows_[h].path].to_server;
  seg.source = id.client;
  seg.destination = endpoints_[id.server].address;
  seg.source_port = id.port;
  seg.destination_port = 25;
  return seg;
}

void Pipeline::Impl::reset_client(Handle h, SeqNo seq) {
  wire::Segment seg = to_client(h);
  seg.flags = wire::kRst;
  seg.seq = seq;
  send(Side::wan, seg);
}

void Pipeline::Impl::reset_server(Handle h, SeqNo seq) {
  wire::Segment seg = to_server(h);
  seg.flags = wire::kRst;
  seg.seq = seq;
  send(Side::lan, seg);
}

// Each side gets a reset with the number that it accepts (RFC 9293 3.5.3, RFC 5961 3.2): exactly its RCV.NXT.
void Pipeline::Impl::reset_both(Handle h, State at, const wire::Headers& hdr) {
  const flow::State32& s = flows_[h];
  switch (at) {
    case State::greeted:
    case State::talking:
      // The client's RCV.NXT is unknown while bytes are on their way: between what it acknowledged and what went out.
      reset_client(h, hdr.ack);
      if (hdr.ack != s.server_next()) reset_client(h, s.server_next());
      reset_server(h, at == State::talking ? s.client_next() : s.client_first());
      return;
    case State::syn_ack_sent:  // server still in SYN_RECV: a bare RST at ISN + 1
    case State::waiting:
    case State::banner_held:
    case State::due:
      reset_client(h, s.server_first());
      reset_server(h, s.client_first());
      return;
    case State::met: reset_client(h, s.server_first()); return;  // the server knows nothing of it
    case State::deferred:
    case State::invited:
      reset_client(h, hdr.ack);
      if (hdr.ack != sent_to(h)) reset_client(h, sent_to(h));
      return;
    case State::none:
    case State::syn_seen:
    case State::syn_ack_held:
    case State::closing:
    case State::finished:
    case State::tombstone:
    case State::joined:
    case State::dialling:
    case State::replied:
      MIRE_ASSERT(false);  // nothing in these states is answered by a reset
      return;
  }
}

// A segment to whoever sent this one, who may have no entry.
wire::Segment Pipeline::Impl::back_to_sender(const FrameRef& f, const wire::Headers& h) {
  wire::Segment seg;
  seg.link = wire::LinkHeader::of(f.bytes(), h).reversed();
  seg.source = h.destination;
  seg.destination = h.source;
  seg.source_port = h.destination_port;
  seg.destination_port = h.source_port;
  return seg;
}

// To a client in SYN_SENT: RST and ACK, acknowledging its SYN (RFC 9293 3.10.7.3). Not proven to be its sender:
// bounded.
void Pipeline::Impl::refuse_syn(const FrameRef& f, const wire::Headers& h) {
  wire::Segment seg = back_to_sender(f, h);
  seg.flags = wire::kRst | wire::kAck;
  seg.ack = h.seq + h.sequence_length();
  send_unproven(seg, f.length);
}

// Every second the bounds begin anew.
void Pipeline::Impl::new_second() {
  if (now_ms() / 1000 == reply_second_) return;
  reply_second_ = now_ms() / 1000;
  reply_tokens_ = options_.replies_per_second;
  meeting_tokens_ = options_.meetings_per_second;
  repeat_tokens_ = options_.repeats_per_second;
  trap_tokens_ = trap_.per_second;
  stray_event_tokens_ = options_.strays_told_per_second;
}

// Never more than `came`, the bytes that it answers, and never more often than the bounds allow: a forged source makes
// no reflector of us. True: it has its place in them, and is to be sent once.
bool Pipeline::Impl::may_send_unproven(const wire::Segment& seg, size_t came) {
  new_second();
  uint32_t& tokens = (seg.flags & wire::kSyn) != 0 ? meeting_tokens_ : reply_tokens_;
  if (tokens == 0 || wire::crafted_size(seg) > std::max<size_t>(came, 60)) {
    count(Reason::reflection_bound);
    return false;
  }
  --tokens;
  return true;
}

void Pipeline::Impl::send_unproven(const wire::Segment& seg, size_t came) {
  if (may_send_unproven(seg, came)) send(Side::wan, seg);
}

// The answer to a FIN while held: FIN and ACK in the server's name, the same for each repetition of it.
void Pipeline::Impl::finish_client(Handle h, const FrameRef& f, const wire::Headers& hdr) {
  const flow::State32& s = flows_[h];
  wire::Segment seg = to_client(h);
  seg.flags = wire::kFin | wire::kAck;
  seg.seq = s.state == State::finished ? SeqNo{s.sent()} : s.server_first();
  seg.ack = hdr.seq + hdr.sequence_length();
  seg.window = s.window();
  const wire::TcpOptions o = wire::read_options(f.bytes(), hdr);
  if (s.has(flow::kTimestamps) && o.has_timestamps) seg.timestamps = wire::Timestamps{s.server_tsval(), o.tsval};
  send(Side::wan, seg);
}

// A segment of a flow that was reset: its sender did not hear it. Its own ACK is the number that it obeys. Once a
// second.
void Pipeline::Impl::answer_tombstone(Handle h, const wire::Headers& hdr, bool from_client) {
  flow::State32& s = flows_[h];
  if ((hdr.flags & wire::kRst) != 0 || (hdr.flags & wire::kAck) == 0) return;
  if (s.answered_second() == now_second()) return;
  s.set_answered_second(now_second());
  from_client ? reset_client(h, hdr.ack) : reset_server(h, hdr.ack);
}

// Sends the parked greeting in segments no larger than the server's own, a parked FIN behind it. Returns its length.
uint32_t Pipeline::Impl::release_greeting(Handle h) {
  const flow::State32& s = flows_[h];
  const auto bytes = banners_.bytes(s.banner());
  const size_t step = std::max<size_t>(banners_.largest_segment(s.banner()), 1);
  for (size_t at = 0; at < bytes.size(); at += step) {
    const auto part = bytes.subspan(at, std::min(step, bytes.size() - at));
    const bool last = at + part.size() == bytes.size();
    wire::Segment seg = to_client(h);
    seg.flags =
        static_cast<uint8_t>(wire::kAck | (last ? wire::kPsh : 0) | (last && s.has(flow::kServerFin) ? wire::kFin : 0));
    seg.seq = s.server_first() + static_cast<uint32_t>(at);
    seg.ack = s.client_first();
    seg.window = s.window();
    if (s.has(flow::kTimestamps)) seg.timestamps = wire::Timestamps{s.server_tsval(), s.server_tsecr()};
    seg.payload = part;
    send(Side::wan, seg);
  }
  return static_cast<uint32_t>(bytes.size());
}

void Pipeline::Impl::release_syn_ack(Handle h) {
  const flow::State32& s = flows_[h];
  const flow::ParkedSynAck p = s.syn_ack();
  wire::TcpOptions o;
  o.has_mss = p.mss != 0;
  o.mss = p.mss;
  o.sack_permitted = (p.bits & flow::ParkedSynAck::kSack) != 0;
  o.has_timestamps = s.has(flow::kTimestamps);
  o.tsval = s.server_tsval();
  o.tsecr = s.server_tsecr();
  o.has_window_scale = p.window_scale != flow::ParkedSynAck::kNoScale;
  o.window_scale = p.window_scale;
  std::array<uint8_t, wire::kSynOptions> options;
  wire::Segment seg = to_client(h);
  seg.flags = static_cast<uint8_t>(wire::kSyn | wire::kAck | ((p.bits & flow::ParkedSynAck::kEce) != 0 ? 0x40 : 0));
  seg.seq = s.server_isn;
  seg.ack = s.client_first();
  seg.window = s.window();
  seg.options = std::span{options}.first(wire::write_syn_options(o, options));
  send(Side::wan, seg);
}

}  // namespace mire::lcore
