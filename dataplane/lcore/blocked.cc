// Sources that are refused by ourselves: whatever they send without an entry is answered in the server's name, or not
// at all, and nothing of it reaches the server.
#include <algorithm>

#include "dataplane/lcore/pipeline_impl.h"

namespace mire::lcore {

using policy::Verdict;

namespace {

constexpr uint16_t kOwnMss4 = 1460, kOwnMss6 = 1440;  // Ethernet's

}  // namespace

// Offers nothing but an MSS, and that only to whom it was offered: there need be no server whose TCP we could know.
// Nothing is kept: the number remembers the handshake.
void Pipeline::Impl::answer_blocked_syn(const FrameRef& f, const Column& c, const Step& st) {
  const wire::Headers& h = c.headers;
  const wire::TcpOptions o = wire::read_options(f.bytes(), h);
  const defer::Handshake shake{h.source, h.destination, h.vlan.value, h.source_port, h.seq};
  wire::TcpOptions ours;
  ours.has_mss = o.has_mss;
  ours.mss = h.source.is_v4() ? kOwnMss4 : kOwnMss6;
  if (options_.largest_frame != 0)
    ours.mss = std::min(ours.mss, static_cast<uint16_t>(options_.largest_frame - h.l4 - 20));
  std::array<uint8_t, wire::kSynOptions> options;
  wire::Segment seg = back_to_sender(f, h);
  seg.flags = wire::kSyn | wire::kAck;
  seg.ack = h.seq + 1;
  seg.options = std::span{options}.first(wire::write_syn_options(ours, options));
  if (st.reason == Reason::trapped) {
    seg.seq = cookies_.bait(shake);
    seg.window = 0;
    send_trapped(seg, f.length);
  } else {
    seg.seq = cookies_.bake(shake, o.has_mss ? o.mss : kLeastMss, now_);
    seg.window = kOwnWindow;
    send_unproven(seg, f.length);
  }
}

// What a client's segment without an entry proves.
policy::Event Pipeline::Impl::stray_event(const wire::Headers& h) const {
  if ((h.flags & wire::kRst) != 0) return Event::reset_inexact;
  if ((h.flags & wire::kAck) == 0 || (h.flags & wire::kSyn) != 0) return Event::outside;
  const bool fin = (h.flags & wire::kFin) != 0, speaks = h.payload_length != 0;
  const defer::Handshake shake{h.source, h.destination, h.vlan.value, h.source_port, h.seq - 1};
  if (!cookies_.open(shake, h.ack - 1, now_)) return speaks ? Event::unproven_data : Event::unproven;
  if (speaks) return Event::proof_with_data;
  return fin ? Event::proof_with_fin : Event::proof;
}

// A segment without an entry, of a source that is refused by ourselves.
void Pipeline::Impl::on_refused_stray(FrameRef& f, Column& c, SourceClass source_class) {
  const wire::Headers& h = c.headers;
  f.fate = Fate::drop;
  if (!wire::checksums_valid(f.bytes(), h)) {
    count(Reason::bad_checksum);
    return;
  }
  const policy::Treatment& t = treatment(source_class);
  const Event e = t.syn == policy::OnSyn::trap ? trapped_event(h) : stray_event(h);
  const Step st = policy::step(State::none, e, t);
  count(st);
  if (st.verdict == Verdict::reply) reject_blocked(f, c, source_class, st);
  if (st.verdict == Verdict::answer) keep_trapped(f, h);
}

// The source is real, and gets its refusal. Only now there is a record, so that the reply can be repeated and the close
// be in order.
void Pipeline::Impl::reject_blocked(const FrameRef& f, Column& c, SourceClass source_class, const Step& st) {
  const wire::Headers& h = c.headers;
  if (c.id.server == 0) {
    // Where every lan address is protected a blocked source may name any: half the table is left to real servers.
    const bool room = endpoints_.size() < endpoints_.capacity() / 2;
    c.id.server = static_cast<uint16_t>(endpoint_for(h.destination, h.vlan, room));
    if (c.id.server != 0) c.probe = flows_.probe(c.id);
  }
  const uint32_t path = c.id.server == 0 ? 0 : path_of(f, h, false);
  const Handle handle = path == 0 ? flow::kNoFlow : create(c, source_class, path);
  if (handle == flow::kNoFlow) {
    wire::Segment seg = back_to_sender(f, h);
    seg.flags = wire::kRst;
    seg.seq = h.ack;
    send_unproven(seg, f.length);
    return;
  }
  flow::State32& s = flows_[handle];
  s.client_isn = h.seq - 1;
  s.server_isn = h.ack - 1;
  prove(handle);
  report(handle, State::none, st.verdict, st.reason, 0, payload(f, h));
  s.set(flow::kReported);
  reply(handle, &h, st.reason);
}

// --- the trap --------------------------------------------------------------------------------------------------------

// The first byte that a trapped client may send, read off the number that it acknowledges: it has had no other.
wire::SeqNo Pipeline::Impl::trapped_first(const wire::Headers& h) const {
  const defer::Handshake shake{h.source, h.destination, h.vlan.value, h.source_port, {}};
  return cookies_.client_isn_of(shake, h.ack - 1) + 1;
}

// What a segment of a trapped client is, if it is one: its numbers must be those of a connection of which not a byte
// was acknowledged.
policy::Event Pipeline::Impl::trapped_event(const wire::Headers& h) const {
  if ((h.flags & wire::kRst) != 0) return Event::reset_inexact;
  if ((h.flags & wire::kAck) == 0 || (h.flags & wire::kSyn) != 0) return Event::outside;
  constexpr int32_t kFar = 1 << 16;  // without window scale none is larger
  const int32_t at = h.seq - trapped_first(h);
  if (at < -1 || at >= kFar) return h.payload_length != 0 ? Event::unproven_data : Event::unproven;
  const bool fin = (h.flags & wire::kFin) != 0;
  if (at == 0 && !fin) return h.payload_length != 0 ? Event::proof_with_data : Event::proof;
  if (fin) return at == 0 ? Event::proof_with_fin : Event::fin;
  if (at < 0) return Event::nothing_new;  // a keepalive or a window probe (RFC 9293 3.8.4)
  return h.payload_length != 0 ? Event::early : Event::unproven;
}

// Not a byte is acknowledged, and the window stays closed.
void Pipeline::Impl::keep_trapped(const FrameRef& f, const wire::Headers& h) {
  wire::Segment seg = back_to_sender(f, h);
  seg.flags = wire::kAck;
  seg.seq = h.ack;
  seg.ack = trapped_first(h);
  seg.window = 0;
  send_trapped(seg, f.length);
}

// Never more than `came`, never more than one for one, and bounded in all and for each source: who is forged as the
// sender gets at most this much.
void Pipeline::Impl::send_trapped(const wire::Segment& seg, size_t came) {
  new_second();
  const bool small = wire::crafted_size(seg) <= std::max<size_t>(came, 60);
  if (!small || trap_tokens_ == 0 || !trapped_.take(wire::source_of(seg.destination), trap_.per_source, now_second())) {
    count(Reason::reflection_bound);
    return;
  }
  --trap_tokens_;
  send(Side::wan, seg);
}

}  // namespace mire::lcore
