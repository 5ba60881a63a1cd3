// ICMP errors about segments of a server's connection: their receiver finds its own numbers quoted, or nothing is
// changed.
#include <gtest/gtest.h>

#include "dataplane/wire/checksum.h"
#include "dataplane/wire/quotation.h"
#include "tests/support/stranger.h"

namespace mire::test {
namespace {

using enum wire::TcpFlag;
using policy::Reason;

constexpr std::string_view kEhlo = "EHLO a.example\r\n";

uint16_t checksum(std::span<const uint8_t> bytes, uint64_t start) { return wire::fold(wire::sum(bytes, start)); }

// The sum of ICMPv6's pseudo-header (RFC 4443 2.3); nothing for ICMP.
uint64_t pseudo(const wire::Address& from, const wire::Address& to, size_t length) {
  if (from.is_v4()) return 0;
  const std::array<uint8_t, 8> tail = {0, 0, static_cast<uint8_t>(length >> 8), static_cast<uint8_t>(length), 0, 0,
                                       0, 58};
  return wire::sum(tail, wire::sum(to.bytes, wire::sum(from.bytes)));
}

// "Too big", as a router on the way of `sent` tells its sender.
std::vector<uint8_t> too_big(const Sent& sent, const wire::Address& router) {
  const bool v4 = router.is_v4();
  const size_t quoted = std::min<size_t>(sent.h.end - sent.h.l3, v4 ? 548 : 1232), length = 8 + quoted;
  std::vector<uint8_t> f(sent.frame.begin(), sent.frame.begin() + sent.h.l3);
  std::swap_ranges(f.begin(), f.begin() + 6, f.begin() + 6);
  const size_t l3 = f.size();
  f.resize(l3 + (v4 ? 20 : 40));
  const wire::Address to = sent.h.source;
  if (v4) {
    f[l3] = 0x45;
    wire::store16(&f[l3 + 2], static_cast<uint16_t>(20 + length));
    f[l3 + 8] = 64;
    f[l3 + 9] = 1;
    std::copy(router.bytes.begin() + 12, router.bytes.end(), &f[l3 + 12]);
    std::copy(to.bytes.begin() + 12, to.bytes.end(), &f[l3 + 16]);
    const uint16_t sum = checksum(std::span{f}.subspan(l3), 0);
    std::memcpy(&f[l3 + 10], &sum, 2);
  } else {
    f[l3] = 0x60;
    wire::store16(&f[l3 + 4], static_cast<uint16_t>(length));
    f[l3 + 6] = 58;
    f[l3 + 7] = 64;
    std::copy(router.bytes.begin(), router.bytes.end(), &f[l3 + 8]);
    std::copy(to.bytes.begin(), to.bytes.end(), &f[l3 + 24]);
  }
  const size_t icmp = f.size();
  const uint8_t type = v4 ? 3 : 2, code = v4 ? 4 : 0;
  f.insert(f.end(), {type, code, 0, 0, 0, 0, 0x05, 0x78});
  f.insert(f.end(), sent.frame.begin() + sent.h.l3, sent.frame.begin() + static_cast<ptrdiff_t>(sent.h.l3 + quoted));
  const uint16_t sum = checksum(std::span{f}.subspan(icmp), pseudo(router, to, length));
  std::memcpy(&f[icmp + 2], &sum, 2);
  return f;
}

// What an error that went on quotes.
struct Quoted {
  SeqNo seq, ack;
  bool right = false;  // its checksum
};
Quoted quoted(const Sent& error) {
  const auto q = wire::quotation(error.frame, error.h);
  if (!q) return {};
  const auto icmp = std::span{error.frame}.subspan(q->icmp, error.h.end - q->icmp);
  return {{wire::load32(&error.frame[q->tcp + 4u])},
          {wire::load32(&error.frame[q->tcp + 8u])},
          checksum(icmp, pseudo(error.h.source, error.h.destination, icmp.size())) == 0};
}

class ErrorsOf : public testing::TestWithParam<int> {
 protected:
  ErrorsOf() {
    if (GetParam() == 6) {
      scene.gw.settings().classes.set(*wire::parse_prefix("2001:db8:9::/48"), policy::SourceClass::trusted);
      scene.gw.commit();
      t.client = address("2001:db8:1::1");
      t.server = address("2001:db8:25::25");
    }
    for (uint16_t n = 0; n < 2; ++n) {
      Talk trusted{gw};
      trusted.client = address(GetParam() == 6 ? "2001:db8:9::1" : "198.18.9.1");
      trusted.server = t.server;
      trusted.port = static_cast<uint16_t>(2000 + n);
      trusted.timestamps = true;
      trusted.syn({}, kFullSyn);
      trusted.syn_ack(kServersSynAck);
      trusted.ack();
      trusted.reply(0, 0, kGreeting);
      trusted.from_client(kRst, 0, 0);
    }
    gw.forget();
  }
  [[nodiscard]] wire::Address router() const { return address(GetParam() == 6 ? "2001:db8:77::1" : "203.0.113.1"); }
  // A stranger's dialogue, translated.
  void talk() {
    t.speak(kEhlo);
    t.welcome();
    gw.forget();
  }
  Scene scene;
  Gateway& gw{scene.gw};
  Stranger t{gw};
};
INSTANTIATE_TEST_SUITE_P(Family, ErrorsOf, testing::Values(4, 6));

TEST_P(ErrorsOf, ToTheServerQuoteTheServersOwnNumber) {
  talk();
  ASSERT_EQ(t.server_says(kAck | kPsh, t.greeted, kEhlo.size(), "250 " + std::string(700, 'x') + "\r\n"),
            Fate::forward);
  const Sent sent = gw.forwarded.back();
  ASSERT_NE(sent.h.seq, t.real_isn + 1 + t.greeted) << "translated";
  EXPECT_EQ(gw.put(Side::wan, too_big(sent, router())), Fate::forward);
  const Quoted q = quoted(gw.forwarded.back());
  EXPECT_EQ(gw.forwarded.back().to, Side::lan);
  EXPECT_EQ(q.seq, t.real_isn + 1 + t.greeted);
  EXPECT_EQ(q.ack, sent.h.ack);
  EXPECT_TRUE(q.right);
  EXPECT_EQ(gw.counted(Reason::error_translated), 1u);
}

TEST_P(ErrorsOf, ToTheClientQuoteTheClientsOwnNumbers) {
  talk();
  const auto acked = static_cast<uint32_t>(kGreeting.size());
  ASSERT_EQ(t.say(kEhlo.size(), acked, "MAIL FROM:<a@b.example>\r\n"), Fate::forward);
  const Sent sent = gw.forwarded.back();
  ASSERT_NE(sent.h.ack, t.server_isn + 1 + acked) << "translated";
  EXPECT_EQ(gw.put(Side::lan, too_big(sent, router())), Fate::forward);
  const Quoted q = quoted(gw.forwarded.back());
  EXPECT_EQ(q.seq, t.client_isn + 1 + kEhlo.size());
  EXPECT_EQ(q.ack, t.server_isn + 1 + acked);
  EXPECT_TRUE(q.right);
}

TEST_P(ErrorsOf, AboutWhatWeSaidOurselvesReachNoServer) {
  t.hear_greeting();
  const Sent greeting = gw.sent.back();
  ASSERT_EQ(greeting.text(), kGreeting);
  EXPECT_EQ(gw.put(Side::wan, too_big(greeting, router())), Fate::drop);
  EXPECT_EQ(gw.counted(Reason::error_of_ours), 1u);
}

TEST_P(ErrorsOf, AboutOtherFlowsPassUnchanged) {
  talk();
  t.server_says(kAck | kPsh, t.greeted, kEhlo.size(), "250 ok\r\n");
  const Sent sent = gw.forwarded.back();
  const auto unchanged = [&](Side from, const std::vector<uint8_t>& frame) {
    gw.forget();
    return gw.put(from, frame) == Fate::forward && gw.forwarded.back().frame == frame;
  };
  EXPECT_TRUE(unchanged(Side::lan, too_big(sent, router()))) << "no server sends it to itself";
  Sent another = sent;
  another.frame[sent.h.l4 + 3u] ^= 1;  // the client's port
  EXPECT_TRUE(unchanged(Side::wan, too_big(another, router())));
  auto to_another = too_big(sent, router());
  to_another[static_cast<size_t>(sent.h.l3) + (t.client.is_v4() ? 19 : 39)] ^= 1;
  EXPECT_TRUE(unchanged(Side::wan, to_another)) << "what it quotes was not sent by whom it goes to";
  Talk trusted{gw};
  trusted.client = address(GetParam() == 6 ? "2001:db8:9::1" : "198.18.9.1");
  trusted.server = t.server;
  trusted.open();
  trusted.reply(0, 0, kGreeting);
  EXPECT_TRUE(unchanged(Side::wan, too_big(gw.forwarded.back(), router())));
  EXPECT_EQ(gw.counted(Reason::error_translated), 0u);
}

TEST_P(ErrorsOf, GoToTheLcoreThatHasTheFlow) {
  talk();
  t.server_says(kAck | kPsh, t.greeted, kEhlo.size(), "250 ok\r\n");
  auto error = too_big(gw.forwarded.back(), router());
  EXPECT_EQ(lcore::client_of({.data = error.data(), .length = static_cast<uint16_t>(error.size()), .from = Side::wan}),
            t.client);
  EXPECT_EQ(lcore::client_of({.data = error.data(), .length = static_cast<uint16_t>(error.size()), .from = Side::lan}),
            std::nullopt);
}

}  // namespace
}  // namespace mire::test
