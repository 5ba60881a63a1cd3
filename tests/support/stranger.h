// stranger.h - a gateway that defers strangers, a server that it knows, and a stranger who is met by it.
#pragma once

#include <gtest/gtest.h>

#include <string_view>
#include <vector>

#include "tests/support/gateway.h"

namespace mire::test {

inline const std::vector<uint8_t> kFullSyn = {2, 4, 5, 0xb4, 1, 1, 4, 2, 1, 3, 3, 7};
inline const std::vector<uint8_t> kServersSynAck = {2, 4, 5, 0xa0, 1, 1, 4, 2, 1, 3, 3, 9};

inline lcore::PipelineOptions meeting_options() {
  lcore::PipelineOptions o = Gateway::small();
  o.cookie_key = {1, 2, 3};
  return o;
}

// Remembers what the dataplane wants its successor to know.
struct Memory final : lcore::Keeper {
  bool keep(const defer::Survivor& v) override {
    kept = v;
    return true;
  }
  void forget(const defer::FlowName&) override { kept.reset(); }
  void beat(Time) override {}
  std::optional<defer::Survivor> kept;
};

// A gateway that defers strangers for 1 s, and a server that it knows.
struct Scene {
  explicit Scene(lcore::PipelineOptions o = meeting_options()) : gw(o) {
    auto& unknown = gw.settings().treatments[size_t(policy::SourceClass::unknown)];
    unknown.withhold = policy::Withhold::defer;
    unknown.greeting = {1000, 1000};
    gw.settings().classes.set(*wire::parse_prefix("198.18.9.0/24"), policy::SourceClass::trusted);
    gw.commit();
  }

  // A dialogue of a trusted source, from which the gateway learns.
  void teach_once(std::string_view greeting = kGreeting) {
    Talk t{gw};
    t.client = address("198.18.9.1");
    t.port = static_cast<uint16_t>(2000 + next_port++);
    t.timestamps = true;
    t.syn({}, kFullSyn);
    t.syn_ack(kServersSynAck);
    t.ack();
    t.reply(0, 0, greeting);
    t.from_client(wire::kRst, 0, 0);
    gw.sent.clear();
    gw.forwarded.clear();
  }
  // As many as it takes.
  void teach(std::string_view greeting = kGreeting) {
    teach_once(greeting);
    teach_once(greeting);
    gw.forget();
  }

  Gateway gw;
  uint16_t next_port = 0;
};

// A stranger who is met: it learns our number from the SYN-ACK. `real` is the server's own when it is dialled.
struct Stranger : Talk {
  explicit Stranger(Gateway& g) : Talk{g} { timestamps = true; }

  // SYN, our SYN-ACK, ACK.
  void meet() {
    syn({}, kFullSyn);
    take_number();
    ack();
  }
  void take_number() {
    ASSERT_FALSE(gw.sent.empty());
    const Sent& answer = gw.sent.back();
    ASSERT_TRUE(answer.has(wire::kSyn | wire::kAck));
    server_isn = answer.h.seq;
    server_clock = answer.options().tsval;
  }
  // Up to the greeting, acknowledged.
  void hear_greeting() {
    meet();
    gw.wait(milliseconds{1001});
    ASSERT_EQ(gw.sent.back().text(), kGreeting);
    server_clock = gw.sent.back().options().tsval;
    from_client(wire::kAck, 0, kGreeting.size());
  }
  // Up to the SYN at the server.
  void speak(std::string_view words = "EHLO a.example\r\n") {
    hear_greeting();
    gw.forget();
    EXPECT_EQ(say(0, kGreeting.size(), words), Fate::drop);
  }
  // The dialled server, in its own counting.
  Fate server_says(uint8_t flags, uint32_t seq, uint32_t ack, std::string_view data = {},
                   std::vector<uint8_t> opts = {}) {
    Talk real = *this;
    real.server_isn = real_isn;
    real.server_clock = real_clock;
    return gw.put(Side::lan, real.frame(Side::lan, flags, real_isn + 1 + seq, client_isn + 1 + ack, data, opts));
  }
  Fate server_answers() {
    Talk real = *this;
    real.server_isn = real_isn;
    real.server_clock = real_clock;
    return real.syn_ack(kServersSynAck);
  }
  void welcome(std::string_view greeting = kGreeting) {
    server_answers();
    server_says(wire::kAck | wire::kPsh, 0, 0, greeting);
    greeted = static_cast<uint32_t>(greeting.size());
  }

  SeqNo real_isn{777'000};
  uint32_t real_clock = 123'456;
  uint32_t greeted = 0;
};

inline std::vector<Sent> to(Side side, const std::vector<Sent>& all) {
  std::vector<Sent> v;
  for (const Sent& s : all)
    if (s.to == side) v.push_back(s);
  return v;
}

}  // namespace mire::test
