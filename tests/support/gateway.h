// gateway.h - a pipeline on a table: a clock that the test turns, frames that it writes, and everything that comes out.
//
// Used by the unit tests of lcore/ and by the pipeline's fuzzer. No packet I/O, no real time.
#pragma once

#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/lcore/pipeline.h"
#include "dataplane/wire/craft.h"
#include "dataplane/wire/options.h"

namespace mire::test {

using lcore::Fate;
using lcore::Side;
using wire::SeqNo;

inline wire::Address address(std::string_view text) { return *wire::parse_address(text); }

inline std::vector<uint8_t> bytes_of(std::string_view s) { return {s.begin(), s.end()}; }

// A frame that left the gateway, and what it says.
struct Sent {
  Side to;
  std::vector<uint8_t> frame;
  wire::Headers h;

  [[nodiscard]] std::string text() const {
    return {reinterpret_cast<const char*>(frame.data()) + h.payload, h.payload_length};
  }
  [[nodiscard]] wire::TcpOptions options() const { return wire::read_options(frame, h); }
  [[nodiscard]] bool has(uint8_t flags) const { return (h.flags & flags) == flags; }
};

class Gateway final : public lcore::Transmitter, public lcore::EventSink {
 public:
  // Strangers' greetings are held; a test of those whom we meet ourselves says so.
  explicit Gateway(lcore::PipelineOptions o = small()) : pipeline_(o, *this, *this) {
    for (const auto c : {policy::SourceClass::unknown, policy::SourceClass::suspect})
      settings_.treatments[static_cast<size_t>(c)].withhold = policy::Withhold::banner;
    pipeline_.use(&settings_);
    pipeline_.expire(now);
  }

  static lcore::PipelineOptions small() {
    lcore::PipelineOptions o;
    o.sizes = {1024, 512, 256, 64, 16, 64, 64 * 1024};
    o.seed = 7;
    return o;
  }

  // Lets time pass, a millisecond at a time, ending what is due.
  void wait(Duration d) {
    for (const Time end = now + d; now < end;) {
      now += std::min<Duration>(milliseconds{1}, end - now);
      pipeline_.expire(now);
    }
  }

  // Takes new settings, as a commit would.
  source::Settings& settings() { return settings_; }
  void commit() { pipeline_.use(&settings_); }

  // One frame through the pipeline; what is forwarded is in `forwarded`, what the gateway crafted in `sent`.
  Fate put(Side from, std::vector<uint8_t> frame) {
    frame_ = std::move(frame);
    lcore::Burst b;
    b.count = 1;
    b.frames[0].data = frame_.data();
    b.frames[0].length = static_cast<uint16_t>(frame_.size());
    b.frames[0].from = from;
    pipeline_.process(b, now);
    if (b.frames[0].fate == Fate::forward) {
      frame_.resize(b.frames[0].length);
      forwarded.push_back({lcore::other(from), frame_, wire::parse(frame_)});
    }
    return b.frames[0].fate;
  }

  std::span<uint8_t> reserve(Side to, size_t length) override {
    if (out_of_buffers) return {};
    to_ = to;
    buffer_.assign(length, 0);
    return buffer_;
  }
  void commit(size_t length) override {
    buffer_.resize(length);
    sent.push_back({to_, buffer_, wire::parse(buffer_)});
  }
  bool offer(const mailbox::FlowEvent& e) override {
    events.push_back(e);
    return true;
  }

  bool tell(std::span<const mailbox::Profile> pieces) override {
    if (!hears_profiles) return false;
    profiles.insert(profiles.end(), pieces.begin(), pieces.end());
    return true;
  }

  [[nodiscard]] uint64_t counted(policy::Reason r) const {
    return pipeline_.counters().reasons[static_cast<size_t>(r)];
  }
  [[nodiscard]] uint64_t flows(policy::State s) const { return pipeline_.counters().flows[static_cast<size_t>(s)]; }
  void forget() {
    sent.clear();
    forwarded.clear();
    events.clear();
  }
  lcore::Pipeline& pipeline() { return pipeline_; }

  Time now{seconds{1000}};
  std::vector<Sent> sent;
  std::vector<Sent> forwarded;
  std::vector<mailbox::FlowEvent> events;
  std::vector<mailbox::Profile> profiles;
  bool out_of_buffers = false;
  bool hears_profiles = true;

