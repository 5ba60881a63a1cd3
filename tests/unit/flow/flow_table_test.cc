// Both families behind one handle, unproven flows on a leash.
#include "dataplane/flow/flow_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace mire::flow {
namespace {

using policy::State;

FlowId id_of(std::string_view client, uint16_t port, uint16_t server = 1) {
  return {*wire::parse_address(client), port, server};
}

TEST(FlowTable, FindsWhatItTookByClientPortAndServer) {
  FlowTable t(100, 100, 10, 1);
  std::set<Handle> handles;
  for (const FlowId& id :
       {id_of("192.0.2.1", 1), id_of("192.0.2.1", 2), id_of("192.0.2.2", 1), id_of("192.0.2.1", 1, 2),
        id_of("2001:db8::1", 1), id_of("2001:db8::2", 1), id_of("2001:db8::1", 1, 2)}) {
    EXPECT_EQ(t.find(id, t.probe(id)), kNoFlow);
    const Handle h = t.insert(id, t.probe(id));
    ASSERT_NE(h, kNoFlow);
    EXPECT_TRUE(handles.insert(h).second);
    EXPECT_EQ(t.find(id, t.probe(id)), h);
    EXPECT_EQ(t.id(h).client, id.client);
    EXPECT_EQ(t.id(h).port, id.port);
    EXPECT_EQ(t.id(h).server, id.server);
    EXPECT_EQ(FlowTable::is_v6(h), !id.client.is_v4());
  }
  EXPECT_EQ(t.size(), 7u);
  for (const Handle h : handles) t.erase(h);
  EXPECT_EQ(t.size(), 0u);
}

TEST(FlowTable, KnowsWhetherAPlaceIsStillThatFlows) {
  FlowTable t(100, 100, 10, 1);
  for (const auto& [one, other] : {std::pair{id_of("192.0.2.1", 1), id_of("192.0.2.1", 2)},
                                   std::pair{id_of("2001:db8::1", 1), id_of("2001:db8::1", 1, 2)}}) {
    const Handle h = t.insert(one, t.probe(one));
    EXPECT_TRUE(t.is(h, one));
    EXPECT_FALSE(t.is(h, other));
    t.erase(h);
    EXPECT_FALSE(t.is(h, one));
  }
  const FlowId v4 = id_of("192.0.2.1", 1), v6 = id_of("2001:db8::1", 1);
  const Handle h4 = t.insert(v4, t.probe(v4)), h6 = t.insert(v6, t.probe(v6));
  EXPECT_FALSE(t.is(h4, v6));
  EXPECT_FALSE(t.is(h6, v4));
}

TEST(FlowTable, TheOldestUnprovenFlowComesOffAFullLeash) {
  FlowTable t(100, 10, 3, 1);
  std::vector<Handle> handles;
  for (uint16_t p = 0; p < 3; ++p) {
    const FlowId id = id_of("192.0.2.1", p);
    const Handle h = t.insert(id, t.probe(id));
    t[h].state = State::syn_seen;
    t[h].client_isn = {p};
    handles.push_back(h);
    EXPECT_EQ(t.leash(h), kNoFlow);
  }
  t[handles[1]].state = State::waiting;  // proven meanwhile
  const FlowId id = id_of("192.0.2.2", 9);
  const Handle fresh = t.insert(id, t.probe(id));
  t[fresh].state = State::syn_seen;
  EXPECT_EQ(t.leash(fresh), handles[0]);
  EXPECT_EQ(t.leash(fresh), kNoFlow) << "the next oldest is proven";
  t[handles[2]].client_isn = {99};
  EXPECT_EQ(t.leash(fresh), kNoFlow) << "its place is another flow's by now";
}

TEST(FlowTable, AFlowWhoseSynAckIsHeldStaysOnTheLeash) {
  FlowTable t(100, 10, 3, 1);
  std::vector<Handle> handles;
  for (uint16_t p = 0; p < 8; ++p) {
    const FlowId id = id_of("192.0.2.1", p);
    handles.push_back(t.insert(id, t.probe(id)));
    t[handles[p]].state = State::syn_seen;
    t[handles[p]].client_isn = {p};
  }
  t[handles[0]].state = State::syn_ack_held;
  for (unsigned p = 0; p < 3; ++p) EXPECT_EQ(t.leash(handles[p]), kNoFlow);
  EXPECT_EQ(t.leash(handles[3]), handles[1]) << "what is held is not evicted";
  t[handles[0]].state = State::syn_ack_sent;
  EXPECT_EQ(t.leash(handles[4]), handles[2]);
  EXPECT_EQ(t.leash(handles[5]), handles[3]);
  EXPECT_EQ(t.leash(handles[6]), handles[0]) << "released, and still unproven";
  for (unsigned p = 4; p < 7; ++p) t[handles[p]].state = State::syn_ack_held;
  EXPECT_EQ(t.leash(handles[7]), kNoFlow) << "nobody may be evicted; the search ends";
}

TEST(FlowTable, ASweepVisitsEveryFlowOnce) {
  FlowTable t(500, 600, 10, 1);
  std::multiset<Handle> expected;
  for (uint16_t p = 0; p < 300; ++p) {
    const FlowId v4 = id_of("192.0.2.1", p), v6 = id_of("2001:db8::1", p);
    expected.insert(t.insert(v4, t.probe(v4)));
    expected.insert(t.insert(v6, t.probe(v6)));
  }
  std::multiset<Handle> seen;
  t.sweep(1, [&](Handle h) { seen.insert(h); });
  EXPECT_EQ(seen, expected);
  seen.clear();
  for (int i = 0; i < 64; ++i) t.sweep(64, [&](Handle h) { seen.insert(h); });
  for (const Handle h : expected) EXPECT_TRUE(seen.contains(h));
}

TEST(FlowTable, FullIsAnAnswerAndAVictimMakesRoom) {
  FlowTable t(20, 2, 10, 1);
  uint32_t taken = 0;
  FlowId refused;
  for (uint16_t p = 0; p < 1000 && refused.port == 0; ++p) {
    const FlowId id = id_of("192.0.2.1", static_cast<uint16_t>(p + 1));
    const Handle h = t.insert(id, t.probe(id));
    if (h == kNoFlow) {
      refused = id;
      break;
    }
    t[h].state = State::joined;
    ++taken;
  }
  EXPECT_GE(taken, 15u);
  ASSERT_NE(refused.port, 0);
  const auto probe = t.probe(refused);
  EXPECT_EQ(t.victim(probe, [](const State32& s) { return s.state == State::talking; }), kNoFlow);
  const Handle victim = t.victim(probe, [](const State32& s) { return s.state == State::joined; });
  ASSERT_NE(victim, kNoFlow);
  t.erase(victim);
  EXPECT_NE(t.insert(refused, probe), kNoFlow);
}

}  // namespace
}  // namespace mire::flow
