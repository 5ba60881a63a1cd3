// Strangers met in the server's name: what each side sees, number by number, and that the server hears of nobody who
// has not spoken in turn.
#include <gtest/gtest.h>

#include "tests/support/stranger.h"

namespace mire::test {
namespace {

using enum wire::TcpFlag;
using policy::Reason;
using policy::SourceClass;
using policy::State;
using policy::Withhold;

TEST(Defer, UntilTheServerIsKnownTheGreetingIsHeldInstead) {
  Scene s;
  Talk t{s.gw};
  EXPECT_EQ(t.syn(), Fate::forward);
  t.syn_ack();
  t.ack();
  EXPECT_EQ(t.reply(0, 0, kGreeting), Fate::drop);
  EXPECT_EQ(s.gw.flows(State::banner_held), 1u);
}

TEST(Defer, OneGreetingIsNotEnoughAndTwoOfDifferentLengthNeither) {
  Scene s;
  for (const std::string_view greeting : {"220 a\r\n", "220 ab\r\n"}) {
    Talk t{s.gw};
    t.client = address("198.18.9.1");
    t.port = ++s.next_port;
    t.open();
    t.reply(0, 0, greeting);
    Talk stranger{s.gw};
    stranger.port = static_cast<uint16_t>(500 + s.next_port);
    EXPECT_EQ(stranger.syn(), Fate::forward);
  }
}

TEST(Defer, AStrangersSynIsAnsweredWithWhatTheServerWouldOfferAndTheServerHearsNothing) {
  Scene s;
  s.teach();
  Stranger t{s.gw};
  EXPECT_EQ(t.syn({}, kFullSyn), Fate::drop);
  ASSERT_EQ(s.gw.sent.size(), 1u);
  const Sent& answer = s.gw.sent[0];
  EXPECT_EQ(answer.to, Side::wan);
  EXPECT_TRUE(answer.has(kSyn | kAck));
  EXPECT_EQ(answer.h.ack, t.client_isn + 1);
  EXPECT_EQ(answer.h.source, t.server);
  EXPECT_EQ(answer.h.window, t.server_window);
  EXPECT_EQ(answer.options().mss, 0x5a0);
  EXPECT_EQ(answer.options().window_scale, 9);
  EXPECT_TRUE(answer.options().sack_permitted);
  EXPECT_EQ(answer.options().tsecr, t.client_clock);
  EXPECT_TRUE(wire::checksums_valid(answer.frame, answer.h));
  EXPECT_LE(answer.frame.size(), 14u + 20 + 20 + 20)
      << "no reflector: as large as the SYN of a Linux that offers the same";
  EXPECT_TRUE(to(Side::lan, s.gw.forwarded).empty());
  EXPECT_EQ(s.gw.flows(State::met), 1u);
}

TEST(Defer, AClientThatOffersNothingIsOfferedNothing) {
  Scene s;
  s.teach();
  Stranger t{s.gw};
  t.timestamps = false;
  t.syn({}, {});
  ASSERT_EQ(s.gw.sent.size(), 1u);
  const auto o = s.gw.sent[0].options();
  EXPECT_FALSE(o.has_mss || o.has_window_scale || o.sack_permitted || o.has_timestamps);
}

TEST(Defer, AWholeDialogueGoesThroughAndEachSideKeepsItsOwnNumbers) {
  Scene s;
  s.teach();
  Stranger t{s.gw};
  t.hear_greeting();
  EXPECT_TRUE(to(Side::lan, s.gw.sent).empty()) << "the server knows nothing of a stranger who has not spoken";
  EXPECT_TRUE(s.gw.forwarded.empty());
  s.gw.forget();

  t.say(0, kGreeting.size(), "EHLO a.example\r\n");
  ASSERT_EQ(s.gw.sent.size(), 1u);
  const Sent syn = s.gw.sent[0];
  EXPECT_EQ(syn.to, Side::lan);
  EXPECT_EQ(syn.h.flags, kSyn);
  EXPECT_EQ(syn.h.seq, t.client_isn);
  EXPECT_EQ(syn.h.source, t.client);
  EXPECT_EQ(syn.h.source_port, t.port);
  EXPECT_EQ(syn.options().mss, 0x5b4);
  EXPECT_EQ(syn.options().window_scale, 7);
  EXPECT_TRUE(syn.options().sack_permitted);
  EXPECT_EQ(syn.options().tsval, t.client_clock);

  s.gw.forget();
  EXPECT_EQ(t.server_answers(), Fate::drop);
  ASSERT_EQ(s.gw.sent.size(), 1u);
  EXPECT_EQ(s.gw.sent[0].h.flags, kAck);
  EXPECT_EQ(s.gw.sent[0].h.ack, t.real_isn + 1);
  EXPECT_EQ(s.gw.sent[0].options().tsecr, t.real_clock);

  s.gw.forget();
  const std::string_view other = "220 mx.example ESMTP Postfix, a longer one today\r\n";
  EXPECT_EQ(t.server_says(kAck | kPsh, 0, 0, other), Fate::drop);
  ASSERT_EQ(s.gw.sent.size(), 1u);
  const Sent words = s.gw.sent[0];
  EXPECT_EQ(words.to, Side::lan);
  EXPECT_EQ(words.text(), "EHLO a.example\r\n");
  EXPECT_EQ(words.h.seq, t.client_isn + 1);
  EXPECT_EQ(words.h.ack, t.real_isn + 1 + static_cast<uint32_t>(other.size()));
  EXPECT_TRUE(wire::checksums_valid(words.frame, words.h));

  // The server's reply comes to the client in its counting, its clock too.
  s.gw.forget();
  EXPECT_EQ(t.server_says(kAck | kPsh, static_cast<uint32_t>(other.size()), 16, "250 mx.example\r\n"), Fate::forward);
  ASSERT_EQ(s.gw.forwarded.size(), 1u);
  const Sent reply = s.gw.forwarded[0];
  EXPECT_EQ(t.in_server(reply.h.seq), kGreeting.size());
  EXPECT_EQ(t.in_client(reply.h.ack), 16u);
  EXPECT_EQ(reply.text(), "250 mx.example\r\n");
  EXPECT_GE(reply.options().tsval - t.server_clock, 0u);
  EXPECT_LT(reply.options().tsval - t.server_clock, 5000u) << "the clock that it was told goes on";
  EXPECT_TRUE(wire::checksums_valid(reply.frame, reply.h));

  // The client's ACK, its SACK blocks and its echo go back in the server's counting.
  s.gw.forget();
  t.server_clock = reply.options().tsval;
  std::vector<uint8_t> sack = {1, 1, 5, 10, 0, 0, 0, 0, 0, 0, 0, 0};
  wire::store32(&sack[4], (t.server_isn + 1 + 60).value);
  wire::store32(&sack[8], (t.server_isn + 1 + 70).value);
  const auto mail =
      t.frame(Side::wan, kAck | kPsh, t.client_isn + 1 + 16,
              t.server_isn + 1 + static_cast<uint32_t>(kGreeting.size() + 16), "MAIL FROM:<a@b>\r\n", sack);
  EXPECT_EQ(s.gw.put(Side::wan, mail), Fate::forward);
  ASSERT_EQ(s.gw.forwarded.size(), 1u);
  const Sent on = s.gw.forwarded[0];
  EXPECT_EQ(on.h.ack, t.real_isn + 1 + static_cast<uint32_t>(other.size() + 16));
  EXPECT_EQ(on.options().tsecr, t.real_clock);
  const size_t block = on.h.l4 + 20u + 4u;
  EXPECT_EQ(wire::load32(&on.frame[block]),
            (t.real_isn + 1 + 60 + static_cast<uint32_t>(other.size() - kGreeting.size())).value);
  EXPECT_TRUE(wire::checksums_valid(on.frame, on.h));
  EXPECT_EQ(s.gw.flows(State::talking), 1u);

  // And the end: FIN both ways, a reset in the server's counting.
  s.gw.forget();
  EXPECT_EQ(t.server_says(kAck | kFin, static_cast<uint32_t>(other.size() + 16), 33), Fate::forward);
  EXPECT_EQ(t.in_server(s.gw.forwarded[0].h.seq), kGreeting.size() + 16);
  EXPECT_EQ(t.from_client(kAck | kFin, 33, kGreeting.size() + 17), Fate::forward);
  EXPECT_EQ(s.gw.forwarded[1].h.ack, t.real_isn + 1 + static_cast<uint32_t>(other.size() + 17));
}

TEST(Defer, WhoSpeaksBeforeTheGreetingIsResetAndTheServerHearsNothing) {
  for (const bool with_the_ack : {false, true}) {
    Scene s;
    s.teach();
    Stranger t{s.gw};
    t.syn({}, kFullSyn);
    t.take_number();
    if (!with_the_ack) t.ack();
    s.gw.forget();
    EXPECT_EQ(t.say(0, 0, "EHLO early.example\r\n"), Fate::drop);
    ASSERT_EQ(s.gw.sent.size(), 1u);
    EXPECT_EQ(s.gw.sent[0].h.flags, kRst);
    EXPECT_EQ(s.gw.sent[0].to, Side::wan);
    EXPECT_EQ(s.gw.sent[0].h.seq, t.server_isn + 1);
    EXPECT_EQ(s.gw.flows(State::tombstone), 1u);
    ASSERT_FALSE(s.gw.events.empty());
    EXPECT_EQ(s.gw.events.back().reason, Reason::early_talk);
    EXPECT_GT(s.gw.events.back().penalty_ms, 0u);
    EXPECT_TRUE(s.gw.forwarded.empty());
  }
}

TEST(Defer, WhoHasReadOnlyAPartOfTheGreetingIsEarly) {
  Scene s;
  s.teach();
  Stranger t{s.gw};
  t.meet();
  s.gw.wait(milliseconds{1001});
  s.gw.forget();
  EXPECT_EQ(t.say(0, 5, "EHLO early.example\r\n"), Fate::drop);
  EXPECT_EQ(s.gw.flows(State::tombstone), 1u);
  EXPECT_TRUE(to(Side::lan, s.gw.sent).empty());
}

TEST(Defer, AnUnprovenSegmentCostsAndProvesNothing) {
  Scene s;
  s.teach();
  Stranger t{s.gw};
  t.syn({}, kFullSyn);
  t.take_number();
  s.gw.forget();
  EXPECT_EQ(t.from_client(kAck, 0, 1), Fate::drop);
  EXPECT_EQ(t.from_client(kAck, 1, 0), Fate::drop);
  EXPECT_EQ(t.say(5, 7, "EHLO\r\n"), Fate::drop);
  EXPECT_EQ(s.gw.flows(State::met), 1u);
  EXPECT_TRUE(s.gw.sent.empty());
  EXPECT_TRUE(s.gw.events.empty());
}

TEST(Defer, TheGreetingIsRepeatedUntilItIsAcknowledgedAndSilenceEnds) {
  Scene s;
  s.teach();
  Stranger t{s.gw};
  t.meet();
  s.gw.forget();
  s.gw.wait(milliseconds{1001});
  EXPECT_EQ(s.gw.sent.size(), 1u);
  s.gw.wait(milliseconds{1000});
  EXPECT_EQ(s.gw.sent.size(), 2u);
  s.gw.wait(milliseconds{2000});
  EXPECT_EQ(s.gw.sent.size(), 3u);
  t.from_client(kAck, 0, kGreeting.size());
  s.gw.wait(milliseconds{10'000});
  EXPECT_EQ(s.gw.sent.size(), 3u) << "acknowledged";
  for (const Sent& g : s.gw.sent) EXPECT_EQ(g.text(), kGreeting);
  s.gw.forget();
  s.gw.wait(seconds{40});
  ASSERT_EQ(s.gw.sent.size(), 1u);
  EXPECT_EQ(s.gw.sent[0].text().substr(0, 9), "421 4.4.2");
  EXPECT_TRUE(s.gw.sent[0].has(kFin));
  EXPECT_EQ(t.in_server(s.gw.sent[0].h.seq), kGreeting.size());
  EXPECT_TRUE(to(Side::lan, s.gw.sent).empty());
  // The client's FIN is acknowledged.
  s.gw.forget();
  t.from_client(kAck | kFin, 0, kGreeting.size() + 53);
  ASSERT_EQ(s.gw.sent.size(), 1u);
  EXPECT_EQ(t.in_client(s.gw.sent[0].h.ack), 1u);
}

TEST(Defer, InACrowdSilenceEndsSooner) {
  lcore::PipelineOptions o = meeting_options();
  o.crowd = 3;
  Scene s(o);
  s.teach();
  for (uint16_t p = 0; p < 5; ++p) {
    Stranger t{s.gw};
    t.port = static_cast<uint16_t>(3000 + p);
    t.hear_greeting();
  }
  s.gw.wait(seconds{11});
  EXPECT_EQ(s.gw.flows(State::invited), 3u);
  EXPECT_EQ(s.gw.flows(State::replied), 2u);
}

TEST(Defer, AClientThatClosesWhileItIsHeldIsAnsweredAtOnce) {
  for (const bool invited : {false, true}) {
    Scene s;
    s.teach();
    Stranger t{s.gw};
    t.meet();
    if (invited) s.gw.wait(milliseconds{1001});
    s.gw.forget();
    const uint32_t read = invited ? kGreeting.size() : 0;
    t.from_client(kFin | kAck, 0, read);
    ASSERT_EQ(s.gw.sent.size(), 1u);
    EXPECT_EQ(s.gw.sent[0].h.flags, kFin | kAck);
    EXPECT_EQ(t.in_server(s.gw.sent[0].h.seq), read);
    EXPECT_EQ(t.in_client(s.gw.sent[0].h.ack), 1u);
    EXPECT_EQ(s.gw.sent[0].to, Side::wan);
    t.from_client(kFin | kAck, 0, read);
    ASSERT_EQ(s.gw.sent.size(), 2u) << "repeated for each repetition";
    EXPECT_EQ(t.in_server(s.gw.sent[1].h.seq), read);
  }
}

TEST(Defer, AKeepaliveAndASynOnALiveFlowAreAcknowledged) {
  Scene s;
  s.teach();
  Stranger t{s.gw};
  t.meet();
  s.gw.forget();
  t.from_client(kAck, 0xffffffff, 0);  // a keepalive lies one below
  ASSERT_EQ(s.gw.sent.size(), 1u);
  EXPECT_EQ(s.gw.sent[0].h.flags, kAck);
  EXPECT_EQ(t.in_client(s.gw.sent[0].h.ack), 0u);
  t.from_client(kAck, 0, 0);
  EXPECT_EQ(s.gw.sent.size(), 1u) << "an ACK is not acknowledged";
  Talk again = t;
  again.client_isn = {555};
  again.syn({}, kFullSyn);
  ASSERT_EQ(s.gw.sent.size(), 2u);
  EXPECT_EQ(s.gw.sent[1].h.flags, kAck) << "RFC 5961 4.2";
  EXPECT_EQ(s.gw.flows(State::deferred), 1u);
}

TEST(Defer, TheDialIsRepeatedAndAServerThatDoesNotAnswerCountsAsDown) {
  Scene s;
  s.teach();
  Stranger t{s.gw};
  t.speak();
  EXPECT_EQ(to(Side::lan, s.gw.sent).size(), 1u);
  s.gw.wait(milliseconds{1001});
  EXPECT_EQ(to(Side::lan, s.gw.sent).size(), 2u);
  s.gw.wait(milliseconds{2001});
  EXPECT_EQ(to(Side::lan, s.gw.sent).size(), 3u);
  s.gw.forget();
  s.gw.wait(milliseconds{7001});
  const auto out = to(Side::wan, s.gw.sent);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].text().substr(0, 9), "421 4.3.2");
  EXPECT_EQ(t.in_client(out[0].h.ack), 16u);
  EXPECT_TRUE(out[0].has(kFin));

  Stranger next{s.gw};
  next.port = 41000;
  EXPECT_EQ(next.syn({}, kFullSyn), Fate::forward) << "strangers see the truth";
  next.server_isn = {99};
  next.syn_ack(kServersSynAck);  // it is up again
  Stranger third{s.gw};
  third.port = 41001;
  EXPECT_EQ(third.syn({}, kFullSyn), Fate::drop);
}

TEST(Defer, AServerThatRefusesTheDialIsTheTruthToo) {
  Scene s;
  s.teach();
  Stranger t{s.gw};
  t.speak();
  s.gw.forget();
  s.gw.put(Side::lan, t.frame(Side::lan, kRst | kAck, {0}, t.client_isn + 1));
  ASSERT_EQ(s.gw.sent.size(), 1u);
  EXPECT_EQ(s.gw.sent[0].to, Side::wan);
  EXPECT_EQ(s.gw.sent[0].text().substr(0, 9), "421 4.3.2");
  Stranger next{s.gw};
  next.port = 41000;
  EXPECT_EQ(next.syn({}, kFullSyn), Fate::forward);
}

TEST(Defer, AServersOwnRefusalIsTheAnswerToTheCommand) {
  Scene s;
  s.teach();
  Stranger t{s.gw};
  t.speak();
  t.server_answers();
  s.gw.forget();
  t.server_says(kAck | kPsh, 0, 0, "421 4.7.0 too busy\r\n");
  const auto up = to(Side::wan, s.gw.sent), down = to(Side::lan, s.gw.sent);
  ASSERT_EQ(up.size(), 1u);
  EXPECT_EQ(up[0].text(), "421 4.7.0 too busy\r\n");
  EXPECT_EQ(t.in_server(up[0].h.seq), kGreeting.size());
  EXPECT_EQ(t.in_client(up[0].h.ack), 16u);
  ASSERT_EQ(down.size(), 1u);
  EXPECT_TRUE(down[0].has(kRst));
}

TEST(Defer, AReplyThatWasLostComesAgainForTheCommandThatIsRepeated) {
  Scene s;
  s.teach();
  Stranger t{s.gw};
  t.speak();
  s.gw.put(Side::lan, t.frame(Side::lan, kRst | kAck, {0}, t.client_isn + 1));
  const Sent first = s.gw.sent.back();
  s.gw.forget();
  t.say(0, kGreeting.size(), "EHLO a.example\r\n");
  ASSERT_EQ(s.gw.sent.size(), 1u);
  EXPECT_EQ(s.gw.sent[0].text(), first.text());
  EXPECT_EQ(s.gw.sent[0].h.seq, first.h.seq);
  EXPECT_EQ(s.gw.sent[0].h.ack, first.h.ack);
}

TEST(Defer, AServerThatBreaksWhatWasPromisedIsLearnedAnew) {
  Scene s;
  s.teach();
  Stranger t{s.gw};
  t.speak();
  s.gw.forget();
  Talk real = t;
  real.server_isn = t.real_isn;
  real.syn_ack({2, 4, 5, 0xa0, 1, 1, 4, 2, 1, 3, 3, 3});  // another window scale
  ASSERT_EQ(to(Side::wan, s.gw.sent).size(), 1u);
  EXPECT_EQ(to(Side::wan, s.gw.sent)[0].text().substr(0, 9), "421 4.3.2");
  EXPECT_EQ(s.gw.counted(Reason::promise_broken), 1u);
  Stranger next{s.gw};
  next.port = 41000;
  EXPECT_EQ(next.syn({}, kFullSyn), Fate::forward);
}

TEST(Defer, TheServersGreetingIsSwallowedHoweverItIsCutAndRepeated) {
  Scene s;
  s.teach();
  Stranger t{s.gw};
  t.speak();
  t.server_answers();
  t.server_answers();
  s.gw.forget();
  t.server_says(kAck, 0, 0, "220-mx");
  t.server_says(kAck, 9, 0, "220 last\r\n");  // out of order: acknowledged up to where it is whole
  EXPECT_EQ(s.gw.sent.back().h.ack, t.real_isn + 1 + 6);
  t.server_says(kAck, 0, 0, "220-mx\r\n");
  EXPECT_EQ(s.gw.sent.back().h.ack, t.real_isn + 1 + 8);
  t.server_says(kAck | kPsh, 8, 0, "220 last\r\n");
  EXPECT_EQ(s.gw.sent.back().text(), "EHLO a.example\r\n");
  EXPECT_EQ(s.gw.sent.back().h.ack, t.real_isn + 1 + 18);
  EXPECT_TRUE(to(Side::wan, s.gw.sent).empty());
}

TEST(Defer, ARepeatedCommandIsDialledForOnce) {
  Scene s;
  s.teach();
  Stranger t{s.gw};
  t.speak();
  t.say(0, kGreeting.size(), "EHLO a.example\r\n");
  t.say(16, kGreeting.size(), "MAIL FROM:<a@b>\r\n");
  EXPECT_EQ(s.gw.sent.size(), 1u);
  t.welcome();
  EXPECT_EQ(s.gw.sent.back().text(), "EHLO a.example\r\n");
  EXPECT_EQ(t.say(16, kGreeting.size(), "MAIL FROM:<a@b>\r\n"), Fate::forward);
}

TEST(Defer, DialsWaitForTheirTurnOldestFirst) {
  Scene s;
  s.gw.settings().strangers.concurrent = 2;
  s.gw.commit();
  s.teach();
  std::vector<Stranger> all;
  for (uint16_t p = 0; p < 5; ++p) {
    all.emplace_back(s.gw);
    all.back().port = static_cast<uint16_t>(3000 + p);
    all.back().speak();
  }
  EXPECT_EQ(s.gw.counted(Reason::dial_waits), 3u);
  const auto dialled = [&] {
    std::vector<uint16_t> ports;
    for (const Sent& f : s.gw.sent)
      if (f.to == Side::lan && f.h.flags == kSyn) ports.push_back(f.h.source_port);
    return ports;
  };
  s.gw.forget();
  all[2].from_client(kRst, 0, 0);  // gives up while it waits
  all[0].welcome();
  EXPECT_EQ(dialled(), (std::vector<uint16_t>{3003}));
  all[1].from_client(kRst, 16, 0);  // its words are acknowledged by nobody, but they were sent
  EXPECT_EQ(dialled(), (std::vector<uint16_t>{3003, 3004}));
  all[3].welcome();
  all[4].welcome();
  EXPECT_EQ(s.gw.flows(State::talking), 3u);
}

TEST(Defer, ATrustedSourceIsNeverBehindAStranger) {
  Scene s;
  s.gw.settings().strangers.concurrent = 1;
  s.gw.commit();
  s.teach();
  Stranger a{s.gw}, b{s.gw};
  b.port = 40001;
  a.speak();
  b.speak();
  Talk t{s.gw};
  t.client = address("198.18.9.7");
  EXPECT_EQ(t.syn(), Fate::forward);
  EXPECT_EQ(t.syn_ack(), Fate::forward);
  EXPECT_EQ(t.ack(), Fate::forward);
  EXPECT_EQ(t.reply(0, 0, kGreeting), Fate::forward);
}

TEST(Defer, WithoutItsRecordAClientWithTimestampsIsKnownByItsNumber) {
  lcore::PipelineOptions o = meeting_options();
  Scene s(o);
  s.teach();
  Stranger t{s.gw};
  t.syn({}, kFullSyn);
  t.take_number();
  // A flood of others: the leash holds an eighth of the flows.
  for (uint16_t p = 0; p < 1000; ++p) {
    Stranger x{s.gw};
    x.client = address("198.18.77.1");
    x.port = static_cast<uint16_t>(1024 + p);
    x.syn({}, kFullSyn);
  }
  EXPECT_GT(s.gw.counted(Reason::syn_share_full), 0u);
  EXPECT_LT(s.gw.flows(State::met), 250u);
  s.gw.forget();
  t.ack();
  EXPECT_EQ(s.gw.flows(State::deferred), 1u);
  s.gw.wait(milliseconds{1001});
  ASSERT_EQ(s.gw.sent.size(), 1u);
  EXPECT_EQ(s.gw.sent[0].text(), kGreeting);
  t.server_clock = s.gw.sent[0].options().tsval;
  s.gw.forget();
  t.say(0, kGreeting.size(), "EHLO a.example\r\n");
  ASSERT_EQ(s.gw.sent.size(), 1u);
  EXPECT_EQ(s.gw.sent[0].options().window_scale, 7);
  EXPECT_TRUE(s.gw.sent[0].options().sack_permitted);
}

TEST(Defer, UnderPressureASynCostsNoRecord) {
  Scene s;
  s.teach();
  for (uint16_t p = 0; p < 1000; ++p) {
    Stranger x{s.gw};
    x.client = address("198.18.77.1");
    x.port = static_cast<uint16_t>(1024 + p);
    x.syn({}, kFullSyn);
  }
  s.gw.forget();
  const uint64_t before = s.gw.flows(State::met);
  Stranger t{s.gw};
  t.timestamps = false;
  t.syn({}, kFullSyn);
  EXPECT_EQ(s.gw.flows(State::met), before);
  ASSERT_EQ(s.gw.sent.size(), 1u);
  EXPECT_FALSE(s.gw.sent[0].options().has_window_scale) << "only what the handshake's ACK will tell again";
  t.server_isn = s.gw.sent[0].h.seq;
  t.ack();
  EXPECT_EQ(s.gw.flows(State::deferred), 1u);
}

TEST(Defer, AForgedAckWithoutARecordMakesNone) {
  Scene s;
  s.teach();
  for (uint32_t n = 0; n < 5000; ++n) {
    Stranger t{s.gw};
    t.server_isn = {n * 811'131u};
    EXPECT_EQ(t.ack(), Fate::forward) << "joined mid-stream, as far as we know";
  }
  EXPECT_EQ(s.gw.flows(State::met) + s.gw.flows(State::deferred), 0u);
}

TEST(Defer, ASignedSynPassesUntouched) {
  Scene s;
  s.teach();
  Stranger t{s.gw};
  std::vector<uint8_t> md5(20, 0);
  md5[0] = 19;
  md5[1] = 18;
  md5[18] = md5[19] = 1;
  t.timestamps = false;
  EXPECT_EQ(t.syn({}, md5), Fate::forward);
}

TEST(Defer, EarlyTalkMayBeRefusedByAReply) {
  for (const bool met : {false, true}) {
    Scene s;
    s.gw.settings().treatments[size_t(SourceClass::unknown)].early_talk = policy::OnEarlyTalk::reject;
    s.gw.commit();
    if (met) s.teach();
    Stranger t{s.gw};
    if (met) {
      t.meet();
    } else {
      t.syn({}, kFullSyn);
      t.server_isn = {4444};
      t.syn_ack(kServersSynAck);
      t.ack();
    }
    s.gw.forget();
    EXPECT_EQ(t.say(0, 0, "EHLO early.example\r\n"), Fate::drop);
    const auto up = to(Side::wan, s.gw.sent), down = to(Side::lan, s.gw.sent);
    ASSERT_EQ(up.size(), 1u);
    EXPECT_EQ(up[0].text().substr(0, 9), "521 5.7.1");
    EXPECT_TRUE(up[0].has(kFin | kAck));
    EXPECT_EQ(t.in_server(up[0].h.seq), 0u);
    EXPECT_EQ(t.in_client(up[0].h.ack), 20u);
    EXPECT_EQ(down.size(), met ? 0u : 1u) << "the server is made to forget it, if it knew";
    EXPECT_EQ(s.gw.flows(State::replied), 1u);
    EXPECT_GT(s.gw.events.back().penalty_ms, 0u);
  }
}

TEST(Defer, StoppingInvitesWhoIsHeld) {
  Scene s;
  s.teach();
  Stranger t{s.gw};
  t.meet();
  s.gw.forget();
  s.gw.pipeline().release_all(s.gw.now);
  ASSERT_EQ(s.gw.sent.size(), 1u);
  EXPECT_EQ(s.gw.sent[0].text(), kGreeting);
  Stranger next{s.gw};
  next.port = 40001;
  EXPECT_EQ(next.syn({}, kFullSyn), Fate::forward);
}

}  // namespace
}  // namespace mire::test
