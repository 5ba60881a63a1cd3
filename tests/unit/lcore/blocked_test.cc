// Sources that are refused by ourselves: they hear us, and the server hears nothing.
#include <gtest/gtest.h>

#include <random>

#include "tests/support/gateway.h"

namespace mire::test {
namespace {

using enum wire::TcpFlag;
using policy::OnSyn;
using policy::Reason;
using policy::SourceClass;
using policy::State;

const std::vector<uint8_t> kFullSyn = {2, 4, 5, 0xb4, 1, 1, 4, 2, 1, 3, 3, 7};

// A gateway that has learned nothing of any server.
struct Scene {
  explicit Scene(OnSyn on_syn, lcore::PipelineOptions o = options()) : gw(o) {
    gw.settings().treatments[size_t(SourceClass::blocked)].syn = on_syn;
    gw.settings().classes.set(*wire::parse_prefix("198.18.5.0/24"), SourceClass::blocked);
    gw.settings().classes.set(*wire::parse_prefix("2001:db8:5::/48"), SourceClass::blocked);
    gw.commit();
  }
  static lcore::PipelineOptions options() {
    lcore::PipelineOptions o = Gateway::small();
    o.cookie_key = {1, 2, 3};
    return o;
  }
  [[nodiscard]] uint64_t records() {
    uint64_t n = 0;
    for (size_t s = 0; s < policy::kStates; ++s) n += gw.flows(static_cast<State>(s));
    return n;
  }
  [[nodiscard]] bool server_heard() const {
    const auto lan = [](const Sent& s) { return s.to == Side::lan; };
    return std::any_of(gw.sent.begin(), gw.sent.end(), lan) ||
           std::any_of(gw.forwarded.begin(), gw.forwarded.end(), lan);
  }
  Gateway gw;
};

struct Blocked : Talk {
  explicit Blocked(Gateway& g, int family = 4) : Talk{g} {
    client = address(family == 4 ? "198.18.5.1" : "2001:db8:5::1");
    if (family == 6) server = address("2001:db8:25::25");
  }
  // SYN, and our SYN-ACK.
  void knock(const std::vector<uint8_t>& options = kFullSyn) {
    gw.forget();
    EXPECT_EQ(syn({}, options), Fate::drop);
    ASSERT_EQ(gw.sent.size(), 1u);
    server_isn = gw.sent[0].h.seq;
  }
};

class BlockedOf : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Family, BlockedOf, testing::Values(4, 6));

TEST_P(BlockedOf, RejectCompletesTheHandshakeWithoutARecordAndOffersOnlyAnMss) {
  Scene s(OnSyn::reject);
  Blocked t(s.gw, GetParam());
  t.timestamps = true;
  t.knock();
  const Sent& answer = s.gw.sent[0];
  EXPECT_EQ(answer.to, Side::wan);
  EXPECT_EQ(answer.h.flags, kSyn | kAck);
  EXPECT_EQ(answer.h.source, t.server);
  EXPECT_EQ(answer.h.ack, t.client_isn + 1);
  EXPECT_GT(answer.h.window, 0);
  EXPECT_EQ(answer.options().mss, GetParam() == 4 ? 1460 : 1440);
  EXPECT_FALSE(answer.options().has_window_scale || answer.options().sack_permitted || answer.options().has_timestamps);
  EXPECT_TRUE(wire::checksums_valid(answer.frame, answer.h));
  EXPECT_EQ(s.records(), 0u);
  EXPECT_FALSE(s.server_heard());
}

TEST_P(BlockedOf, RejectNeverAnswersWithMoreThanCame) {
  for (const std::vector<uint8_t>& options : {std::vector<uint8_t>{}, std::vector<uint8_t>{2, 4, 5, 0xb4}, kFullSyn}) {
    Scene s(OnSyn::reject);
    Blocked t(s.gw, GetParam());
    t.knock(options);
    const size_t came = t.frame(Side::wan, kSyn, t.client_isn, {}, {}, options).size();
    EXPECT_LE(s.gw.sent[0].frame.size(), std::max<size_t>(came, 60));
  }
}

TEST_P(BlockedOf, RejectRefusesAProvenClientAndClosesInOrder) {
  Scene s(OnSyn::reject);
  Blocked t(s.gw, GetParam());
  t.knock();
  s.gw.forget();
  EXPECT_EQ(t.ack(), Fate::drop);
  ASSERT_EQ(s.gw.sent.size(), 1u);
  const Sent reply = s.gw.sent[0];
  EXPECT_EQ(reply.text().substr(0, 10), "554 5.7.1 ");
  EXPECT_EQ(reply.text().substr(reply.text().size() - 2), "\r\n");
  EXPECT_TRUE(reply.has(kFin | kAck));
  EXPECT_EQ(t.in_server(reply.h.seq), 0u);
  EXPECT_EQ(t.in_client(reply.h.ack), 0u);
  EXPECT_GT(reply.h.window, 0) << "it may say QUIT and close";
  EXPECT_EQ(s.gw.flows(State::replied), 1u);
  ASSERT_FALSE(s.gw.events.empty());
  EXPECT_EQ(s.gw.events.back().reason, Reason::blocked_rejected);

  // Lost: it comes again for whatever shows that it was.
  s.gw.forget();
  t.ack();
  ASSERT_EQ(s.gw.sent.size(), 1u);
  EXPECT_EQ(s.gw.sent[0].text(), reply.text());
  // Heard: what the client says, and its FIN, are acknowledged.
  s.gw.forget();
  const auto heard = static_cast<uint32_t>(reply.text().size() + 1);
  t.say(0, heard, "QUIT\r\n");
  t.from_client(kFin | kAck, 6, heard);
  ASSERT_EQ(s.gw.sent.size(), 2u);
  EXPECT_EQ(t.in_client(s.gw.sent[0].h.ack), 6u);
  EXPECT_EQ(t.in_client(s.gw.sent[1].h.ack), 7u);
  EXPECT_FALSE(s.server_heard());
}

TEST_P(BlockedOf, RejectAnswersWordsOnTheHandshakesAck) {
  Scene s(OnSyn::reject);
  Blocked t(s.gw, GetParam());
  t.knock();
  s.gw.forget();
  EXPECT_EQ(t.say(0, 0, "EHLO a.example\r\n"), Fate::drop);
  ASSERT_EQ(s.gw.sent.size(), 1u);
  EXPECT_EQ(s.gw.sent[0].text().substr(0, 4), "554 ");
  EXPECT_EQ(t.in_client(s.gw.sent[0].h.ack), 16u);
  EXPECT_FALSE(s.server_heard());
}

TEST_P(BlockedOf, RejectSaysWhatTheOperatorWrote) {
  Scene s(OnSyn::reject);
  s.gw.settings().texts[size_t(smtp::OwnReply::blocked)] = "ask about %address% (%reason%)";
  s.gw.commit();
  Blocked t(s.gw, GetParam());
  t.knock();
  s.gw.forget();
  t.ack();
  ASSERT_EQ(s.gw.sent.size(), 1u);
  EXPECT_EQ(s.gw.sent[0].text(), "554 5.7.1 ask about " + wire::to_string(t.client) + " (blocked_rejected)\r\n");
}

TEST(Blocked, RejectBelievesNoNumberThatItDidNotGive) {
  Scene s(OnSyn::reject);
  Blocked t(s.gw);
  t.knock();
  s.gw.forget();
  EXPECT_EQ(t.from_client(kAck, 0, 1), Fate::drop);
  EXPECT_EQ(t.from_client(kAck, 1, 0), Fate::drop);
  EXPECT_EQ(t.from_client(kAck | kPsh, 3, 5, "EHLO\r\n"), Fate::drop);
  EXPECT_EQ(t.from_client(kRst, 0, 0), Fate::drop);
  EXPECT_EQ(t.from_client(kSyn | kAck, 0, 0), Fate::drop);
  EXPECT_TRUE(s.gw.sent.empty());
  EXPECT_EQ(s.records(), 0u);
  s.gw.now += seconds{200};
  EXPECT_EQ(t.ack(), Fate::drop) << "a number lives two minutes";
  EXPECT_EQ(s.records(), 0u);
  EXPECT_FALSE(s.server_heard());
}

TEST(Blocked, RejectLetsNoNewSynOfAnOldNameThrough) {
  Scene s(OnSyn::reject);
  Blocked t(s.gw);
  for (int round = 0; round < 3; ++round) {
    t.client_isn = t.client_isn + 100'000;
    t.knock();
    s.gw.forget();
    t.ack();
    ASSERT_EQ(s.gw.sent.size(), 1u);
    EXPECT_EQ(s.gw.sent[0].text().substr(0, 4), "554 ");
    EXPECT_EQ(s.gw.flows(State::replied), 1u);
  }
  EXPECT_FALSE(s.server_heard());
}

TEST(Blocked, RejectToASourceThatWasBlockedMeanwhileLeavesItsDialogueAlone) {
  Scene s(OnSyn::reject);
  Talk t{s.gw};
  t.client = address("198.18.8.1");
  auto& unknown = s.gw.settings().treatments[size_t(SourceClass::unknown)];
  unknown.greeting = {};
  s.gw.commit();
  t.open();
  t.reply(0, 0, kGreeting);
  EXPECT_EQ(t.say(0, kGreeting.size(), "NOOP\r\n"), Fate::forward);
  s.gw.settings().classes.set(*wire::parse_prefix("198.18.8.0/24"), SourceClass::blocked);
  s.gw.commit();
  EXPECT_EQ(t.say(6, kGreeting.size(), "NOOP\r\n"), Fate::forward);
  Talk again = t;
  again.client_isn = {77};
  EXPECT_EQ(again.syn(), Fate::drop) << "beside it, none begins";
  t.from_client(kFin | kAck, 12, kGreeting.size());
  t.from_server(kFin | kAck, kGreeting.size(), 13);
  s.gw.forget();
  EXPECT_EQ(again.syn(), Fate::drop);
  ASSERT_EQ(s.gw.sent.size(), 1u) << "after it, it is refused as any";
  EXPECT_TRUE(s.gw.sent[0].has(kSyn | kAck));
}

TEST(Blocked, RejectIsBoundedWhereNothingIsProven) {
  lcore::PipelineOptions o = Scene::options();
  o.meetings_per_second = 10;
  Scene s(OnSyn::reject, o);
  for (uint16_t p = 1; p <= 100; ++p) {
    Blocked t(s.gw);
    t.port = p;
    t.syn();
  }
  EXPECT_EQ(s.gw.sent.size(), 10u);
  EXPECT_EQ(s.gw.counted(Reason::reflection_bound), 90u);
}

TEST(Blocked, RejectFillsNoTableOfServers) {
  Scene s(OnSyn::reject);  // 16 servers, every lan address protected
  for (int n = 1; n <= 40; ++n) {
    Blocked t(s.gw);
    t.server = address("198.19.7." + std::to_string(n));
    t.knock();
    s.gw.forget();
    t.ack();
    ASSERT_EQ(s.gw.sent.size(), 1u);
    EXPECT_EQ(s.gw.sent[0].has(kRst), n > 8) << n << ": without a record there is no reply, but a reset";
  }
  EXPECT_FALSE(s.server_heard());
  Talk honest{s.gw};
  honest.client = address("198.18.8.1");
  honest.open();
  EXPECT_EQ(s.gw.flows(State::waiting), 1u);
}

TEST(Blocked, ObservingRejectsNobody) {
  Scene s(OnSyn::reject);
  s.gw.settings().observe = true;
  s.gw.commit();
  Blocked t(s.gw);
  EXPECT_EQ(t.syn(), Fate::forward);
  t.syn_ack();
  EXPECT_EQ(t.ack(), Fate::forward);
}

TEST(Blocked, AnUnprotectedServerIsNoneOfOurs) {
  Scene s(OnSyn::reject);
  s.gw.settings().protect.insert(address("198.19.0.99"));
  s.gw.commit();
  Blocked t(s.gw);
  EXPECT_EQ(t.syn(), Fate::forward);
  t.server = address("198.19.0.99");
  EXPECT_EQ(t.syn(), Fate::drop);
}

// --- the trap

TEST_P(BlockedOf, TrapTakesTheConnectionWithAClosedWindow) {
  Scene s(OnSyn::trap);
  Blocked t(s.gw, GetParam());
  t.timestamps = true;
  t.knock();
  const Sent& answer = s.gw.sent[0];
  EXPECT_EQ(answer.h.flags, kSyn | kAck);
  EXPECT_EQ(answer.h.ack, t.client_isn + 1);
  EXPECT_EQ(answer.h.window, 0);
  EXPECT_FALSE(answer.options().has_window_scale || answer.options().sack_permitted || answer.options().has_timestamps);
  s.gw.forget();
  EXPECT_EQ(t.ack(), Fate::drop);
  EXPECT_TRUE(s.gw.sent.empty()) << "an ACK is not acknowledged";
  EXPECT_EQ(s.records(), 0u);
}

TEST_P(BlockedOf, TrapAnswersDataAndProbesOneForOneForAsLongAsTheyCome) {
  Scene s(OnSyn::trap);
  Blocked t(s.gw, GetParam());
  t.knock();
  t.ack();
  for (int hour = 0; hour < 100; ++hour) {
    s.gw.now += std::chrono::hours{1};
    s.gw.forget();
    t.say(0, 0, "EHLO a.example\r\n");    // the whole queue, window or not
    t.say(16, 0, "MAIL FROM:<a@b>\r\n");  // and more of it
    t.say(0, 0, "E");                     // a window probe of one byte (RFC 9293 3.8.6.1)
    t.from_client(kAck, 0xffffffff, 0);   // one without, as Linux sends it; and any keepalive
    t.say(0xffffffff, 0, "x");            // a keepalive with a byte of garbage
    ASSERT_EQ(s.gw.sent.size(), 5u);
    for (const Sent& a : s.gw.sent) {
      EXPECT_EQ(a.to, Side::wan);
      EXPECT_EQ(a.h.flags, kAck);
      EXPECT_EQ(a.h.window, 0);
      EXPECT_EQ(t.in_client(a.h.ack), 0u) << "not a byte is acknowledged";
      EXPECT_EQ(t.in_server(a.h.seq), 0u);
      EXPECT_LE(a.frame.size(), GetParam() == 4 ? 60u : 74u);
      EXPECT_TRUE(wire::checksums_valid(a.frame, a.h));
    }
    EXPECT_FALSE(s.server_heard());
  }
  EXPECT_EQ(s.records(), 0u);
}

TEST(Blocked, TrapLetsGoWhoGoes) {
  Scene s(OnSyn::trap);
  Blocked t(s.gw);
  t.knock();
  s.gw.forget();
  t.ack();
  EXPECT_EQ(t.from_client(kFin | kAck, 0, 0), Fate::drop);
  EXPECT_EQ(t.from_client(kFin | kAck, 16, 0, "QUIT\r\n"), Fate::drop);
  EXPECT_EQ(t.from_client(kRst, 0, 0), Fate::drop);
  EXPECT_EQ(t.from_client(kRst | kAck, 0, 0), Fate::drop);
  EXPECT_TRUE(s.gw.sent.empty());
  EXPECT_FALSE(s.server_heard());
}

TEST(Blocked, TrapAnswersNoNumberThatIsNotItsOwn) {
  Scene s(OnSyn::trap);
  for (uint32_t n = 0; n < 5000; ++n) {
    Blocked t(s.gw);
    t.server_isn = {n * 811'131u};
    EXPECT_EQ(t.say(0, 0, "EHLO a.example\r\n"), Fate::drop);
    EXPECT_EQ(t.from_client(kAck, 0xffffffff, 0), Fate::drop);
  }
  EXPECT_LE(s.gw.sent.size(), 2u) << "one in 65,000 would be answered, as if it had been trapped";
  EXPECT_FALSE(s.server_heard());
}

TEST(Blocked, TrapNeverSendsMoreThanCameWhateverComes) {
  Scene s(OnSyn::trap);
  std::mt19937 chance(5);
  for (int n = 0; n < 20'000; ++n) {
    Blocked t(s.gw, n % 2 == 0 ? 4 : 6);
    t.port = static_cast<uint16_t>(chance() % 50);
    s.gw.now += milliseconds{1};
    s.gw.forget();
    if (chance() % 4 == 0) {
      t.syn({}, chance() % 2 == 0 ? kFullSyn : std::vector<uint8_t>{});
    } else {
      t.server_isn = t.client_isn;  // near enough for some
      t.from_client(static_cast<uint8_t>(chance() % 64), static_cast<uint32_t>(n % 3 - 1), 0,
                    std::string(chance() % 4, 'x'));
    }
    ASSERT_LE(s.gw.sent.size(), 1u);
  }
  EXPECT_EQ(s.records(), 0u);
  EXPECT_FALSE(s.server_heard());
}

TEST(Blocked, TrapIsBoundedInAllAndForEachSource) {
  lcore::PipelineOptions o = Scene::options();
  o.lcores = 2;
  Scene s(OnSyn::trap, o);
  s.gw.settings().trap = {60, 10};
  s.gw.commit();
  s.gw.now += seconds{1};  // the bounds begin anew
  const auto knocks = [&](const char* from, int times) {
    s.gw.forget();
    for (int n = 1; n <= times; ++n) {
      Blocked t(s.gw);
      t.client = address(from);
      if (!t.client.is_v4()) t.server = address("2001:db8:25::25");
      t.port = static_cast<uint16_t>(n);
      t.syn();
    }
    return s.gw.sent.size();
  };
  EXPECT_EQ(knocks("198.18.5.1", 100), 10u);
  EXPECT_EQ(knocks("198.18.5.2", 100), 10u);
  EXPECT_EQ(knocks("2001:db8:5::1", 5), 5u);
  EXPECT_EQ(knocks("2001:db8:5::2", 100), 5u) << "a /64 is one source";
  EXPECT_EQ(knocks("198.18.5.3", 100), 0u) << "30 in all: half of the box's";
  s.gw.now += seconds{1};
  EXPECT_EQ(knocks("198.18.5.1", 100), 10u);
}

TEST(Blocked, TrapHolds100000ClientsWithoutARecord) {
  Scene s(OnSyn::trap);
  s.gw.settings().trap = {1u << 20, 1u << 20};
  s.gw.commit();
  s.gw.now += seconds{1};
  std::vector<SeqNo> numbers;
  for (uint32_t n = 0; n < 100'000; ++n) {
    Blocked t(s.gw);
    t.client.bytes[15] = static_cast<uint8_t>(n / 50'000 + 1);
    t.port = static_cast<uint16_t>(1024 + n % 50'000);
    t.syn();
    ASSERT_EQ(s.gw.sent.size(), 1u);
    numbers.push_back(s.gw.sent[0].h.seq);
    s.gw.forget();
  }
  s.gw.now += std::chrono::minutes{30};
  for (uint32_t n = 0; n < 100'000; ++n) {
    Blocked t(s.gw);
    t.client.bytes[15] = static_cast<uint8_t>(n / 50'000 + 1);
    t.port = static_cast<uint16_t>(1024 + n % 50'000);
    t.server_isn = numbers[n];
    t.from_client(kAck, 0xffffffff, 0);
    ASSERT_EQ(s.gw.sent.size(), 1u);
    ASSERT_EQ(t.in_client(s.gw.sent[0].h.ack), 0u);
    s.gw.forget();
  }
  EXPECT_EQ(s.records(), 0u);
  EXPECT_TRUE(s.gw.events.empty());
}

}  // namespace
}  // namespace mire::test
