#include <linux/bpf.h>

#include <random>

#include "dataplane/wire/parse.h"
#include "tests/bpf/kinds.h"
#include "tests/bpf/programs.h"

namespace mire::ebpf::test {
namespace {

class Steer : public testing::Test {
 protected:
  void SetUp() override {
    if (const auto why = missing(); !why.empty()) GTEST_SKIP() << why;
    other_ = other_interface();
    if (other_ == 0) GTEST_SKIP() << "needs a network namespace of its own, and ip from iproute2";
    state_.emplace(std::move(WireState::create()).value());
    steer_.emplace("steer.bpf.o", MIRE_STEER_PROGRAM, *state_);
    come_in_by(0);
  }
  void TearDown() override {
    if (socket_ >= 0) close(socket_);
  }

  // Test runs come in by lo.
  void come_in_by(unsigned side) {
    const uint32_t lo = if_nametoindex("lo");
    side_ = side;
    side == 0 ? state_->set_ports(lo, other_) : state_->set_ports(other_, lo);
  }
  void somebody_judges() {
    if (socket_ < 0) socket_ = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
    const uint32_t queue = 0;
    ASSERT_EQ(bpf_map_update_elem(steer_->map("xsks_map"), &queue, &socket_, BPF_ANY), 0) << strerror(errno);
    state_->beat(0, MonotonicClock::now());
    state_->set_ready(true);
  }

  struct Outcome {
    int action;
    Change change;
    friend bool operator==(const Outcome&, const Outcome&) = default;
    friend std::ostream& operator<<(std::ostream& out, const Outcome& o) {
      static constexpr const char* kNames[] = {"ABORTED", "DROP", "PASS", "TX", "REDIRECT"};
      return out << (o.action >= 0 && o.action < 5 ? kNames[o.action] : "not run") << ' ' << o.change;
    }
  };
  Outcome run(std::span<const uint8_t> frame) {
    const Watch watch(*state_);
    const int action = steer_->run(frame);
    return {action, watch.change(side_)};
  }

  // Every kind, in by either side. An error about TCP/25 is never refused, nor tells of a bypass.
  void expect_of_all(const Outcome& of_other, const Outcome& of_judged) {
    const Outcome& of_about = of_judged == kJudged ? of_judged : of_other;
    for (const unsigned side : {0u, 1u}) {
      come_in_by(side);
      for (const auto& kind : every_kind()) {
        const Outcome& expected = kind.taken == Taken::other   ? of_other
                                  : kind.taken == Taken::about ? of_about
                                                               : of_judged;
        EXPECT_EQ(run(kind.frame), expected) << kind.name << ", side " << side;
      }
    }
  }

  const Outcome kRedirected{XDP_REDIRECT, Change::of({MIRE_COUNT_REDIRECTED}, 0)};
  const Outcome kJudged{XDP_REDIRECT, Change::of({MIRE_COUNT_TO_XSK}, 0)};
  const Outcome kBypassed{XDP_REDIRECT, Change::of({MIRE_COUNT_BYPASSED}, 1)};
  const Outcome kRefused{XDP_DROP, Change::of({MIRE_COUNT_REFUSED}, 0)};
  const Outcome kOversize{XDP_REDIRECT, Change::of({MIRE_COUNT_OVERSIZE}, 0)};
  const Outcome kUp{XDP_PASS, Change::of({}, 0)};
  const Outcome kUpBypassed{XDP_PASS, Change::of({}, 1)};

