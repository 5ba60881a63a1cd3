// Numbers against numbers: which event is a segment? All of it with ISNs that wrap within the first bytes.
#include "dataplane/flow/classify.h"

#include <gtest/gtest.h>

namespace mire::flow {
namespace {

using policy::Event;
using policy::State;
using wire::SeqNo;

constexpr SeqNo kClient{0xfffffffa};  // wraps after 5 bytes
constexpr SeqNo kServer{0xfffffff0};
constexpr uint32_t kGreeting = 30;  // bytes, so that B lies behind the wrap

State32 flow_in(State s) {
  State32 f;
  f.client_isn = kClient;
  f.server_isn = kServer;
  f.state = s;
  f.window() = 1000;
  if (s == State::greeted) {
    f.set_server_next(f.server_first() + kGreeting);
    f.set_greeting_end(f.server_first() + kGreeting);
    f.set(kEndKnown);
  }
  if (s == State::talking) {
    f.set_server_next(f.server_first() + kGreeting);
    f.set_client_next(f.client_first() + 10);
  }
  return f;
}

wire::Headers segment(uint8_t flags, SeqNo seq, SeqNo ack, uint16_t length) {
  wire::Headers h;
  h.kind = wire::FrameKind::tcp;
  h.flags = flags;
  h.seq = seq;
  h.ack = ack;
  h.payload_length = length;
  return h;
}
// Offsets from the first byte of either side.
Event client(const State32& f, uint32_t seq, uint32_t ack, uint16_t length, uint8_t flags = wire::kAck) {
  return classify_client(f, segment(flags, f.client_first() + seq, f.server_first() + ack, length));
}
Event server(const State32& f, uint32_t seq, uint32_t ack, uint16_t length, uint8_t flags = wire::kAck,
             uint32_t expected = 0) {
  return classify_server(f, segment(flags, f.server_first() + seq, f.client_first() + ack, length),
                         f.server_first() + expected);
}
constexpr uint32_t back(uint32_t n) { return 0u - n; }

TEST(Classify, TheProofIsExactInBothNumbers) {
  const State32 f = flow_in(State::syn_ack_sent);
  EXPECT_EQ(client(f, 0, 0, 0), Event::proof);
  EXPECT_EQ(client(f, 0, 0, 5), Event::proof_with_data);
  EXPECT_EQ(client(f, 0, 0, 0, wire::kAck | wire::kFin), Event::proof_with_fin);
  for (const auto& [seq, ack] :
       std::vector<std::pair<uint32_t, uint32_t>>{{1, 0}, {0, 1}, {back(1), 0}, {0, back(1)}}) {
    EXPECT_EQ(client(f, seq, ack, 0), Event::unproven);
    EXPECT_EQ(client(f, seq, ack, 1), Event::unproven_data);
  }
  EXPECT_EQ(client(flow_in(State::syn_seen), 0, 0, 0), Event::unproven) << "no SYN-ACK has gone out";
  EXPECT_EQ(client(flow_in(State::syn_ack_held), 0, 0, 0), Event::unproven);
}

TEST(Classify, BeforeTheGreetingOnlyAckGIsEarlyTalk) {
  for (const State s : {State::waiting, State::banner_held, State::due}) {
    const State32 f = flow_in(s);
    EXPECT_EQ(client(f, 0, 0, 1), Event::early);
    EXPECT_EQ(client(f, 999, 0, 1), Event::early) << "out of order, last byte of the window";
    EXPECT_EQ(client(f, s == State::banner_held ? 65535 : 1000, 0, 1), Event::outside);
    EXPECT_EQ(client(f, 0, 1, 1), Event::ahead);
    EXPECT_EQ(client(f, 0, 1, 0), Event::ahead);
    EXPECT_EQ(client(f, 0, back(1), 1), Event::outside);
    EXPECT_EQ(client(f, back(1), 0, 2), Event::early) << "one old byte and a new one";
  }
}

TEST(Classify, KeepalivesProbesAndRepetitionsAreNotSpeech) {
  for (const State s : {State::waiting, State::banner_held, State::due, State::greeted}) {
    const State32 f = flow_in(s);
    EXPECT_EQ(client(f, back(1), 0, 0), Event::nothing_new);
    EXPECT_EQ(client(f, back(1), 0, 1), Event::nothing_new);
    EXPECT_EQ(client(f, 0, 0, 0), Event::nothing_new);
  }
  EXPECT_EQ(client(flow_in(State::talking), 0, kGreeting, 10), Event::nothing_new);
}

TEST(Classify, AfterTheGreetingTheAckNumberTellsEarlyTalkFromSpeech) {
  const State32 f = flow_in(State::greeted);
  EXPECT_EQ(client(f, 0, back(1), 1), Event::outside);
  EXPECT_EQ(client(f, 0, 0, 1), Event::early);
  EXPECT_EQ(client(f, 0, kGreeting - 1, 1), Event::early);
  EXPECT_EQ(client(f, 0, kGreeting, 1), Event::speech);
  EXPECT_EQ(client(f, 0, kGreeting + 1, 1), Event::ahead);
  State32 unknown_end = flow_in(State::greeted);
  unknown_end.set(kEndKnown, false);
  EXPECT_EQ(client(unknown_end, 0, kGreeting, 1), Event::early) << "B unknown and ACK up to F";
  State32 more = flow_in(State::greeted);
  more.set_server_next(more.server_first() + kGreeting + 5);
  EXPECT_EQ(client(more, 0, kGreeting + 5, 1), Event::speech) << "from B up to F";
}

TEST(Classify, ResetsCountOnlyAtTheExactNumber) {
  for (const State s : {State::syn_ack_sent, State::waiting, State::banner_held, State::due, State::greeted}) {
    EXPECT_EQ(client(flow_in(s), 0, 0, 0, wire::kRst), Event::reset);
    EXPECT_EQ(client(flow_in(s), 1, 0, 0, wire::kRst), Event::reset_inexact);
    EXPECT_EQ(client(flow_in(s), back(1), 0, 0, wire::kRst), Event::reset_inexact);
  }
  EXPECT_EQ(client(flow_in(State::talking), 10, 0, 0, wire::kRst), Event::reset);
  EXPECT_EQ(client(flow_in(State::talking), 0, 0, 0, wire::kRst), Event::reset_inexact);
  EXPECT_EQ(client(flow_in(State::joined), 0, 0, 0, wire::kRst), Event::reset_inexact);
}

TEST(Classify, FinsAtTheExactNumber) {
  for (const State s : {State::waiting, State::banner_held, State::due}) {
    EXPECT_EQ(client(flow_in(s), 0, 0, 0, wire::kAck | wire::kFin), Event::fin);
    EXPECT_EQ(client(flow_in(s), 3, 0, 0, wire::kAck | wire::kFin), Event::nothing_new);
    EXPECT_EQ(client(flow_in(s), 0, 0, 6, wire::kAck | wire::kFin), Event::early) << "half-close after data";
  }
  EXPECT_EQ(client(flow_in(State::talking), 10, kGreeting, 6, wire::kAck | wire::kFin), Event::fin);
}

TEST(Classify, InADialogueOnlyWhatCouldBeTrueIsFollowed) {
  const State32 f = flow_in(State::talking);
  EXPECT_EQ(client(f, 10, kGreeting, 5), Event::speech);
  EXPECT_EQ(client(f, 10, kGreeting + 1, 5), Event::ahead);
  EXPECT_EQ(client(f, 10, kGreeting - (1u << 30), 5), Event::outside);
  EXPECT_EQ(client(f, 10 + (1u << 30), kGreeting, 5), Event::outside);
  EXPECT_EQ(client(f, 4096, kGreeting, 0, wire::kAck | wire::kFin), Event::nothing_new) << "a FIN behind a gap";
}

TEST(Classify, SynsByTheirIsn) {
  const State32 f = flow_in(State::waiting);
  EXPECT_EQ(classify_client(f, segment(wire::kSyn, kClient, {}, 0)), Event::syn_repeated);
  EXPECT_EQ(classify_client(f, segment(wire::kSyn, kClient + 1, {}, 0)), Event::syn_other);
  EXPECT_EQ(classify_client(f, segment(wire::kSyn | wire::kAck, kClient, {}, 0)), Event::nothing_new);
  EXPECT_EQ(classify_client(f, segment(0, f.client_first(), {}, 5)), Event::outside) << "no ACK, no segment";
}

TEST(Classify, SynAcksByWhatTheyAcknowledge) {
  const uint8_t both = wire::kSyn | wire::kAck;
  const SeqNo first = kClient + 1;
  EXPECT_EQ(classify_server(flow_in(State::syn_seen), segment(both, kServer, first, 0), {}), Event::syn_ack);
  EXPECT_EQ(classify_server(flow_in(State::syn_ack_sent), segment(both, kServer, first, 0), {}),
            Event::syn_ack_repeated);
  EXPECT_EQ(classify_server(flow_in(State::syn_ack_sent), segment(both, kServer + 9, first, 0), {}), Event::syn_ack)
      << "a new cookie";
  EXPECT_EQ(classify_server(flow_in(State::talking), segment(both, kServer, first, 0), {}), Event::syn_ack_repeated);
  for (const State s : {State::syn_seen, State::waiting, State::talking, State::tombstone})
    EXPECT_EQ(classify_server(flow_in(s), segment(both, kServer, first + 1, 0), {}), Event::syn_ack_other);
}

TEST(Classify, TheServersBytesByWhatIsExpected) {
  for (const State s : {State::waiting, State::banner_held, State::due, State::greeted}) {
    const State32 f = flow_in(s);
    EXPECT_EQ(server(f, 10, 0, 5, wire::kAck, 10), Event::greeting_part);
    EXPECT_EQ(server(f, 5, 0, 6, wire::kAck, 10), Event::greeting_part) << "one new byte";
    EXPECT_EQ(server(f, 5, 0, 5, wire::kAck, 10), Event::server_repeat);
    EXPECT_EQ(server(f, 11, 0, 5, wire::kAck, 10), s == State::greeted ? Event::server_data : Event::greeting_gap);
    EXPECT_EQ(server(f, 10, 0, 0, wire::kAck, 10), Event::server_nothing_new);
    EXPECT_EQ(server(f, 10, 0, 0, wire::kAck | wire::kFin, 10), Event::server_fin);
    EXPECT_EQ(server(f, 10, 0, 0, wire::kRst, 10), Event::server_reset);
    EXPECT_EQ(server(f, 0, 0, 0, wire::kRst, 10), Event::server_reset);
    EXPECT_EQ(server(f, 5000, 0, 0, wire::kRst, 10), Event::server_nothing_new) << "provoked";
  }
  State32 open_end = flow_in(State::greeted);
  open_end.set(kEndKnown, false);
  EXPECT_EQ(server(open_end, 31, 0, 5, wire::kAck, 30), Event::greeting_gap);
  EXPECT_EQ(server(flow_in(State::talking), 30, 0, 5), Event::server_data);
}

}  // namespace
}  // namespace mire::flow
