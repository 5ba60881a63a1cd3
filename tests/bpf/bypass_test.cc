#include <linux/bpf.h>

#include "tests/bpf/kinds.h"
#include "tests/bpf/programs.h"

namespace mire::ebpf::test {
namespace {

class Bypass : public testing::Test {
 protected:
  void SetUp() override {
    if (const auto why = missing(); !why.empty()) GTEST_SKIP() << why;
    other_ = other_interface();
    if (other_ == 0) GTEST_SKIP() << "needs a network namespace of its own, and ip from iproute2";
    state_.emplace(std::move(WireState::create()).value());
    bypass_.emplace("bypass.bpf.o", MIRE_BYPASS_PROGRAM, *state_);
  }

  struct Outcome {
    int action;
    Change change;
    friend bool operator==(const Outcome&, const Outcome&) = default;
    friend std::ostream& operator<<(std::ostream& out, const Outcome& o) {
      return out << "TC_ACT " << o.action << ' ' << o.change;
    }
  };
  Outcome run(unsigned side, std::span<const uint8_t> frame) {
    const uint32_t lo = if_nametoindex("lo");
    side == 0 ? state_->set_ports(lo, other_) : state_->set_ports(other_, lo);
    return run_as_set(side, frame);
  }
  Outcome run_as_set(unsigned side, std::span<const uint8_t> frame) {
    const Watch watch(*state_);
    const int action = bypass_->run(frame);
    return {action, watch.change(side)};
  }
  void expect_of_all(const Outcome& of_other, const Outcome& of_judged) {
    for (const unsigned side : {0u, 1u}) {
      for (const auto& kind : every_kind())
        EXPECT_EQ(run(side, kind.frame), kind.taken == Taken::judged ? of_judged : of_other) << kind.name;
    }
  }

  const Outcome kCarried{TC_ACT_REDIRECT, Change::of({MIRE_COUNT_BYPASS_TC}, 0)};
  const Outcome kCarriedSmtp{TC_ACT_REDIRECT, Change::of({MIRE_COUNT_BYPASS_TC, MIRE_COUNT_BYPASS_TC_SMTP}, 1)};
  const Outcome kRefused{TC_ACT_SHOT, Change::of({MIRE_COUNT_REFUSED_TC}, 0)};
  const Outcome kOversize{TC_ACT_REDIRECT, Change::of({MIRE_COUNT_OVERSIZE}, 0)};
  const Outcome kLeftAlone{TC_ACT_UNSPEC, Change::of({}, 0)};

  std::optional<WireState> state_;
  std::optional<Loaded> bypass_;
  uint32_t other_ = 0;
};

TEST_F(Bypass, CarriesEverythingAndTellsOfSmtp) { expect_of_all(kCarried, kCarriedSmtp); }

TEST_F(Bypass, DropsWhatWaitsForTheDataplanesSuccessor) {
  const Outcome kept{TC_ACT_SHOT, Change::of({MIRE_COUNT_KEPT}, 0)};
  state_->beat(0, MonotonicClock::now() - seconds{2});
  for (const auto& flow : kept_flows()) {
    EXPECT_EQ(run(0, flow.frame(0, wire::kAck)), kCarriedSmtp) << flow.name;
    state_->keep(flow.client, flow.server, 40000);
    EXPECT_EQ(run(0, flow.frame(0, wire::kAck)), kept) << flow.name;
    EXPECT_EQ(run(1, flow.frame(1, wire::kAck)), kept) << flow.name;
    EXPECT_EQ(run(0, flow.frame(0, wire::kSyn)), kCarriedSmtp) << flow.name;
    state_->let_go(flow.client, flow.server, 40000);
    EXPECT_EQ(run(0, flow.frame(0, wire::kAck)), kCarriedSmtp) << flow.name;
  }
}

TEST_F(Bypass, RefusesSmtpAloneUnderFailClosed) {
  state_->set_fail_mode(FailMode::closed);
  expect_of_all(kCarried, kRefused);
}

// While steer is there it passes up only what the dataplane shall not get; what arrives otherwise was not judged.
TEST_F(Bypass, TellsOfSmtpThoughADataplaneLives) {
  state_->beat(0, MonotonicClock::now());
  state_->set_ready(true);
  state_->set_largest_frame(3542);
  expect_of_all(kCarried, kCarriedSmtp);
}

TEST_F(Bypass, CarriesWhatSteerPassedUpAsTooLarge) {
  using namespace wire::test;  // NOLINT(google-build-using-namespace)
  const Bytes frame = frame4({.payload = Bytes(3000)});
  state_->set_largest_frame(1518);
  EXPECT_EQ(run(0, frame), kCarriedSmtp) << "nobody judges";
  state_->beat(0, MonotonicClock::now());
  state_->set_ready(true);
  state_->set_fail_mode(FailMode::closed);
  EXPECT_EQ(run(0, frame), kOversize);
  state_->beat(0, MonotonicClock::now() - Duration{2 * MIRE_HEARTBEAT_STALE_NS});
  EXPECT_EQ(run(0, frame), kRefused);
}

TEST_F(Bypass, LeavesFramesAloneUntilItIsConfigured) {
  for (const auto& kind : every_kind()) {
    state_->set_ports(0, 0);
    EXPECT_EQ(run_as_set(0, kind.frame), kLeftAlone) << kind.name;
    state_->set_ports(other_, other_ + 1);
    EXPECT_EQ(run_as_set(0, kind.frame), kLeftAlone) << kind.name;
  }
}

TEST_F(Bypass, ReadsATruncatedFrameAsSteerDoes) {
  const Loaded steer("steer.bpf.o", MIRE_STEER_PROGRAM, *state_);
  state_->set_fail_mode(FailMode::closed);
  unsigned seen = 0;
  for (const auto& kind : every_kind()) {
    for (size_t size = 14; size <= std::min<size_t>(kind.frame.size(), 600); ++size) {
      const auto cut = std::span{kind.frame}.first(size);
      const auto outcome = run(0, cut);
      if (outcome.action < 0) continue;  // an IP header that is not whole cannot be run at tc
      ++seen;
      EXPECT_EQ(outcome == kRefused, steer.run(cut) == XDP_DROP) << kind.name << " cut to " << size;
    }
  }
  EXPECT_GT(seen, 1000u);
}

}  // namespace
}  // namespace mire::ebpf::test