  std::optional<WireState> state_;
  std::optional<Loaded> steer_;
  uint32_t other_ = 0;
  unsigned side_ = 0;
  int socket_ = -1;
};

TEST_F(Steer, HandsSmtpToTheDataplaneAndRedirectsTheRest) {
  somebody_judges();
  expect_of_all(kRedirected, kJudged);
}

TEST_F(Steer, RedirectsEverythingWhileNobodyIsReady) {
  expect_of_all(kRedirected, kBypassed);
  somebody_judges();
  state_->set_ready(false);  // it says goodbye, its heart still beating
  expect_of_all(kRedirected, kBypassed);
}

TEST_F(Steer, RedirectsSmtpWhenTheHeartHasStopped) {
  somebody_judges();
  state_->beat(0, MonotonicClock::now() - Duration{MIRE_HEARTBEAT_STALE_NS} - milliseconds{1});
  expect_of_all(kRedirected, kBypassed);
}

TEST_F(Steer, TrustsAHeartThatBeatJustNow) {
  somebody_judges();
  state_->beat(0, MonotonicClock::now() + milliseconds{500});  // by the clock of a CPU ahead of ours
  expect_of_all(kRedirected, kJudged);
  state_->beat(0, MonotonicClock::now() - Duration{MIRE_HEARTBEAT_STALE_NS} + milliseconds{500});
  expect_of_all(kRedirected, kJudged);
}

TEST_F(Steer, RedirectsSmtpWhenNoSocketIsThere) {
  somebody_judges();
  const uint32_t queue = 0;
  ASSERT_EQ(bpf_map_delete_elem(steer_->map("xsks_map"), &queue), 0);
  expect_of_all(kRedirected, kBypassed);
}

TEST_F(Steer, RefusesSmtpAloneUnderFailClosed) {
  state_->set_fail_mode(FailMode::closed);
  expect_of_all(kRedirected, kRefused);
  somebody_judges();
  expect_of_all(kRedirected, kJudged);
}

TEST_F(Steer, DropsWhatWaitsForTheDataplanesSuccessorForHalfAMinute) {
  const Outcome kept{XDP_DROP, Change::of({MIRE_COUNT_KEPT}, 0)};
  for (const auto& flow : kept_flows()) {
    state_->forget_kept(0x1234567);
    state_->beat(0, MonotonicClock::now() - seconds{2});
    come_in_by(0);
    EXPECT_EQ(run(flow.frame(0, wire::kAck)), kBypassed) << flow.name;
    state_->keep(flow.client, flow.server, 40000);
    EXPECT_EQ(run(flow.frame(0, wire::kAck)), kept) << flow.name;
    EXPECT_EQ(run(flow.frame(0, wire::kRst)), kept) << flow.name;
    EXPECT_EQ(run(flow.frame(0, wire::kSyn)), kBypassed) << "a new connection is nobody's yet";
    come_in_by(1);
    EXPECT_EQ(run(flow.frame(1, wire::kAck)), kept) << flow.name << ", from the server";
    EXPECT_EQ(run(flow.frame(1, wire::kSyn | wire::kAck)), kBypassed);
    EXPECT_EQ(run(flow.frame(0, wire::kAck)), kBypassed) << "a client on the lan side is another flow";
    come_in_by(0);
    state_->beat(0, MonotonicClock::now() - Duration{MIRE_SUCCESSOR_NS} - milliseconds{1});
    EXPECT_EQ(run(flow.frame(0, wire::kAck)), kBypassed) << "nobody came";
    state_->beat(0, MonotonicClock::now() - seconds{2});
    state_->keep(flow.client, flow.server, 40000);
    state_->let_go(flow.client, flow.server, 40000);
    EXPECT_EQ(run(flow.frame(0, wire::kAck)), kept) << "counted";
    state_->let_go(flow.client, flow.server, 40000);
    EXPECT_EQ(run(flow.frame(0, wire::kAck)), kBypassed);
    state_->let_go(flow.client, flow.server, 40000);
    EXPECT_EQ(run(flow.frame(0, wire::kAck)), kBypassed) << "no wrap";
  }
}

TEST_F(Steer, HandsAKeptFlowToADataplaneThatLives) {
  somebody_judges();
  come_in_by(0);
  for (const auto& flow : kept_flows()) {
    state_->keep(flow.client, flow.server, 40000);
    EXPECT_EQ(run(flow.frame(0, wire::kAck)), kJudged);
  }
}

TEST_F(Steer, PassesEverythingUpUntilItIsConfigured) {
  somebody_judges();
  for (const auto& kind : every_kind()) {
    come_in_by(0);
    state_->set_ports(0, 0);
    EXPECT_EQ(run(kind.frame), kUp) << kind.name;
    state_->set_ports(other_, other_ + 1);  // a port that is neither end
    EXPECT_EQ(run(kind.frame), kUp) << kind.name;
  }
  come_in_by(0);
  mire_state raw{};
  const uint32_t only = 0;
  ASSERT_EQ(bpf_map_lookup_elem(state_->state_fd(), &only, &raw), 0);
  raw.layout = MIRE_LAYOUT + 1;
  ASSERT_EQ(bpf_map_update_elem(state_->state_fd(), &only, &raw, BPF_ANY), 0);
  for (const auto& kind : every_kind()) EXPECT_EQ(run(kind.frame), kUp) << kind.name;
}

TEST_F(Steer, HandsEverythingOverWherePortsTakeNoRedirect) {
  somebody_judges();
  state_->set_via_user(true);
  expect_of_all(kJudged, kJudged);
}

TEST_F(Steer, PassesEverythingUpWherePortsTakeNoRedirectAndNobodyIsThere) {
  state_->set_via_user(true);
  expect_of_all(kUp, kUpBypassed);
  state_->set_fail_mode(FailMode::closed);
  expect_of_all(kUp, kRefused);
}

TEST_F(Steer, RedirectsUnreadWhatTheSocketCannotTake) {
  using namespace wire::test;  // NOLINT(google-build-using-namespace)
  somebody_judges();
  for (const size_t payload : {1000u, 3400u, 6000u}) {  // the last is of two buffers
    const Bytes smtp = frame4({.payload = Bytes(payload)}),
                web = frame4({.destination_port = 80, .payload = Bytes(payload)});
    state_->set_largest_frame(static_cast<uint32_t>(smtp.size()));
    EXPECT_EQ(run(smtp), kJudged) << payload;
    EXPECT_EQ(run(web), kRedirected) << payload;
    state_->set_largest_frame(static_cast<uint32_t>(smtp.size()) - 1);
    EXPECT_EQ(run(smtp), kOversize) << payload;
    EXPECT_EQ(run(web), kRedirected) << payload;
    state_->set_via_user(true);
    EXPECT_EQ(run(smtp), kUp) << payload;
    EXPECT_EQ(run(web), kUp) << payload;
    state_->set_via_user(false);
  }
}

TEST_F(Steer, PassesUpFramesOfSeveralBuffersWherePortsTakeNone) {
  using namespace wire::test;  // NOLINT(google-build-using-namespace)
  const Bytes small = frame4({.destination_port = 80, .payload = Bytes(1000)}),
              large = frame4({.destination_port = 80, .payload = Bytes(6000)});
  EXPECT_EQ(run(large), kRedirected);
  state_->set_linear_only(true);
  EXPECT_EQ(run(small), kRedirected);
  EXPECT_EQ(run(large), kUp);
}

// The kernel's redirect drops what is longer than MTU and one tag; tc does not.
TEST_F(Steer, PassesUpTwoTagsBeyondTheMtu) {
  using namespace wire::test;  // NOLINT(google-build-using-namespace)
  const auto tagged = [](size_t size, std::initializer_list<Tag> tags) {
    Bytes frame = frame4({.destination_port = 80}, tags);
    frame.resize(size);
    return frame;
  };
  EXPECT_EQ(run(tagged(1518, {{0x88a8, 1}, {0x8100, 2}})), kRedirected);
  EXPECT_EQ(run(tagged(1519, {{0x88a8, 1}, {0x8100, 2}})), kUp);
  EXPECT_EQ(run(tagged(1522, {{0x88a8, 1}, {0x8100, 2}})), kUp);
  EXPECT_EQ(run(tagged(1518, {{0x8100, 2}})), kRedirected);
}

TEST_F(Steer, NeverTakesATruncatedFrameForMoreThanItSays) {
  for (const auto& kind : every_kind()) {
    if (kind.frame.size() > 600) continue;
    bool known = false;  // from some length on the headers say that it is not TCP/25
    for (size_t size = 14; size <= kind.frame.size(); ++size) {
      const auto outcome = run(std::span{kind.frame}.first(size));
      if (outcome == kRedirected) known = true;
      EXPECT_TRUE(outcome == kRedirected || outcome == kBypassed) << kind.name << " cut to " << size << ": " << outcome;
      EXPECT_TRUE(!known || outcome == kRedirected) << kind.name << " cut to " << size;
    }
    EXPECT_EQ(known, kind.taken != Taken::judged) << kind.name;
  }
}

// The dataplane's parser is the whole truth. What it calls TCP/25, or a fragment of TCP, must not go round it.
TEST_F(Steer, LetsNothingRoundTheGateThatTheDataplaneWouldJudge) {
  state_->set_fail_mode(FailMode::closed);  // one look tells: DROP or not
  const auto kinds = every_kind();
  std::mt19937 random(25);
  unsigned judged = 0;
  for (int i = 0; i < 60'000; ++i) {
    Bytes frame = kinds[random() % kinds.size()].frame;
    const size_t headers = std::min<size_t>(frame.size(), 120);
    for (unsigned flips = random() % 4; flips > 0; --flips)
      frame[12 + random() % (headers - 12)] = static_cast<uint8_t>(random() % 3 == 0 ? random() : 1u << random() % 8);
    if (random() % 4 == 0) frame.resize(14 + random() % (frame.size() - 13));
    const auto headers_read = wire::parse(frame);
    const bool smtp = headers_read.kind == wire::FrameKind::fragment ||
                      (headers_read.kind == wire::FrameKind::tcp &&
                       (headers_read.source_port == 25 || headers_read.destination_port == 25));
    if (!smtp) continue;
    ++judged;
    ASSERT_EQ(steer_->run(frame), XDP_DROP) << testing::PrintToString(frame);
  }
  EXPECT_GT(judged, 5000u);
}

}  // namespace
}  // namespace mire::ebpf::test
