// What a server teaches, and how fast strangers may reach it.
#include "dataplane/defer/server_profile.h"

#include <gtest/gtest.h>

namespace mire::defer {
namespace {

wire::TcpOptions full(uint8_t scale = 9) {
  wire::TcpOptions o;
  o.has_mss = o.has_window_scale = o.sack_permitted = o.has_timestamps = true;
  o.mss = 1440;
  o.window_scale = scale;
  return o;
}

TEST(ServerProfile, IsReadyAfterASynAckAndTwoGreetingsOfOneLength) {
  ServerProfile p;
  p.saw_syn_ack(full(), 65160);
  EXPECT_EQ(p.saw_greeting(5, 40), 0u);
  EXPECT_FALSE(p.ready());
  EXPECT_EQ(p.saw_greeting(6, 41), 5u);
  EXPECT_FALSE(p.ready()) << "another length";
  EXPECT_EQ(p.saw_greeting(7, 41), 6u);
  EXPECT_TRUE(p.ready());
  EXPECT_EQ(p.greeting(), 7u);
  EXPECT_EQ(p.saw_greeting(8, 60), 7u);
  EXPECT_FALSE(p.ready()) << "it has changed: seen twice again first";
}

TEST(ServerProfile, WhatAClientDidNotOfferTakesNothingBack) {
  ServerProfile p;
  p.saw_syn_ack(full(), 65160);
  const uint8_t generation = p.generation();
  p.saw_syn_ack(wire::TcpOptions{}, 64240);
  EXPECT_TRUE(p.offer().sack && p.offer().timestamps && p.offer().has_window_scale);
  EXPECT_EQ(p.offer().window, 64240);
  EXPECT_EQ(p.generation(), generation) << "a window is no promise";
  p.saw_syn_ack(full(3), 64240);
  EXPECT_NE(p.generation(), generation);
}

TEST(ServerProfile, KeepsItsPromiseOnlyIfEveryOptionIsAsPromised) {
  EXPECT_TRUE(keeps_promise(full(), full()));
  wire::TcpOptions o = full();
  o.mss = 1460;
  EXPECT_TRUE(keeps_promise(o, full())) << "larger segments harm nobody";
  o.mss = 1400;
  EXPECT_FALSE(keeps_promise(o, full()));
  o = full(8);
  EXPECT_FALSE(keeps_promise(o, full()));
  o = full();
  o.sack_permitted = false;
  EXPECT_FALSE(keeps_promise(o, full()));
  o = full();
  o.has_timestamps = false;
  EXPECT_FALSE(keeps_promise(o, full()));
  o = full();
  o.has_window_scale = false;
  EXPECT_FALSE(keeps_promise(o, full()));
  o = full();
  o.has_mss = false;
  EXPECT_FALSE(keeps_promise(o, full())) << "unnamed is 536";
  EXPECT_TRUE(keeps_promise(full(), o)) << "none was promised";
}

TEST(ServerProfile, IsDownUntilItAnswers) {
  ServerProfile p;
  p.saw_syn_ack(full(), 65160);
  (void)p.saw_greeting(1, 30);
  (void)p.saw_greeting(2, 30);
  p.went_down();
  EXPECT_FALSE(p.ready());
  p.saw_syn_ack(full(), 65160);
  EXPECT_TRUE(p.ready());
}

TEST(ServerProfile, ThePaceBoundsDialsAtOnceAndPerSecond) {
  ServerProfile p;
  const policy::Pace pace{2, 3};
  const Time now{seconds{10}};
  EXPECT_TRUE(p.may_dial(pace, now));
  p.dialled(now);
  p.dialled(now);
  EXPECT_FALSE(p.may_dial(pace, now)) << "two at once";
  p.dial_ended();
  EXPECT_TRUE(p.may_dial(pace, now));
  p.dialled(now);
  p.dial_ended();
  EXPECT_FALSE(p.may_dial(pace, now)) << "three in this second";
  EXPECT_TRUE(p.may_dial(pace, now + seconds{1}));
}

}  // namespace
}  // namespace mire::defer
