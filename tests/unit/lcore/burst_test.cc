// A burst is an optimisation: whatever its size, each frame fares as if it had come alone.
#include <gtest/gtest.h>

#include <random>

#include "tests/support/gateway.h"

namespace mire::test {
namespace {

struct Frame {
  Side from;
  std::vector<uint8_t> bytes;
};

// A frame of one of a few connections, mostly one that leads on. ISNs and ports are few, so that flows end, begin anew
// and meet themselves within one burst.
Frame any_frame(std::mt19937_64& chance, Gateway& gw) {
  Talk t{gw};
  const auto pick = [&](auto n) { return static_cast<uint32_t>(chance() % static_cast<uint64_t>(n)); };
  const bool v6 = pick(4) == 0;
  t.client = v6 ? address("2001:db8::1") : wire::Address::v4(0xc6120001u + pick(3));
  t.server = v6 ? address("2001:db8::25") : wire::Address::v4(0xc6130019u + pick(2));
  t.port = static_cast<uint16_t>(40000 + pick(2));
  t.client_isn = {1000 + 100'000 * (pick(8) == 0 ? 1u : 0u)};
  t.server_isn = {0xfffffff0u + 500'000 * (pick(8) == 0 ? 1u : 0u)};
  t.timestamps = pick(2) == 0;
  const SeqNo c = t.client_isn + 1, s = t.server_isn + 1;
  const auto greeting = static_cast<uint32_t>(kGreeting.size());
  const auto client = [&](uint8_t flags, SeqNo seq, SeqNo ack, std::string_view data = {}) {
    return Frame{Side::wan, t.frame(Side::wan, flags, seq, ack, data)};
  };
  const auto server = [&](uint8_t flags, SeqNo seq, SeqNo ack, std::string_view data = {}) {
    return Frame{Side::lan, t.frame(Side::lan, flags, seq, ack, data)};
  };
  switch (pick(16)) {
    case 0:
    case 1: return client(wire::kSyn, t.client_isn, {}, pick(6) == 0 ? "early" : "");
    case 2:
    case 3:
    case 4: return server(wire::kSyn | wire::kAck, t.server_isn, c);
    case 5:
    case 6:
    case 7: return client(wire::kAck, c, s);
    case 8:
    case 9: return server(wire::kAck | wire::kPsh, s, c, kGreeting);
    case 10: return server(wire::kAck, s, c, kGreeting.substr(0, 10));
    case 11: return client(wire::kAck, c, s + pick(2) * greeting, "EHLO client.example\r\n");
    case 12: return client(wire::kAck, c - 1, s);
    case 13: return client(wire::kRst, c + pick(2), {});
    case 14: return client(wire::kAck | wire::kFin, c, s);
    default: return server(pick(2) == 0 ? wire::kRst | wire::kAck : wire::kFin | wire::kAck, s, c);
  }
}

bool same(const std::vector<Sent>& a, const std::vector<Sent>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Sent& x, const Sent& y) { return x.to == y.to && x.frame == y.frame; });
}

void play(uint64_t seed, bool suspects) {
  std::mt19937_64 chance{seed};
  Gateway alone, together;
  for (Gateway* gw : {&alone, &together}) {
    auto& unknown = gw->settings().treatments[size_t(policy::SourceClass::unknown)];
    unknown.greeting = {20, 200};
    if (suspects) unknown.syn_ack = {5, 50};
    gw->commit();
  }
  for (int round = 0; round < 400; ++round) {
    std::vector<Frame> frames;
    for (size_t n = chance() % (lcore::kBurst + 1); n > 0; --n) frames.push_back(any_frame(chance, alone));
    std::vector<Fate> one_by_one;
    for (const Frame& f : frames) one_by_one.push_back(alone.put(f.from, f.bytes));

    lcore::Burst b;
    for (Frame& f : frames)
      b.frames[b.count++] = {f.bytes.data(), static_cast<uint16_t>(f.bytes.size()), f.from, Fate::forward, nullptr};
    together.pipeline().process(b, together.now);
    for (size_t i = 0; i < frames.size(); ++i)
      ASSERT_EQ(b.frames[i].fate, one_by_one[i]) << "frame " << i << " of " << frames.size() << ", round " << round;
    const Duration pause = milliseconds{chance() % 60};
    alone.wait(pause);
    together.wait(pause);
    ASSERT_TRUE(same(alone.sent, together.sent)) << "what the gateway sends differs, round " << round;
    ASSERT_EQ(alone.pipeline().counters().reasons, together.pipeline().counters().reasons) << "round " << round;
    ASSERT_EQ(alone.pipeline().counters().flows, together.pipeline().counters().flows);
    alone.forget();
    together.forget();
  }
  const auto& reasons = alone.pipeline().counters().reasons;
  for (const auto r : {policy::Reason::greeting_held, policy::Reason::deadline, policy::Reason::early_talk,
                       policy::Reason::gave_up, policy::Reason::tombstone})
    EXPECT_GT(reasons[static_cast<size_t>(r)], 0u) << "the play did not get there: " << policy::to_string(r);
}

TEST(Burst, EachFrameFaresAsIfItHadComeAlone) {
  for (uint64_t seed = 1; seed <= 8; ++seed) play(seed, false);
}

TEST(Burst, EachFrameFaresAsIfItHadComeAloneAlsoWhenSynAcksAreHeld) {
  for (uint64_t seed = 1; seed <= 8; ++seed) play(seed, true);
}

}  // namespace
}  // namespace mire::test
