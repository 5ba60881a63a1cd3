// Early talk, exactly: who is reset, with which numbers, and who is not.
#include <gtest/gtest.h>

#include "tests/support/gateway.h"

namespace mire::test {
namespace {

using policy::Reason;
using policy::SourceClass;
using policy::State;
using policy::Verdict;

// The two resets that end it, or nothing.
struct Resets {
  const Sent* client = nullptr;
  const Sent* server = nullptr;
  explicit Resets(const Gateway& gw) {
    for (const auto& s : gw.sent)
      if (s.has(wire::kRst)) (s.to == Side::wan ? client : server) = &s;
  }
};

TEST(EarlyTalk, WhileTheGreetingIsHeldResetsBothSidesAtTheirExactNumbers) {
  Gateway gw;
  Talk t{gw};
  t.open();
  t.reply(0, 0, kGreeting);
  EXPECT_EQ(t.say(0, 0, "EHLO spammer\r\n"), Fate::drop);
  const Resets r(gw);
  ASSERT_TRUE(r.client && r.server);
  EXPECT_EQ(t.in_server(r.client->h.seq), 0u) << "client has nothing of the server's: G";
  EXPECT_EQ(t.in_client(r.server->h.seq), 0u) << "nothing of the client's was forwarded";
  EXPECT_EQ(r.server->h.flags, wire::kRst);
  EXPECT_FALSE(r.server->options().has_timestamps);
  EXPECT_EQ(gw.flows(State::tombstone), 1u);
  ASSERT_FALSE(gw.events.empty());
  const auto& e = gw.events.back();
  EXPECT_EQ(e.reason, Reason::early_talk);
  EXPECT_EQ(e.verdict, Verdict::reset);
  EXPECT_EQ(std::string(e.first_bytes.begin(), e.first_bytes.begin() + e.bytes_length), "EHLO spammer\r\n");
  EXPECT_EQ(e.penalty_ms, 60'000u);
  gw.wait(seconds{6});
  EXPECT_EQ(gw.sent.size(), 2u) << "the parked greeting is gone";
}

TEST(EarlyTalk, OnTheHandshakesAckResetsAServerStillInSynReceived) {
  Gateway gw;
  Talk t{gw};
  t.syn();
  t.syn_ack();
  EXPECT_EQ(t.say(0, 0, "EHLO x\r\nMAIL FROM:<a@b>\r\n"), Fate::drop);
  const Resets r(gw);
  ASSERT_TRUE(r.client && r.server);
  EXPECT_EQ(r.server->h.seq, t.client_isn + 1);
  EXPECT_EQ(r.client->h.seq, t.server_isn + 1);
}

TEST(EarlyTalk, OneByteIsEnough) {
  Gateway gw;
  Talk t{gw};
  t.open();
  EXPECT_EQ(t.say(0, 0, "E"), Fate::drop);
  EXPECT_EQ(gw.flows(State::tombstone), 1u);
}

TEST(EarlyTalk, OutOfOrderBytesAreSpeechToo) {
  Gateway gw;
  Talk t{gw};
  t.open();
  EXPECT_EQ(t.say(500, 0, "MAIL FROM:<a@b>\r\n"), Fate::drop);
  EXPECT_EQ(gw.counted(Reason::early_talk), 1u);
}

TEST(EarlyTalk, WhileTheGreetingIsInFlightIsToldByTheAckNumber) {
  const auto n = static_cast<uint32_t>(kGreeting.size());
  for (const auto& [ack, early] : std::vector<std::pair<uint32_t, bool>>{{0, true}, {n - 1, true}, {n, false}}) {
    Gateway gw;
    Talk t{gw};
    t.open();
    t.reply(0, 0, kGreeting);
    gw.wait(seconds{6});
    gw.sent.clear();
    EXPECT_EQ(t.say(0, ack, "EHLO a\r\n"), early ? Fate::drop : Fate::forward) << ack;
    EXPECT_EQ(gw.flows(State::tombstone), early ? 1u : 0u);
    if (!early) continue;
    std::vector<uint32_t> at;
    for (const auto& s : gw.sent)
      if (s.to == Side::wan) at.push_back(t.in_server(s.h.seq));
    EXPECT_EQ(at, (std::vector<uint32_t>{ack, n})) << "one at the segment's ACK, one at F";
  }
}

TEST(EarlyTalk, AnAckOfWhatWasNeverSentIsNoEvidence) {
  Gateway gw;
  Talk t{gw};
  t.open();
  EXPECT_EQ(t.say(0, 5, "EHLO a\r\n"), Fate::drop);
  EXPECT_EQ(gw.counted(Reason::ahead_ack), 1u);
  EXPECT_EQ(gw.flows(State::waiting), 1u);
  t.reply(0, 0, kGreeting);
  gw.wait(seconds{6});
  EXPECT_EQ(t.say(0, 5000, "EHLO a\r\n"), Fate::forward) << "for the server to refuse";
  EXPECT_EQ(gw.counted(Reason::early_talk), 0u);
}

TEST(EarlyTalk, OutsideTheWindowIsNoEvidence) {
  Gateway gw;
  Talk t{gw};
  t.open();
  EXPECT_EQ(t.say(70000, 0, "EHLO a\r\n"), Fate::drop);
  EXPECT_EQ(gw.counted(Reason::outside_window), 1u);
  EXPECT_EQ(gw.counted(Reason::early_talk), 0u);
}

TEST(EarlyTalk, AnAckALittleBelowTheGreetingDoesNotCarryItsBytesRound) {
  Gateway gw;
  Talk t{gw};
  t.open();
  t.reply(0, 0, kGreeting);
  gw.wait(seconds{6});
  EXPECT_EQ(t.say(0, 0xffffffff, "EHLO a\r\n"), Fate::drop) << "a server would take it (RFC 5961 5.2)";
  EXPECT_EQ(gw.counted(Reason::outside_window), 1u);
}

TEST(EarlyTalk, InADialogueAWrongChecksumOrAnImpossibleNumberIsNotFollowed) {
  Gateway gw;
  for (auto& tr : gw.settings().treatments) tr.pipelining = policy::OnPipelining::reset;
  gw.commit();
  Talk t{gw};
  const auto g = static_cast<uint32_t>(kGreeting.size());
  t.open();
  t.reply(0, 0, kGreeting);
  gw.wait(seconds{6});
  t.say(0, g, "EHLO a\r\n");
  auto forged = t.frame(Side::wan, wire::kAck, t.client_isn + 9, t.server_isn + 1 + g, "MAIL FROM:<a@b>\r\n");
  forged.back() ^= 1;
  EXPECT_EQ(gw.put(Side::wan, forged), Fate::forward);
  EXPECT_EQ(t.say(8, g + 77, "MAIL FROM:<a@b>\r\n"), Fate::forward) << "acknowledges what was never sent";
  EXPECT_EQ(t.say(8 + (1u << 30), g, "x"), Fate::forward);
  EXPECT_EQ(gw.counted(Reason::unsynchronised_pipelining), 0u);
  EXPECT_EQ(gw.flows(State::talking), 1u);
  EXPECT_EQ(t.say(8, g, "MAIL FROM:<a@b>\r\n"), Fate::drop);
  EXPECT_EQ(gw.flows(State::tombstone), 1u);
}

TEST(EarlyTalk, KeepalivesAndRepeatedAcksAreNot) {
  Gateway gw;
  Talk t{gw};
  t.open();
  EXPECT_EQ(t.ack(), Fate::forward);
  EXPECT_EQ(gw.put(Side::wan, t.frame(Side::wan, wire::kAck, t.client_isn, t.server_isn + 1, "x")), Fate::forward);
  EXPECT_EQ(gw.put(Side::wan, t.frame(Side::wan, wire::kAck, t.client_isn, t.server_isn + 1)), Fate::forward);
  EXPECT_EQ(gw.flows(State::waiting), 1u);
}

TEST(EarlyTalk, AWrongChecksumProvesNothing) {
  Gateway gw;
  Talk t{gw};
  t.open();
  auto f = t.frame(Side::wan, wire::kAck, t.client_isn + 1, t.server_isn + 1, "EHLO a\r\n");
  f.back() ^= 1;
  EXPECT_EQ(gw.put(Side::wan, f), Fate::forward) << "the server drops it";
  EXPECT_EQ(gw.counted(Reason::bad_checksum), 1u);
  EXPECT_EQ(gw.flows(State::waiting), 1u);
}

TEST(EarlyTalk, NothingIsChargedBeforeTheHandshakeIsProven) {
  Gateway gw;
  gw.settings().protect.insert(address("198.19.0.25"));
  gw.commit();
  Talk t{gw};
  t.syn();
  EXPECT_EQ(t.say(0, 0, "EHLO a\r\n"), Fate::drop) << "no SYN-ACK has gone out";
  t.syn_ack();
  EXPECT_EQ(gw.put(Side::wan, t.frame(Side::wan, wire::kAck, t.client_isn + 1, t.server_isn + 9, "EHLO\r\n")),
            Fate::drop);
  EXPECT_EQ(gw.put(Side::wan, t.frame(Side::wan, wire::kAck, t.client_isn + 9, t.server_isn + 1, "EHLO\r\n")),
            Fate::drop);
  EXPECT_EQ(gw.counted(Reason::early_talk), 0u);
  EXPECT_FALSE(gw.pipeline().find_source(t.client, gw.now).has_value());
}

TEST(EarlyTalk, MakesTheSourceSuspectAndThePenaltyDoubles) {
  Gateway gw;
  for (uint16_t i = 0; i < 3; ++i) {
    Talk t{gw};
    t.port = static_cast<uint16_t>(41000 + i);
    t.syn();
    t.syn_ack();
    gw.wait(seconds{1});  // a suspect's SYN-ACK is held
    t.say(0, 0, "EHLO a\r\n");
    EXPECT_EQ(gw.events.back().penalty_ms, 60'000u << i);
    const auto v = gw.pipeline().find_source(t.client, gw.now);
    ASSERT_TRUE(v.has_value());
    EXPECT_EQ(v->source_class, SourceClass::suspect);
    EXPECT_EQ(v->offences, i + 1u);
  }
  EXPECT_EQ(gw.counted(Reason::syn_ack_held), 2u) << "it holds at once for the next connection";
}

TEST(EarlyTalk, OfATrustedSourceIsOnlyCounted) {
  Gateway gw;
  gw.settings().classes.set(*wire::parse_prefix("198.18.0.0/15"), SourceClass::trusted);
  gw.commit();
  Talk t{gw};
  t.open();
  EXPECT_EQ(t.say(0, 0, "EHLO a\r\n"), Fate::forward);
  EXPECT_EQ(gw.counted(Reason::early_talk_counted), 1u);
  EXPECT_EQ(t.reply(0, 8, kGreeting), Fate::forward);
  EXPECT_EQ(gw.flows(State::talking), 1u);
}

TEST(EarlyTalk, OfAKnownSourceThatSpeaksHttpNeverDemotesIt) {
  for (const auto& [said, demoted] :
       std::vector<std::pair<std::string, bool>>{{"GET / HTTP/1.1\r\n", false}, {"MAIL FROM:<>\r\n", true}}) {
    Gateway gw;
    gw.settings().classes.set(*wire::parse_prefix("198.18.0.0/15"), SourceClass::known);
    gw.commit();
    Talk t{gw};
    t.open();
    EXPECT_EQ(t.say(0, 0, said), Fate::drop);
    EXPECT_EQ(gw.pipeline().find_source(t.client, gw.now)->source_class,
              demoted ? SourceClass::suspect : SourceClass::known);
  }
}

TEST(EarlyTalk, ObservedIsCountedAndWhatTheFlowGoesOnToDoIsTold) {
  Gateway gw;
  gw.settings().observe = true;
  gw.commit();
  Talk t{gw};
  t.open();
  const std::string blast = "EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n";
  EXPECT_EQ(t.say(0, 0, blast), Fate::forward);
  EXPECT_EQ(gw.counted(Reason::early_talk_observed), 1u);
  uint32_t at = static_cast<uint32_t>(kGreeting.size());
  const auto n = static_cast<uint32_t>(blast.size());
  EXPECT_EQ(t.reply(0, n, kGreeting), Fate::forward);
  const std::string replies = "250 mx\r\n250 ok\r\n250 ok\r\n354 go\r\n";
  t.reply(at, n, replies);
  at += static_cast<uint32_t>(replies.size());
  t.say(n, at, "hello\r\n.\r\n");
  t.reply(at, n + 10, "250 queued\r\n");
  at += 12;
  t.from_client(wire::kAck | wire::kFin, n + 10, at);
  t.from_server(wire::kAck | wire::kFin, at, n + 11);
  EXPECT_TRUE(gw.sent.empty());
  const auto& e = gw.events.back();
  EXPECT_EQ(e.observed, 1);
  EXPECT_EQ(e.accepted, 1u);
  EXPECT_EQ(e.reason, Reason::delivered);
}

TEST(EarlyTalk, ATombstoneDropsBothDirectionsAndAnswersOnceASecond) {
  Gateway gw;
  Talk t{gw};
  t.open();
  t.say(0, 0, "x");
  gw.forget();
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(t.say(1, 7, "MAIL FROM:<>\r\n"), Fate::drop);
    EXPECT_EQ(t.reply(0, 0, kGreeting), Fate::drop);
  }
  EXPECT_EQ(gw.sent.size(), 1u);
  EXPECT_EQ(t.in_server(gw.sent[0].h.seq), 7u) << "a segment's own ACK is the number that its sender obeys";
  gw.wait(seconds{1});
  t.reply(0, 3, kGreeting);
  ASSERT_EQ(gw.sent.size(), 2u);
  EXPECT_EQ(t.in_client(gw.sent[1].h.seq), 3u);
  gw.wait(seconds{140});
  EXPECT_EQ(t.say(1, 7, "MAIL FROM:<>\r\n"), Fate::drop) << "at least 150 s: the life of a SYN cookie";
  EXPECT_EQ(gw.flows(State::tombstone), 1u);
}

TEST(EarlyTalk, ANewConnectionOnATombstoneBeginsWhenTheServerAnswersIt) {
  Gateway gw;
  Talk t{gw};
  t.open();
  t.say(0, 0, "x");
  t.client_isn = {99};
  t.server_isn = {77777};
  EXPECT_EQ(t.syn(), Fate::forward);
  EXPECT_EQ(gw.flows(State::tombstone), 1u);
  t.syn_ack();
  gw.wait(seconds{1});
  EXPECT_EQ(t.ack(), Fate::forward);
  EXPECT_EQ(gw.flows(State::waiting), 1u);
}

TEST(EarlyTalk, APenaltyGoesOnAfterARestart) {
  Gateway before;
  Talk t{before};
  for (uint16_t i = 0; i < 2; ++i) {
    t.port = static_cast<uint16_t>(40000 + i);
    t.syn();
    t.syn_ack();
    before.wait(seconds{1});  // the second time its SYN-ACK is held
    t.ack();
    t.say(0, 0, "EHLO early\r\n");
  }
  const mailbox::FlowEvent& told = before.events.back();
  EXPECT_EQ(told.penalty_ms, 120'000u);
  EXPECT_EQ(told.offences, 2);

  Gateway after;
  after.settings().penalties[t.client] = {after.now + seconds{100}, after.now - seconds{20}, told.offences};
  after.commit();
  EXPECT_EQ(after.pipeline().find_source(t.client, after.now)->source_class, SourceClass::suspect);
  EXPECT_EQ(after.pipeline().find_source(t.client, after.now)->penalty_left, seconds{100});
  Talk u{after};
  u.syn();
  EXPECT_EQ(u.syn_ack(), Fate::drop) << "a suspect's SYN-ACK is held";
  after.wait(seconds{1});
  u.ack();
  u.say(0, 0, "EHLO early\r\n");
  EXPECT_EQ(after.events.back().offences, 3);
  EXPECT_EQ(after.events.back().penalty_ms, 240'000u) << "doubled from where it stood";
  EXPECT_EQ(after.pipeline().find_source(t.client, after.now)->offences, 3u);
}

TEST(EarlyTalk, PipeconnectsThirtyDaysAreNotBegunAnewByARestart) {
  Gateway gw;
  gw.settings().early_hello_until[address("198.19.0.25")] = gw.now;  // over: mired says so
  gw.commit();
  gw.now += seconds{1};
  Talk t{gw};
  const auto g = static_cast<uint32_t>(kGreeting.size());
  t.open();
  t.reply(0, 0, kGreeting);
  gw.wait(seconds{6});
  t.say(0, g, "EHLO exim\r\n");
  t.reply(g, 11, "250-mx\r\n250-PIPECONNECT\r\n250 HELP\r\n");
  EXPECT_EQ(gw.counted(Reason::pipeconnect_hidden), 1u);
  Talk u{gw};
  u.port = 40001;
  u.open();
  u.say(0, 0, "EHLO exim\r\n");
  EXPECT_EQ(gw.counted(Reason::early_hello), 0u);
  EXPECT_EQ(gw.flows(State::tombstone), 1u);
}

TEST(EarlyTalk, PipeconnectIsHiddenAndItsEarlyHelloIsLeftToRepetition) {
  Gateway gw;
  Talk t{gw};
  const auto g = static_cast<uint32_t>(kGreeting.size());
  t.open();
  t.reply(0, 0, kGreeting);
  gw.wait(seconds{6});
  t.say(0, g, "EHLO exim\r\n");
  const std::string offer = "250-mx\r\n250-PIPECONNECT\r\n250 HELP\r\n";
  EXPECT_EQ(t.reply(g, 11, offer), Fate::forward);
  EXPECT_EQ(gw.forwarded.back().text(), "250-mx\r\n250-XXXXXXXXXXX\r\n250 HELP\r\n");
  EXPECT_TRUE(wire::checksums_valid(gw.forwarded.back().frame, gw.forwarded.back().h));
  EXPECT_EQ(t.reply(g + 10, 11, offer.substr(10)), Fate::forward) << "a repetition, cut in another place";
  EXPECT_EQ(gw.forwarded.back().text(), offer.substr(10).replace(2, 11, "XXXXXXXXXXX"));
  EXPECT_EQ(gw.counted(Reason::pipeconnect_hidden), 1u);

  Talk u{gw};
  u.port = 40001;
  u.open();
  EXPECT_EQ(u.say(0, 0, "EHLO exim\r\n"), Fate::drop);
  EXPECT_EQ(gw.counted(Reason::early_hello), 1u);
  EXPECT_EQ(gw.flows(State::tombstone), 0u);
  u.reply(0, 0, kGreeting);
  gw.wait(seconds{6});
  EXPECT_EQ(u.say(0, g, "EHLO exim\r\n"), Fate::forward);
  EXPECT_EQ(gw.counted(Reason::early_talk), 0u);

  gw.now += std::chrono::hours{24 * 29};
  EXPECT_EQ(u.reply(g, 11, offer), Fate::forward) << "hidden again: the 30 days are from the first time on";
  gw.now += std::chrono::hours{24 * 2};
  Talk v{gw};
  v.port = 40002;
  v.open();
  EXPECT_EQ(v.say(0, 0, "EHLO exim\r\n"), Fate::drop);
  EXPECT_EQ(gw.counted(Reason::early_talk), 1u);
}

TEST(EarlyTalk, AForgivenFlowThatClosesStillWaitsForItsClientsFin) {
  Gateway gw;
  gw.settings().early_hello_until[address("198.19.0.25")] = gw.now + seconds{3600};
  gw.settings().classes.set(*wire::parse_prefix("198.18.0.0/15"), SourceClass::known);
  gw.commit();
  Talk t{gw};
  t.open();
  t.say(0, 0, "EHLO exim\r\n");
  EXPECT_EQ(gw.counted(Reason::early_hello), 1u);
  t.from_server(wire::kAck | wire::kFin, 0, 0);
  EXPECT_EQ(gw.flows(State::closing), 1u);
  EXPECT_EQ(gw.pipeline().find_source(t.client, gw.now)->live_flows, 1u);
  t.from_client(wire::kAck | wire::kFin, 0, 1);
  EXPECT_EQ(gw.pipeline().find_source(t.client, gw.now)->live_flows, 0u);
}

TEST(EarlyTalk, APipeconnectClientMayPutTheWholeMessageBehindItsEarlyHello) {
  Gateway gw;
  gw.settings().early_hello_until[address("198.19.0.25")] = gw.now + seconds{3600};
  gw.commit();
  Talk t{gw};
  const auto g = static_cast<uint32_t>(kGreeting.size());
  const std::string hello = "EHLO exim\r\nMAIL FROM:<a@b>\r\n", rest = "Received: from root\r\n.\r\n";
  const auto n = static_cast<uint32_t>(hello.size());
  t.syn();
  t.syn_ack();
  EXPECT_EQ(t.say(0, 0, hello), Fate::forward) << "on the handshake's ACK: it goes on without its bytes";
  EXPECT_EQ(gw.forwarded.back().h.payload_length, 0u);
  EXPECT_TRUE(wire::checksums_valid(gw.forwarded.back().frame, gw.forwarded.back().h));
  EXPECT_EQ(t.from_client(wire::kAck | wire::kFin, n, 0, rest), Fate::drop);
  EXPECT_EQ(t.say(0, 0, hello), Fate::drop) << "repeated too soon";
  EXPECT_EQ(t.reply(0, 0, kGreeting), Fate::drop);
  gw.wait(seconds{6});
  EXPECT_EQ(t.say(0, 0, hello), Fate::drop) << "repeated while the greeting is on its way";
  EXPECT_EQ(t.say(0, g, hello), Fate::forward);
  EXPECT_EQ(t.from_client(wire::kAck | wire::kFin, n, g, rest), Fate::forward);
  EXPECT_EQ(gw.counted(Reason::early_talk), 0u);
  EXPECT_EQ(gw.flows(State::closing), 1u);
}

TEST(EarlyTalk, UnsynchronisedPipeliningIsCountedAndCanBeReset) {
  for (const bool reset : {false, true}) {
    Gateway gw;
    gw.settings().treatments[size_t(SourceClass::known)].pipelining =
        reset ? policy::OnPipelining::reset : policy::OnPipelining::count;
    gw.settings().classes.set(*wire::parse_prefix("198.18.0.0/15"), SourceClass::known);
    gw.commit();
    Talk t{gw};
    const auto g = static_cast<uint32_t>(kGreeting.size());
    t.open();
    EXPECT_EQ(t.reply(0, 0, kGreeting), Fate::forward);
    EXPECT_EQ(t.say(0, g, "EHLO a\r\n"), Fate::forward);
    EXPECT_EQ(t.say(8, g, "MAIL FROM:<a@b>\r\n"), reset ? Fate::drop : Fate::forward);
    EXPECT_EQ(gw.counted(Reason::unsynchronised_pipelining), 1u);
    if (!reset) continue;
    const Resets r(gw);
    ASSERT_TRUE(r.client && r.server);
    EXPECT_EQ(t.in_client(r.server->h.seq), 8u) << "client bytes that were forwarded";
  }
}

}  // namespace
}  // namespace mire::test
