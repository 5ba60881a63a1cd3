#include "tests/bench/traffic.h"

#include <algorithm>
#include <string>

#include "dataplane/base/assert.h"
#include "dataplane/base/keyed_hash.h"

namespace mire::bench {

using lcore::Burst;
using lcore::Side;
using wire::SeqNo;

namespace {

constexpr size_t kRoom = 192;         // bytes of one frame
constexpr size_t kFrames = 64 * 128;  // made ahead at once
constexpr uint16_t kFirstPort = 1024;
constexpr uint32_t kPorts = 60'000;

// Sources are spread over the address space by an odd factor, which can be taken back.
constexpr uint32_t kSpread = 0x9e3779b1;
constexpr uint32_t inverse(uint32_t odd) {
  uint32_t x = odd;
  for (int i = 0; i < 5; ++i) x *= 2 - odd * x;  // Newton: each step doubles the right bits
  return x;
}
static_assert(kSpread * inverse(kSpread) == 1);

SeqNo isn(Connection c, uint64_t side) noexcept {
  uint64_t seed = c * 2 + side;
  return {static_cast<uint32_t>(split_mix(seed))};
}

wire::Address server_address(size_t i, bool ipv6) {
  wire::Address a = wire::Address::v4(wire::be32{0xc6130000u + static_cast<uint32_t>(i)});
  if (!ipv6) return a;
  std::array<uint8_t, 16> raw{0x20, 0x01, 0x0d, 0xb8, 0xff};
  raw[15] = static_cast<uint8_t>(i);
  return wire::Address::v6_at(raw.data());
}

wire::Address client_address(uint32_t source, bool ipv6) {
  const uint32_t spread = source * kSpread;
  if (!ipv6) return wire::Address::v4(wire::be32{spread});
  std::array<uint8_t, 16> raw{0x20, 0x01, 0x0d, 0xb8};
  wire::store32(&raw[4], spread);
  raw[15] = 1;
  return wire::Address::v6_at(raw.data());
}

const std::string& banner(size_t server) {
  static const std::vector<std::string> all = [] {
    std::vector<std::string> v;
    for (size_t i = 0; i < Traffic::kServers; ++i)
      v.push_back("220 mx" + std::to_string(i) + ".example.net ESMTP Postfix (Debian/GNU)\r\n");
    return v;
  }();
  return all[server];
}

}  // namespace

Traffic::Traffic(uint32_t sources, uint64_t window, bool ipv6)
    : sources_(sources), ipv6_(ipv6), arena_(kRoom * kFrames), ended_(window, true) {
  sent_sources_.reserve(1u << 20);
  sent_ports_.reserve(1u << 20);
}

void Traffic::begin(Connection c) {
  newest_ = c;
  ended_[c % ended_.size()] = false;
}

wire::Segment Traffic::segment(Connection c, Side from, uint8_t flags) const {
  const size_t server = c % kServers;
  wire::Segment s;
  s.link.bytes = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1};  // one router on each side
  if (from == Side::lan) std::swap_ranges(s.link.bytes.begin(), s.link.bytes.begin() + 6, s.link.bytes.begin() + 6);
  s.link.length = 14;
  wire::store16(&s.link.bytes[12], ipv6_ ? 0x86dd : 0x0800);
  s.source = client_address(static_cast<uint32_t>(c % sources_), ipv6_);
  s.source_port = static_cast<uint16_t>(kFirstPort + c / sources_ % kPorts);
  s.destination = server_address(server, ipv6_);
  s.destination_port = 25;
  s.seq = isn(c, 0) + 1;
  s.ack = isn(c, 1) + 1;
  s.flags = flags;
  s.window = 502;
  if ((flags & wire::kRst) == 0) s.timestamps = wire::Timestamps{static_cast<uint32_t>(c), 77};
  if (from == Side::lan) {
    std::swap(s.source, s.destination);
    std::swap(s.source_port, s.destination_port);
    std::swap(s.seq, s.ack);
  }
  return s;
}

void Traffic::put(Burst& b, Side from, const wire::Segment& s) {
  MIRE_ASSERT(used_ < kFrames && b.count < lcore::kBurst);
  const std::span room{&arena_[used_++ * kRoom], kRoom};
  const size_t length = wire::craft(s, room);
  MIRE_ASSERT(length != 0);
  b.frames[b.count++] = {room.data(), static_cast<uint16_t>(length), from, lcore::Fate::forward, nullptr};
}

void Traffic::syn(Burst& b, Connection c) {
  static constexpr std::array<uint8_t, 12> kOptions = {2, 4, 5, 0xb4, 1, 1, 4, 2, 1, 3, 3, 7};
  wire::Segment s = segment(c, Side::wan, wire::kSyn);
  s.seq = isn(c, 0);
  s.options = kOptions;
  put(b, Side::wan, s);
}

void Traffic::syn_ack(Burst& b, Connection c) {
  static constexpr std::array<uint8_t, 12> kOptions = {2, 4, 5, 0xb4, 1, 1, 4, 2, 1, 3, 3, 7};
  wire::Segment s = segment(c, Side::lan, wire::kSyn | wire::kAck);
  s.seq = isn(c, 1);
  s.window = 65'160;
  s.options = kOptions;
  put(b, Side::lan, s);
}

void Traffic::proof(Burst& b, Connection c) { put(b, Side::wan, segment(c, Side::wan, wire::kAck)); }

void Traffic::greeting(Burst& b, Connection c) {
  wire::Segment s = segment(c, Side::lan, wire::kAck | wire::kPsh);
  const std::string& text = banner(c % kServers);
  s.payload = {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
  put(b, Side::lan, s);
}

void Traffic::keepalive(Burst& b, Connection c) {
  wire::Segment s = segment(c, Side::wan, wire::kAck);
  s.seq = isn(c, 0);
  put(b, Side::wan, s);
}

void Traffic::reset(Burst& b, Connection c) { put(b, Side::wan, segment(c, Side::wan, wire::kRst)); }

// Inside what is timed: two loads and two stores. What goes to a client is its greeting; a server gets resets.
void Traffic::commit(size_t) {
  if (to_ == Side::lan) return;
  const size_t l4 = ipv6_ ? 54 : 34;
  sent_sources_.push_back(wire::load32(&out_[ipv6_ ? 42 : 30]));
  sent_ports_.push_back(wire::load16(&out_[l4 + 2]));
}

std::vector<Connection> Traffic::take_released() {
  std::vector<Connection> all;
  all.reserve(sent_ports_.size());
  for (size_t i = 0; i < sent_ports_.size(); ++i) {
    const uint32_t source = sent_sources_[i] * inverse(kSpread);
    const uint64_t round = newest_ / sources_, seen = sent_ports_[i] - kFirstPort;
    Connection c = (round - (round - seen) % kPorts) * sources_ + source;  // the latest that has this port
    if (c > newest_) c -= uint64_t{kPorts} * sources_;
    ended_[c % ended_.size()] = true;
    all.push_back(c);
  }
  released_count_ += all.size();
  sent_sources_.clear();
  sent_ports_.clear();
  return all;
}

}  // namespace mire::bench
