#include "dataplane/wire/translate.h"

#include "dataplane/wire/segment_edit.h"

namespace mire::wire {
namespace {

constexpr uint16_t kSeqAt = 4, kAckAt = 8;                  // in the TCP header
constexpr size_t kValueAt = 2, kEchoAt = 6, kBlocksAt = 2;  // in the option

void add(std::span<uint8_t> frame, const Headers& h, std::span<uint8_t> word, uint32_t n) noexcept {
  edit_segment(frame, h, word, [n](std::span<uint8_t> b) { store32(b.data(), load32(b.data()) + n); });
}

}  // namespace

void to_clients_numbers(std::span<uint8_t> frame, Headers& h, const Translation& t) noexcept {
  // A reset without ACK (RFC 9293 3.10.7.1) carries the client's own ACK as its number: it is the server's counting
  // too.
  add(frame, h, frame.subspan(h.l4 + kSeqAt, 4), t.seq);
  h.seq = h.seq + t.seq;
  if (t.clock == 0) return;
  each_option(option_bytes(frame, h), [&](uint8_t kind, std::span<uint8_t> option) {
    if (kind == kTimestamps && option.size() == 10) add(frame, h, option.subspan(kValueAt, 4), t.clock);
  });
}

void to_servers_numbers(std::span<uint8_t> frame, Headers& h, const Translation& t) noexcept {
  if ((h.flags & kAck) == 0) return;  // nothing is acknowledged, and TSecr is not valid (RFC 7323 3.2)
  add(frame, h, frame.subspan(h.l4 + kAckAt, 4), 0u - t.seq);
  h.ack = h.ack - t.seq;
  each_option(option_bytes(frame, h), [&](uint8_t kind, std::span<uint8_t> option) {
    if (kind == kSack && (option.size() - kBlocksAt) % 8 == 0) {
      for (size_t at = kBlocksAt; at < option.size(); at += 4) add(frame, h, option.subspan(at, 4), 0u - t.seq);
    } else if (kind == kTimestamps && option.size() == 10 && t.clock != 0) {
      add(frame, h, option.subspan(kEchoAt, 4), 0u - t.clock);
    }
  });
}

}  // namespace mire::wire
