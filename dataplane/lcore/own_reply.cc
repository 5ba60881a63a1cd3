// Replies of our own: an SMTP reply in the server's name and the close behind it. The one place that words and crafts
// them, whatever they are for.
#include <arpa/inet.h>

#include "dataplane/lcore/pipeline_impl.h"
#include "dataplane/smtp/reply_text.h"

namespace mire::lcore {

using wire::SeqNo;

namespace {

smtp::OwnReply reply_for(policy::Reason r) noexcept {
  using policy::Reason;
  if (r == Reason::early_talk_rejected) return smtp::OwnReply::early_talk;
  if (r == Reason::blocked_rejected) return smtp::OwnReply::blocked;
  if (r == Reason::silent) return smtp::OwnReply::silent;
  return smtp::OwnReply::server_down;
}

std::string_view print(const wire::Address& a, std::array<char, INET6_ADDRSTRLEN>& room) noexcept {
  const bool v4 = a.is_v4();
  return inet_ntop(v4 ? AF_INET : AF_INET6, a.bytes.data() + (v4 ? 12 : 0), room.data(), INET6_ADDRSTRLEN);
}

}  // namespace

// The line that the operator, or else we, have for it.
std::span<const uint8_t> Pipeline::Impl::worded(Reason reason, const wire::Address& client,
                                                std::array<uint8_t, smtp::kLongestReply>& room) const {
  const smtp::OwnReply which = reply_for(reason);
  std::string_view text;
  if (settings_ != nullptr) text = settings_->texts[static_cast<size_t>(which)];
  if (text.empty()) text = smtp::default_text(which);
  std::array<char, INET6_ADDRSTRLEN> address;
  return smtp::write_reply(which, text, print(client, address), policy::to_string(reason), room);
}

// An SMTP reply in the server's name and a FIN behind it, for a client whom the server does not know or is made to
// forget. `answered`: the segment that it answers, or nullptr.
void Pipeline::Impl::reply(Handle h, const wire::Headers* answered, Reason reason, std::span<const uint8_t> text) {
  flow::State32& s = flows_[h];
  std::array<uint8_t, smtp::kLongestReply> line;
  if (text.empty()) text = worded(reason, flows_.id(h).client, line);
  const bool met = flow::is_meeting(s.state);
  SeqNo client_next = s.client_first();
  if (answered != nullptr) {
    const SeqNo end = answered->seq + answered->payload_length;
    if (end > client_next) client_next = end;
  } else if (s.state == State::dialling) {
    client_next = client_next + static_cast<uint32_t>(banners_.bytes(dialled(s).words).size());
  }
  const SeqNo begin = sent_to(h);
  const uint32_t clock = s.client_clock();
  const uint32_t id = banners_.acquire(text, kLeastMss);
  if (id == 0) count(Reason::banner_pool_full);
  end_report(h);
  leave_sources(h);
  enter(h, State::replied);
  s.set(flow::kTimestamps, met && s.has(flow::kTimestamps));
  s.set_server_next(begin + static_cast<uint32_t>(text.size()) + 1);
  s.set_sent(id);
  s.set_acknowledged(client_next);
  wire::Segment seg = reply_segment(h, text);
  if (s.has(flow::kTimestamps)) seg.timestamps = wire::Timestamps{our_clock(h), clock};
  send(Side::wan, seg);
}

wire::Segment Pipeline::Impl::reply_segment(Handle h, std::span<const uint8_t> text) const {
  const flow::State32& s = flows_[h];
  wire::Segment seg = to_client(h);
  seg.flags = wire::kAck | wire::kPsh | wire::kFin;
  seg.seq = s.server_next() - static_cast<uint32_t>(text.size()) - 1;
  seg.ack = s.acknowledged();
  seg.window = advertised(h);
  seg.payload = text;
  return seg;
}

// Once more, for a segment of a client that has not heard it.
void Pipeline::Impl::send_reply(Handle h, const FrameRef& f, const wire::Headers& hdr) {
  const flow::State32& s = flows_[h];
  wire::Segment seg = reply_segment(h, banners_.bytes(s.sent()));
  const wire::TcpOptions o = wire::read_options(f.bytes(), hdr);
  if (s.has(flow::kTimestamps) && o.has_timestamps) seg.timestamps = wire::Timestamps{our_clock(h), o.tsval};
  send(Side::wan, seg);
}

}  // namespace mire::lcore
