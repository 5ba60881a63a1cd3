// What ICMP errors quote of a segment: found wherever it is cut, and its numbers moved back.
#include "dataplane/wire/quotation.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/unit/wire/frames.h"

namespace mire::wire {
namespace {

using namespace test;

const Translation kMove{0x80000123, 0x700000f1};
const Bytes kStamped{1, 1, 8, 10, 0, 0, 1, 0, 0, 0, 2, 0};
const Bytes kSacked{1, 8, 10, 0, 0, 1, 0, 0, 0, 2, 0, 5, 10, 0, 0, 0, 1, 0, 0, 0, 9, 1, 1, 1};

struct Family {
  bool v6;
  [[nodiscard]] Bytes segment(const TcpSpec& s) const { return v6 ? frame6(s) : frame4(s); }
  [[nodiscard]] size_t l3_header() const { return v6 ? 40 : 20; }
  // The pseudo-header counts with ICMPv6 (RFC 4443 2.3).
  [[nodiscard]] unsigned checksum(const Bytes& icmp) const {
    if (!v6) return naive_checksum(icmp);
    Bytes pseudo = pseudo_header(kAddresses6, icmp.size());
    pseudo[33] = 58;
    return naive_checksum(pseudo + icmp);
  }
  // An error of `type` that quotes `quoted`, an IP packet or what is left of it.
  [[nodiscard]] Bytes error(unsigned type, const Bytes& quoted, unsigned word = 0,
                            std::initializer_list<Tag> tags = {}) const {
    Bytes icmp{static_cast<uint8_t>(type),
               4,
               0,
               0,
               static_cast<uint8_t>(word >> 24),
               static_cast<uint8_t>(word >> 16),
               static_cast<uint8_t>(word >> 8),
               static_cast<uint8_t>(word)};
    icmp = icmp + quoted;
    put16(icmp, 2, checksum(icmp));
    return v6 ? ethernet(0x86dd, ipv6(58, {}, icmp, false), tags) : ethernet(0x0800, ipv4({.protocol = 1}, icmp), tags);
  }
  [[nodiscard]] unsigned checksum_of(std::span<const uint8_t> frame, const Quotation& q) const {
    return checksum(Bytes(frame.begin() + q.icmp, frame.end()));
  }
  [[nodiscard]] std::vector<unsigned> types() const {
    return v6 ? std::vector<unsigned>{1, 2, 3, 4} : std::vector<unsigned>{3, 11, 12};
  }
};

class QuotationOf : public testing::TestWithParam<bool> {
 protected:
  const Family f{GetParam()};
};
INSTANTIATE_TEST_SUITE_P(Ipv6, QuotationOf, testing::Bool());

Bytes packet_of(const Bytes& frame) { return {frame.begin() + 14, frame.end()}; }

TEST_P(QuotationOf, NamesTheSegmentWhateverTheErrorAndTheTags) {
  const Bytes packet = packet_of(f.segment({.source_port = 25, .destination_port = 40000, .payload = Bytes(600, 7)}));
  for (const unsigned type : f.types())
    for (const auto& tags : {std::initializer_list<Tag>{}, {{0x8100, 7}}, {{0x88a8, 7}, {0x8100, 8}}}) {
      const Exact frame(f.error(type, packet, 1400, tags));
      const auto q = quotation(frame.span(), parse(frame.span()));
      ASSERT_TRUE(q) << type;
      EXPECT_EQ(q->source_port, 25);
      EXPECT_EQ(q->destination_port, 40000);
      EXPECT_EQ(q->tcp, 14 + 4 * tags.size() + 2 * f.l3_header() + 8);
      EXPECT_EQ(q->end, frame.span().size());
      EXPECT_EQ(to_string(q->source), f.v6 ? "2001:db8:1:2::11" : "192.0.2.1");
      EXPECT_EQ(to_string(q->destination), f.v6 ? "2001:db8:3:4::22" : "198.51.100.7");
    }
}

TEST_P(QuotationOf, OfAServersSegmentIsTheServersAgainWhereverItIsCut) {
  for (const Bytes& options : {kStamped, kSacked, Bytes{}}) {
    const Bytes original = f.segment({.source_port = 25, .options = options, .payload = {1, 2, 3, 4, 5}});
    Bytes sent = original;
    Headers h = parse(sent);
    to_clients_numbers(sent, h, kMove);
    ASSERT_NE(sent, original);
    const size_t header = 20 + options.size();
    for (size_t cut = 8; cut <= header + 5; ++cut) {
      Bytes quoted = packet_of(sent);
      quoted.resize(f.l3_header() + cut);
      const Exact frame(f.error(3, quoted));
      const auto q = quotation(frame.span(), parse(frame.span()));
      ASSERT_TRUE(q);
      to_servers_own_numbers(frame.span(), *q, kMove);
      EXPECT_EQ(load32(&frame.span()[q->tcp + 4u]), 0x01020304u);
      EXPECT_EQ(f.checksum_of(frame.span(), *q), 0u) << "cut to " << cut;
      if (cut < header) continue;
      EXPECT_TRUE(std::equal(frame.span().begin() + q->tcp, frame.span().end(), original.begin() + h.l4)) << cut;
    }
  }
}

TEST_P(QuotationOf, OfAClientsSegmentIsTheClientsAgain) {
  for (const Bytes& options : {kStamped, kSacked, Bytes{}}) {
    const Bytes original = f.segment({.options = options, .payload = {1, 2, 3, 4, 5}});
    Bytes sent = original;
    Headers h = parse(sent);
    to_servers_numbers(sent, h, kMove);
    ASSERT_NE(sent, original);
    for (size_t cut = 8; cut <= 25 + options.size(); ++cut) {
      Bytes quoted = packet_of(sent);
      quoted.resize(f.l3_header() + cut);
      const Exact frame(f.error(3, quoted));
      const auto q = quotation(frame.span(), parse(frame.span()));
      ASSERT_TRUE(q);
      to_clients_own_numbers(frame.span(), *q, kMove);
      EXPECT_EQ(f.checksum_of(frame.span(), *q), 0u) << "cut to " << cut;
      if (cut >= 20) {
        EXPECT_EQ(load32(&frame.span()[q->tcp + 8u]), 0xa1b2c3d4u) << cut;
      }
      if (cut < 20 + options.size()) continue;
      EXPECT_TRUE(std::equal(frame.span().begin() + q->tcp, frame.span().end(), original.begin() + h.l4)) << cut;
    }
  }
}

TEST_P(QuotationOf, EndsWhereTheSegmentEndsOrTheErrorSaysSo) {
  Bytes packet = packet_of(f.segment({.source_port = 25}));
  const size_t whole = packet.size();
  const Exact padded(f.error(3, packet + Bytes(88, 0)));
  auto q = quotation(padded.span(), parse(padded.span()));
  ASSERT_TRUE(q);
  EXPECT_EQ(q->end, q->tcp + 20) << "RFC 4884 5.1: padding to 128 bytes";

  packet = packet_of(f.segment({.source_port = 25, .payload = Bytes(900, 7)}));
  packet.resize(whole + 20);  // and an extension behind
  const unsigned length = f.v6 ? (80u / 8) << 24 : (60u / 4) << 16;
  const Exact extended(f.error(3, packet + Bytes{0x20, 0, 0, 0, 0, 8, 1, 1}, length));
  q = quotation(extended.span(), parse(extended.span()));
  ASSERT_TRUE(q);
  EXPECT_EQ(q->end, q->tcp + 40);
}

TEST_P(QuotationOf, IsNoneWhereTheErrorIsAboutSomethingElse) {
  const Bytes packet = packet_of(f.segment({.source_port = 25}));
  const auto none = [](const Bytes& bytes) {
    const Exact frame(bytes);
    return !quotation(frame.span(), parse(frame.span()));
  };
  for (const unsigned type : {0u, 5u, 8u, 128u, 129u, 133u, 135u, 255u})
    EXPECT_TRUE(none(f.error(type, packet))) << type;
  for (size_t cut = 0; cut < f.l3_header() + 8; ++cut) {
    Bytes quoted = packet;
    quoted.resize(cut);
    EXPECT_TRUE(none(f.error(3, quoted))) << cut;
  }
  Bytes of_udp = packet;
  of_udp[f.v6 ? 6 : 9] = 17;
  EXPECT_TRUE(none(f.error(3, of_udp)));
  Bytes of_another_version = packet;
  of_another_version[0] ^= 0x20;
  EXPECT_TRUE(none(f.error(3, of_another_version)));
  EXPECT_TRUE(none(f.segment({.source_port = 25})));
  EXPECT_TRUE(none(ethernet(0x0806, Bytes(28, 1))));
  if (f.v6) return;
  Bytes later = packet;
  later[7] = 8;
  EXPECT_TRUE(none(f.error(3, later))) << "a later fragment begins with data";
  Bytes icmp{3, 4, 0, 0, 0, 0, 0, 0};
  EXPECT_TRUE(none(ethernet(0x0800, ipv4({.protocol = 1, .fragment = 0x2000}, icmp + packet))));
  EXPECT_FALSE(none(ethernet(0x0800, ipv4({.protocol = 1, .options = {1, 1, 1, 0}}, icmp + packet))));
  EXPECT_FALSE(none(ethernet(0x0800, ipv4({.protocol = 1}, icmp + ipv4({.options = {1, 1, 1, 0}}, tcp({}))))));
}

// Whatever stands there: nothing but the quoted header and the ICMP checksum changes, and a right one stays right.
TEST_P(QuotationOf, EditsNothingElse) {
  std::mt19937 chance(5);
  for (unsigned round = 0; round < 20'000; ++round) {
    Bytes quoted = packet_of(f.segment(
        {.source_port = 25, .options = round % 2 == 0 ? kStamped : kSacked, .payload = Bytes(chance() % 40, 7)}));
    for (auto flips = chance() % 5; flips > 0; --flips)
      quoted[f.l3_header() + chance() % (quoted.size() - f.l3_header())] = static_cast<uint8_t>(chance());
    quoted.resize(f.l3_header() + 8 + chance() % (quoted.size() - f.l3_header() - 7));
    const Bytes before = f.error(f.v6 ? 2 : 3, quoted, 1280);
    const Exact frame(before);
    const auto q = quotation(frame.span(), parse(frame.span()));
    ASSERT_TRUE(q);
    const Translation t{static_cast<uint32_t>(chance()), static_cast<uint32_t>(chance())};
    round % 3 == 0 ? to_servers_own_numbers(frame.span(), *q, t) : to_clients_own_numbers(frame.span(), *q, t);
    ASSERT_EQ(f.checksum_of(frame.span(), *q), 0u);
    for (size_t at = 0; at < before.size(); ++at) {
      const bool checksum = at == q->icmp + 2u || at == q->icmp + 3u;
      const bool header = at >= q->tcp + 4u && at < q->tcp + 60u;
      ASSERT_TRUE(checksum || header || frame.span()[at] == before[at]) << at;
    }
  }
}

}  // namespace
}  // namespace mire::wire