 private:
  source::Settings settings_;
  lcore::Pipeline pipeline_;
  std::vector<uint8_t> frame_;
  std::vector<uint8_t> buffer_;
  Side to_ = Side::wan;
};

// One connection as a test plays it, both ends. Sequence numbers are kept relative to the ISNs.
struct Talk {
  Gateway& gw;
  wire::Address client = address("198.18.0.1");
  wire::Address server = address("198.19.0.25");
  uint16_t port = 40000;
  SeqNo client_isn{1000};
  SeqNo server_isn{0xfffffff0};  // wraps in the middle of a greeting
  std::vector<uint16_t> vlans{};
  bool timestamps = false;
  uint32_t client_clock = 100, server_clock = 900;
  uint16_t server_window = 65000;

  [[nodiscard]] wire::LinkHeader link(Side from) const {
    wire::LinkHeader l;
    const std::array<uint8_t, 12> macs = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1};
    std::copy(macs.begin(), macs.end(), l.bytes.begin());
    if (from == Side::lan) std::swap_ranges(l.bytes.begin(), l.bytes.begin() + 6, l.bytes.begin() + 6);
    l.length = 12;
    for (const uint16_t v : vlans) {
      wire::store16(&l.bytes[l.length], 0x8100);
      wire::store16(&l.bytes[l.length + 2], v);
      l.length = static_cast<uint8_t>(l.length + 4);
    }
    wire::store16(&l.bytes[l.length], client.is_v4() ? 0x0800 : 0x86dd);
    l.length = static_cast<uint8_t>(l.length + 2);
    return l;
  }

  [[nodiscard]] std::vector<uint8_t> frame(Side from, uint8_t flags, SeqNo seq, SeqNo ack, std::string_view data = {},
                                           std::vector<uint8_t> options = {}) const {
    wire::Segment s;
    const bool c = from == Side::wan;
    s.link = link(from);
    s.source = c ? client : server;
    s.destination = c ? server : client;
    s.source_port = c ? port : 25;
    s.destination_port = c ? 25 : port;
    s.seq = seq;
    s.ack = ack;
    s.flags = flags;
    s.window = c ? 64240 : server_window;
    if (timestamps && (flags & wire::kRst) == 0)
      s.timestamps = c ? wire::Timestamps{client_clock, server_clock} : wire::Timestamps{server_clock, client_clock};
    s.options = options;
    const auto payload = bytes_of(data);
    s.payload = payload;
    std::vector<uint8_t> out(wire::crafted_size(s));
    out.resize(wire::craft(s, out));
    return out;
  }

  // Offsets: at 0 lies the first byte that each side may send.
  Fate from_client(uint8_t flags, uint32_t seq, uint32_t ack, std::string_view data = {}) {
    return gw.put(Side::wan, frame(Side::wan, flags, client_isn + 1 + seq, server_isn + 1 + ack, data));
  }
  Fate from_server(uint8_t flags, uint32_t seq, uint32_t ack, std::string_view data = {}) {
    return gw.put(Side::lan, frame(Side::lan, flags, server_isn + 1 + seq, client_isn + 1 + ack, data));
  }

  Fate syn(std::string_view data = {}, std::vector<uint8_t> options = {2, 4, 5, 0xb4}) {
    return gw.put(Side::wan, frame(Side::wan, wire::kSyn, client_isn, {}, data, std::move(options)));
  }
  Fate syn_ack(std::vector<uint8_t> options = {2, 4, 5, 0xb4}) {
    return gw.put(Side::lan,
                  frame(Side::lan, wire::kSyn | wire::kAck, server_isn, client_isn + 1, {}, std::move(options)));
  }
  Fate ack() { return from_client(wire::kAck, 0, 0); }
  void open() {
    syn();
    syn_ack();
    ack();
  }
  Fate say(uint32_t seq, uint32_t ack, std::string_view data) {
    return from_client(wire::kAck | wire::kPsh, seq, ack, data);
  }
  Fate reply(uint32_t seq, uint32_t ack, std::string_view data) {
    return from_server(wire::kAck | wire::kPsh, seq, ack, data);
  }

  // Offset of a number in the server's and in the client's stream.
  [[nodiscard]] uint32_t in_server(SeqNo n) const { return static_cast<uint32_t>(n - (server_isn + 1)); }
  [[nodiscard]] uint32_t in_client(SeqNo n) const { return static_cast<uint32_t>(n - (client_isn + 1)); }
};

inline constexpr std::string_view kGreeting = "220 mx.example ESMTP Postfix\r\n";

}  // namespace mire::test
