#include "dataplane/wire/parse.h"

#include <gtest/gtest.h>

#include "tests/unit/wire/frames.h"

namespace mire::wire {
namespace {

using namespace test;

constexpr uint64_t vlan(uint64_t count, uint64_t ids) { return count << 48 | ids; }

Headers parsed(const Bytes& frame) { return parse(Exact(frame).span()); }

void expect_malformed(const Bytes& frame, ParseError error) {
  const Headers h = parsed(frame);
  EXPECT_EQ(h.kind, FrameKind::malformed);
  EXPECT_EQ(h.error, error);
}

TEST(Parse, ReadsEveryFieldOfAPlainSegment) {
  const Headers h = parsed(frame4({.options = {1, 1, 1, 1}, .payload = {'E', 'H', 'L', 'O', '\r'}}));
  EXPECT_EQ(h.kind, FrameKind::tcp);
  EXPECT_EQ(h.error, ParseError::none);
  EXPECT_FALSE(h.ipv6);
  EXPECT_TRUE(h.ports_valid);
  EXPECT_EQ(h.source, parse_address("192.0.2.1"));
  EXPECT_EQ(h.destination, parse_address("198.51.100.7"));
  EXPECT_EQ(h.source_port, 0x1234);
  EXPECT_EQ(h.destination_port, 25);
  EXPECT_EQ(h.seq.value, 0x01020304u);
  EXPECT_EQ(h.ack.value, 0xa1b2c3d4u);
  EXPECT_EQ(h.flags, kPsh | kAck);
  EXPECT_EQ(h.window, 0xfedc);
  EXPECT_EQ(h.l3, 14);
  EXPECT_EQ(h.l4, 34);
  EXPECT_EQ(h.payload, 58);
  EXPECT_EQ(h.payload_length, 5);
  EXPECT_EQ(h.end, 63);
  EXPECT_EQ(h.vlan.value, 0u);
  EXPECT_EQ(h.sequence_length(), 5u);
}

TEST(Parse, ReadsIpv6) {
  const Headers h = parsed(frame6({.flags = kFin | kAck, .payload = {1, 2, 3}}));
  EXPECT_EQ(h.kind, FrameKind::tcp);
  EXPECT_TRUE(h.ipv6);
  EXPECT_EQ(to_string(h.source), "2001:db8:1:2::11");
  EXPECT_EQ(to_string(h.destination), "2001:db8:3:4::22");
  EXPECT_EQ(h.l4, 54);
  EXPECT_EQ(h.payload, 74);
  EXPECT_EQ(h.end, 77);
  EXPECT_EQ(h.sequence_length(), 4u);
}

TEST(Parse, TakesPaddingForNoPayload) {
  for (const Bytes& f : {frame4(), frame6(), frame4({.payload = {7}})}) {
    Headers h = parsed(f);
    const Headers padded = parsed(f + Bytes(13, 'x'));
    EXPECT_EQ(padded.kind, FrameKind::tcp);
    EXPECT_EQ(padded.end, f.size());
    EXPECT_EQ(padded.payload_length, h.payload_length);
  }
}

TEST(Parse, SkipsIpv4Options) {
  for (size_t n = 0; n <= 40; n += 4) {
    const Headers h = parsed(ethernet(0x0800, ipv4({.options = Bytes(n, 1)}, tcp({.payload = {9}}))));
    EXPECT_EQ(h.kind, FrameKind::tcp);
    EXPECT_EQ(h.l4, 34 + n);
    EXPECT_EQ(h.payload_length, 1);
  }
}

TEST(Parse, SkipsTcpOptionsOfEveryLength) {
  for (size_t n = 0; n <= 40; n += 4) {
    EXPECT_EQ(parsed(frame4({.options = Bytes(n, 1), .payload = {9}})).payload, 54 + n);
  }
}

TEST(Parse, ReadsEveryTagStack) {
  EXPECT_EQ(parsed(frame4({}, {{0x8100, 0x0064}})).vlan.value, vlan(1, 0x64));
  EXPECT_EQ(parsed(frame4({}, {{0x88a8, 0xefff}})).vlan.value, vlan(1, 0xfff));  // priority bits are no part of it
  EXPECT_EQ(parsed(frame6({}, {{0x9100, 0x0abc}, {0x8100, 0x0001}})).vlan.value, vlan(2, 0xabc001));
  const Headers four = parsed(frame4({}, {{0x88a8, 1}, {0x88a8, 2}, {0x9100, 3}, {0x8100, 4}}));
  EXPECT_EQ(four.kind, FrameKind::tcp);
  EXPECT_EQ(four.l3, 30);
  EXPECT_EQ(four.vlan.value, vlan(4, 0x001002003004));
}

TEST(Parse, TellsStacksOfTheSameIdsApart) {
  EXPECT_NE(parsed(frame4({}, {{0x88a8, 1}, {0x8100, 2}})).vlan, parsed(frame4({}, {{0x88a8, 2}, {0x8100, 1}})).vlan);
  EXPECT_NE(parsed(frame4({}, {{0x8100, 1}})).vlan, parsed(frame4({}, {{0x8100, 1}, {0x8100, 1}})).vlan);
}

TEST(Parse, TakesAPriorityTagForUntagged) {
  EXPECT_EQ(parsed(frame4({}, {{0x8100, 0xe000}})).vlan, VlanStack{});
  EXPECT_EQ(parsed(frame4({}, {{0x8100, 0xe000}})).l3, 18);
  EXPECT_EQ(parsed(frame4({}, {{0x88a8, 5}, {0x8100, 0}})).vlan, parsed(frame4({}, {{0x88a8, 5}})).vlan);
}

TEST(Parse, RefusesMoreTagsThanItKeeps) {
  expect_malformed(frame4({}, {{0x8100, 1}, {0x8100, 2}, {0x8100, 3}, {0x8100, 4}, {0x8100, 5}}), ParseError::tags);
}

TEST(Parse, CallsWhatIsNotTcpOther) {
  EXPECT_EQ(parsed(ethernet(0x0806, Bytes(28))).kind, FrameKind::other);  // ARP
  EXPECT_EQ(parsed(ethernet(0x0026, Bytes(38))).kind, FrameKind::other);  // 802.3 length
  EXPECT_EQ(parsed(ethernet(0x8863, {})).kind, FrameKind::other);         // PPPoE, nothing behind it
  EXPECT_EQ(parsed(ethernet(0x0806, Bytes(28), {{0x8100, 7}})).vlan.value, vlan(1, 7));
  EXPECT_EQ(parsed(ethernet(0x0800, ipv4({.protocol = 17}, Bytes(8)))).kind, FrameKind::other);
  EXPECT_EQ(parsed(ethernet(0x0800, ipv4({.protocol = 17, .fragment = 0x2000}, Bytes(8)))).kind, FrameKind::other);
  EXPECT_EQ(parsed(ethernet(0x0800, ipv4({.protocol = 1}, {}))).kind, FrameKind::other);
  EXPECT_EQ(parsed(ethernet(0x86dd, ipv6(58, {}, Bytes(8), false))).kind, FrameKind::other);   // ICMPv6, ND
  EXPECT_EQ(parsed(ethernet(0x86dd, ipv6(59, {}, {}, false))).kind, FrameKind::other);         // no next header
  EXPECT_EQ(parsed(ethernet(0x86dd, ipv6(50, {}, Bytes(40), false))).kind, FrameKind::other);  // ESP
  EXPECT_EQ(parsed(ethernet(0x86dd, ipv6(0, extension(0, 17), Bytes(8), false))).kind, FrameKind::other);
}

TEST(Parse, WalksEveryPairAndDepthOfExtensionHeaders) {
  for (const unsigned a : {0u, 43u, 51u, 60u}) {
    for (const unsigned b : {0u, 43u, 51u, 60u}) {
      const size_t long_header = b == 51 ? 12 : 2048;
      const Headers h =
          parsed(ethernet(0x86dd, ipv6(a, extension(a, b) + extension(b, 6, long_header), tcp({.payload = {1}}))));
      EXPECT_EQ(h.kind, FrameKind::tcp) << a << ' ' << b;
      EXPECT_EQ(h.l4, 14 + 40 + 8 + long_header);
      EXPECT_EQ(h.payload_length, 1);
    }
  }
  Bytes deep;
  for (int i = 0; i < 180; ++i) {
    deep = deep + extension(60, i < 179 ? 60 : 6);
  }
  EXPECT_EQ(parsed(ethernet(0x86dd, ipv6(60, deep, tcp({})))).kind, FrameKind::tcp);
}

TEST(Parse, TakesAnAtomicFragmentForAWholePacket) {
  const Headers h = parsed(ethernet(0x86dd, ipv6(44, fragment_header(6, 0, false), tcp({.payload = {1}}))));
  EXPECT_EQ(h.kind, FrameKind::tcp);
  EXPECT_EQ(h.l4, 62);
}

TEST(Parse, ReadsFragmentsOfIpv4) {
  const Headers first =
      parsed(ethernet(0x0800, ipv4({.fragment = 0x2000, .options = {1, 1, 1, 1}}, tcp({}) + Bytes(4))));
  EXPECT_EQ(first.kind, FrameKind::fragment);
  EXPECT_TRUE(first.ports_valid);
  EXPECT_EQ(first.destination_port, 25);
  EXPECT_EQ(first.fragment.id, 0x4242u);
  EXPECT_EQ(first.fragment.offset, 0);
  EXPECT_TRUE(first.fragment.more);
  EXPECT_EQ(first.fragment.data, 38);
  EXPECT_EQ(first.end, 62);
  EXPECT_EQ(first.destination, parse_address("198.51.100.7"));

  const Headers last = parsed(ethernet(0x0800, ipv4({.fragment = 0x0003}, Bytes(9))));
  EXPECT_EQ(last.kind, FrameKind::fragment);
  EXPECT_FALSE(last.ports_valid);
  EXPECT_EQ(last.fragment.offset, 24);
  EXPECT_FALSE(last.fragment.more);
  EXPECT_EQ(last.end - last.fragment.data, 9);
}

TEST(Parse, ReadsPortsOfAFirstFragmentOnlyIfTheyAreThere) {
  for (size_t n = 0; n < 20; ++n) {
    Bytes part = tcp({});
    part.resize(n);
    const Headers v4 = parsed(ethernet(0x0800, ipv4({.fragment = 0x2000}, part)));
    EXPECT_EQ(v4.kind, FrameKind::fragment);
    EXPECT_EQ(v4.ports_valid, n >= 4);
    const Headers v6 = parsed(ethernet(0x86dd, ipv6(44, fragment_header(6, 0, true), part, false)));
    EXPECT_EQ(v6.kind, FrameKind::fragment);
    EXPECT_EQ(v6.ports_valid, n >= 4);
  }
}

TEST(Parse, ReadsFragmentsOfIpv6) {
  const Bytes chain = extension(60, 44) + fragment_header(60, 0, true) + extension(60, 6, 16);
  const Headers first = parsed(ethernet(0x86dd, ipv6(60, chain, tcp({}), false)));
  EXPECT_EQ(first.kind, FrameKind::fragment);
  EXPECT_TRUE(first.ports_valid);
  EXPECT_EQ(first.source_port, 0x1234);
  EXPECT_EQ(first.fragment.id, 0xdeadbeefu);
  EXPECT_EQ(first.fragment.data, 14 + 40 + 16);
  EXPECT_EQ(first.l4, 14 + 40 + 32);

  const Headers later = parsed(ethernet(0x86dd, ipv6(44, fragment_header(6, 0xfff8, false), Bytes(7), false)));
  EXPECT_EQ(later.kind, FrameKind::fragment);
  EXPECT_FALSE(later.ports_valid);
  EXPECT_EQ(later.fragment.offset, 0xfff8);
  EXPECT_FALSE(later.fragment.more);
}

TEST(Parse, TakesALaterIpv6FragmentBehindAnExtensionHeaderForTcp) {
  const auto later = [](unsigned next) {
    return parsed(ethernet(0x86dd, ipv6(44, fragment_header(next, 64, true), Bytes(16), false)));
  };
  EXPECT_EQ(later(60).kind, FrameKind::fragment);
  EXPECT_EQ(later(6).kind, FrameKind::fragment);
  EXPECT_EQ(later(17).kind, FrameKind::other);
  EXPECT_EQ(later(50).kind, FrameKind::other);
}

TEST(Parse, KeepsTheOuterOfTwoFragmentHeaders) {
  const Bytes chain = fragment_header(44, 0, true, 1) + fragment_header(6, 80, true, 2);
  const Headers h = parsed(ethernet(0x86dd, ipv6(44, chain, Bytes(16), false)));
  EXPECT_EQ(h.kind, FrameKind::fragment);
  EXPECT_EQ(h.fragment.id, 1u);
  EXPECT_EQ(h.fragment.offset, 0);
  EXPECT_FALSE(h.ports_valid);
}

TEST(Parse, RefusesAFragmentBeyondTheLongestPacket) {
  expect_malformed(ethernet(0x0800, ipv4({.fragment = 0x1fff}, Bytes(8))), ParseError::bad_length);
  EXPECT_EQ(parsed(ethernet(0x0800, ipv4({.fragment = 0x1fff}, Bytes(7)))).kind, FrameKind::fragment);
  expect_malformed(ethernet(0x86dd, ipv6(44, fragment_header(6, 0xfff8, false), Bytes(8), false)),
                   ParseError::bad_length);
}

TEST(Parse, RefusesLengthsThatNoPacketHas) {
  for (const unsigned first : {0x44u, 0x40u, 0x55u, 0x65u, 0x05u}) {  // IHL below 5, another version
    Bytes f = frame4();
    f[14] = static_cast<uint8_t>(first);
    expect_malformed(f, ParseError::bad_length);
  }
  for (unsigned total = 0; total < 40; ++total) {  // ends inside the IP or TCP header
    Bytes f = frame4();
    put16(f, 16, total);
    expect_malformed(f, ParseError::bad_length);
  }
  for (const Bytes& good : {frame4(), frame6()}) {
    for (unsigned offset = 0; offset < 16; ++offset) {
      Bytes f = good;
      f[parsed(good).l4 + 12u] = static_cast<uint8_t>(offset << 4);
      if (offset == 5) {
        EXPECT_EQ(parsed(f).kind, FrameKind::tcp);
      } else {
        expect_malformed(f, ParseError::bad_length);
      }
    }
  }
  Bytes f = frame6();
  f[14] = 0x40;
  expect_malformed(f, ParseError::bad_length);
  for (unsigned length = 0; length < 20; ++length) {
    f = frame6();
    put16(f, 18, length);
    expect_malformed(f, ParseError::bad_length);
  }
}

TEST(Parse, RefusesAChainThatRunsOutOfItsPacket) {
  expect_malformed(ethernet(0x86dd, ipv6(0, {}, {}, false)), ParseError::bad_length);
  expect_malformed(ethernet(0x86dd, ipv6(60, extension(60, 60), {}, false)), ParseError::bad_length);
  Bytes liar = extension(60, 6);
  liar[1] = 3;
  expect_malformed(ethernet(0x86dd, ipv6(60, liar, tcp({}))), ParseError::bad_length);
  expect_malformed(ethernet(0x86dd, ipv6(51, extension(51, 6, 8), Bytes(4), false)), ParseError::bad_length);
}

TEST(Parse, RefusesIpv6ThatWouldPassForIpv4) {
  const Bytes mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1};
  for (const int at : {22, 38}) {  // the source, the destination
    Bytes f = frame6();
    std::copy(mapped.begin(), mapped.end(), f.begin() + at);
    expect_malformed(f, ParseError::address);
    f[static_cast<size_t>(at)] = 1;
    EXPECT_EQ(parsed(f).kind, FrameKind::tcp);
  }
}

TEST(Parse, RefusesJumbograms) {
  Bytes f = ethernet(0x86dd, ipv6(0, Bytes{6, 0, 0xc2, 4, 0, 1, 0, 0}, tcp({.payload = Bytes(1000)})));
  put16(f, 18, 0);
  expect_malformed(f, ParseError::bad_length);
}

TEST(Parse, FindsEveryTruncationOfEveryKindOfFrame) {
  const Bytes data(11, 'x');
  const TcpSpec segment{.options = Bytes(12, 1), .payload = data};
  const std::vector<Bytes> frames{
      frame4(segment),
      frame6(segment),
      frame4(segment, {{0x8100, 1}}),
      frame6(segment, {{0x88a8, 1}, {0x8100, 2}}),
      frame4(segment, {{0x88a8, 1}, {0x88a8, 2}, {0x9100, 3}, {0x8100, 4}}),
      ethernet(0x0800, ipv4({.options = Bytes(40, 1)}, tcp(segment))),
      ethernet(0x0800, ipv4({.protocol = 17}, data)),
      ethernet(0x0800, ipv4({.fragment = 0x2000}, tcp(segment))),
      ethernet(0x0800, ipv4({.fragment = 0x0010}, data)),
      ethernet(0x86dd, ipv6(0, extension(0, 43) + extension(43, 60, 24) + extension(60, 51, 16) + extension(51, 6, 24),
                            tcp(segment))),
      ethernet(0x86dd, ipv6(44, fragment_header(6, 0, false), tcp(segment))),
      ethernet(0x86dd, ipv6(44, fragment_header(6, 0, true), tcp(segment))),
      ethernet(0x86dd, ipv6(60, extension(60, 44) + fragment_header(60, 0, true) + extension(60, 6), tcp(segment))),
      ethernet(0x86dd, ipv6(44, fragment_header(6, 800, true), data, false)),
      ethernet(0x86dd, ipv6(58, {}, data, false)),
  };
  for (const Bytes& f : frames) {
    const Headers whole = parsed(f);
    EXPECT_NE(whole.kind, FrameKind::malformed);
    EXPECT_EQ(whole.end, f.size());
    for (size_t n = 0; n < f.size(); ++n) {
      const Headers h = parsed({f.begin(), f.begin() + static_cast<ptrdiff_t>(n)});
      EXPECT_EQ(h.kind, FrameKind::malformed) << n << " of " << f.size();
      EXPECT_EQ(h.error, ParseError::truncated);
    }
  }
}

TEST(Parse, NeverLeavesAPacketWhoseLengthWasCut) {  // every length that the IP header may lie
  const TcpSpec segment{.options = Bytes(12, 1), .payload = Bytes(9)};
  for (const Bytes& good : {frame4(segment), frame6(segment),
                            ethernet(0x86dd, ipv6(0, extension(0, 60) + extension(60, 6), tcp(segment)))}) {
    const Headers whole = parsed(good);
    const unsigned at = whole.ipv6 ? 18 : 16;
    const unsigned right = get16(good, at);
    for (unsigned length = 0; length <= 0xffff; ++length) {
      Bytes f = good;
      put16(f, at, length);
      const Headers h = parsed(f);
      if (length > right) {
        ASSERT_EQ(h.error, ParseError::truncated);
      } else if (length + 9 < right) {
        ASSERT_EQ(h.error, ParseError::bad_length);
      } else {
        ASSERT_EQ(h.kind, FrameKind::tcp);
        ASSERT_EQ(h.payload + h.payload_length, h.end);
        ASSERT_EQ(right - length, static_cast<unsigned>(whole.end - h.end));
      }
    }
  }
}

TEST(Parse, ReadsTheLongestFrame) {
  const Bytes f = frame4({.payload = Bytes(65'535 - 54)});
  ASSERT_EQ(f.size(), 65'535u);
  EXPECT_EQ(parsed(f).end, 65'535);
  expect_malformed(frame4({.payload = Bytes(65'536 - 54)}), ParseError::truncated);
}

TEST(ChecksumsValid, BelievesTheReferenceAndNoFlippedBit) {
  const TcpSpec segment{.options = Bytes(4, 1), .payload = {1, 2, 3}};
  for (const Bytes& good :
       {frame4(segment), frame6(segment, {{0x8100, 9}}), ethernet(0x0800, ipv4({.options = Bytes(8, 1)}, tcp(segment))),
        ethernet(0x86dd, ipv6(60, extension(60, 6), tcp(segment)))}) {
    const Headers h = parsed(good);
    EXPECT_TRUE(checksums_valid(Exact(good).span(), h));
    EXPECT_TRUE(checksums_valid(good + Bytes(3, 0xee), h));  // padding is not summed
    const size_t first = h.ipv6 ? h.l4 : h.l3;
    for (size_t bit = first * 8; bit < good.size() * 8; ++bit) {
      Bytes f = good;
      f[bit / 8] = static_cast<uint8_t>(f[bit / 8] ^ (1 << bit % 8));
      const Headers bad = parsed(f);
      if (bad.kind == FrameKind::tcp) {
        EXPECT_FALSE(checksums_valid(f, bad)) << bit;
      }
    }
  }
}

}  // namespace
}  // namespace mire::wire
