#include "dataplane/wire/craft.h"

#include <gtest/gtest.h>

#include "dataplane/wire/options.h"
#include "tests/unit/wire/frames.h"

namespace mire::wire {
namespace {

using namespace test;

LinkHeader link_of(const Bytes& frame) { return LinkHeader::of(frame, parse(frame)); }

Segment segment_for(const Bytes& like) {
  const Headers h = parse(like);
  Segment s;
  s.link = link_of(like);
  s.source = h.source;
  s.destination = h.destination;
  s.source_port = 40'000;
  s.destination_port = 25;
  s.seq = {0xfffffff0};
  s.ack = {0x80000001};
  s.flags = kAck | kPsh;
  s.window = 0x7210;
  s.hop_limit = 200;
  return s;
}

uint8_t hop_limit(std::span<const uint8_t> frame, const Headers& h) { return frame[h.l3 + (h.ipv6 ? 7u : 8u)]; }

std::vector<Bytes> links() {
  return {frame4(), frame6(), frame4({}, {{0x8100, 0x2064}}), frame6({}, {{0x88a8, 1}, {0x8100, 2}}),
          frame6({}, {{0x88a8, 1}, {0x88a8, 2}, {0x9100, 3}, {0x8100, 4}})};
}

TEST(Craft, ParsesBackToWhatWasAskedFor) {
  const Bytes all(1461, 'x');
  const Bytes some_options{4, 2, 1, 1, 3, 3, 9, 1};
  for (const Bytes& like : links()) {
    for (const bool timestamps : {false, true}) {
      for (const size_t options : {0u, 8u}) {
        for (const size_t payload : {0u, 1u, 2u, 5u, 6u, 7u, 1460u, 1461u}) {
          Segment s = segment_for(like);
          s.options = std::span(some_options).first(options);
          s.payload = std::span(all).first(payload);
          if (timestamps) {
            s.timestamps = Timestamps{0x01020304, 0xf0e0d0c0};
          }
          const Exact room(Bytes(crafted_size(s), 0xcc));
          ASSERT_EQ(craft(s, room.span()), room.span().size());
          const Headers h = parse(room.span());
          ASSERT_EQ(h.kind, FrameKind::tcp);
          EXPECT_TRUE(checksums_valid(room.span(), h));
          EXPECT_EQ(h.vlan, parse(like).vlan);
          EXPECT_EQ(LinkHeader::of(room.span(), h), s.link);
          EXPECT_EQ(h.source, s.source);
          EXPECT_EQ(h.destination, s.destination);
          EXPECT_EQ(h.source_port, s.source_port);
          EXPECT_EQ(h.destination_port, s.destination_port);
          EXPECT_EQ(h.seq, s.seq);
          EXPECT_EQ(h.ack, s.ack);
          EXPECT_EQ(h.flags, s.flags);
          EXPECT_EQ(h.window, s.window);
          EXPECT_EQ(hop_limit(room.span(), h), s.hop_limit);
          EXPECT_EQ(h.payload_length, payload);
          EXPECT_TRUE(std::equal(s.payload.begin(), s.payload.end(), room.span().begin() + h.payload));
          const TcpOptions o = read_options(room.span(), h);
          EXPECT_TRUE(o.well_formed);
          EXPECT_EQ(o.has_timestamps, timestamps);
          EXPECT_EQ(o.tsval, timestamps ? 0x01020304u : 0u);
          EXPECT_EQ(o.tsecr, timestamps ? 0xf0e0d0c0u : 0u);
          EXPECT_EQ(o.sack_permitted, options != 0);
          EXPECT_EQ(room.span().size(), std::max<size_t>(60, h.end));
        }
      }
    }
  }
}

TEST(Craft, IsTheReferenceFrameByteForByte) {
  const TcpSpec spec{.options = {1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2},
                     .payload = {'2', '2', '0', ' ', 'x', '\r', '\n'}};
  for (const Bytes& like : {ethernet(0x0800, ipv4({.id = 0, .ttl = 64}, tcp(spec)), {{0x8100, 5}}), frame6(spec)}) {
    const Headers h = parse(like);
    Segment s = segment_for(like);
    s.source_port = h.source_port;
    s.destination_port = h.destination_port;
    s.seq = h.seq;
    s.ack = h.ack;
    s.flags = h.flags;
    s.window = h.window;
    s.hop_limit = hop_limit(like, h);
    s.timestamps = Timestamps{1, 2};
    s.payload = spec.payload;
    Bytes made(crafted_size(s));
    EXPECT_EQ(craft(s, made), like.size());
    EXPECT_EQ(made, like);
  }
}

TEST(Craft, PadsShortFramesWithZeros) {
  Bytes room(80, 0xcc);
  const Bytes like = frame4();
  Segment s = segment_for(like);
  s.flags = kRst;
  EXPECT_EQ(craft(s, room), 60u);
  EXPECT_EQ(Bytes(room.begin() + 54, room.begin() + 60), Bytes(6));
  EXPECT_EQ(room[60], 0xcc);
}

TEST(Craft, WritesAnAckOnlyWithItsFlag) {
  Segment s = segment_for(frame4());
  s.flags = kRst;
  Bytes room(60);
  ASSERT_NE(craft(s, room), 0u);
  EXPECT_EQ(parse(room).ack.value, 0u);
  EXPECT_TRUE(checksums_valid(room, parse(room)));
}

TEST(Craft, WritesNothingWhereThereIsNoRoom) {
  const Bytes payload(100, 'x');
  Segment s = segment_for(frame6());
  s.payload = payload;
  const size_t size = crafted_size(s);
  for (size_t n = 0; n < size; ++n) {
    const Exact room(Bytes(n, 0xcc));
    ASSERT_EQ(craft(s, room.span()), 0u);
    ASSERT_TRUE(std::all_of(room.span().begin(), room.span().end(), [](uint8_t b) { return b == 0xcc; }));
  }
}

TEST(Craft, WritesNothingThatNoHeaderCanSay) {
  Bytes room(70'000);
  const Bytes bytes(65'535, 1);
  Segment s = segment_for(frame4());
  s.options = std::span(bytes).first(40);
  EXPECT_NE(craft(s, room), 0u);
  s.timestamps = Timestamps{};
  EXPECT_EQ(craft(s, room), 0u);  // 52 bytes of options
  s.timestamps.reset();
  s.options = std::span(bytes).first(6);
  EXPECT_EQ(craft(s, room), 0u);  // half a word
  s.options = {};
  s.payload = std::span(bytes).first(65'535 - 54);
  EXPECT_EQ(craft(s, room), 65'535u);
  EXPECT_TRUE(checksums_valid(room, parse(std::span(room).first(65'535))));
  s.payload = bytes;
  EXPECT_EQ(craft(s, room), 0u);
}

TEST(CraftDeathTest, RefusesTimestampsOnAReset) {
  Bytes room(100);
  Segment s = segment_for(frame4());
  s.flags = kRst;
  s.timestamps = Timestamps{};
  EXPECT_DEATH((void)craft(s, room), "timestamps");
}

TEST(LinkHeader, TurnsBackByItsAddressesAndKeepsItsTags) {
  const Bytes frame = frame4({}, {{0x88a8, 7}, {0x8100, 8}});
  const LinkHeader there = link_of(frame);
  const LinkHeader back = there.reversed();
  EXPECT_EQ(there.length, 22);
  EXPECT_TRUE(std::equal(back.bytes.begin(), back.bytes.begin() + 6, frame.begin() + 6));
  EXPECT_TRUE(std::equal(back.bytes.begin() + 6, back.bytes.begin() + 12, frame.begin()));
  EXPECT_TRUE(std::equal(back.bytes.begin() + 12, back.bytes.begin() + 22, frame.begin() + 12));
  EXPECT_EQ(back.reversed(), there);
}

}  // namespace
}  // namespace mire::wire
