// The wire between two hosts, through whatever a gateway's life brings. The PMD's part (load steer, attach it) is done
// here by the same libbpf calls.
#include "ebpf/wire.h"

#include <linux/bpf.h>
#include <linux/if_link.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include <atomic>
#include <thread>

#include "ebpf/bypass.h"
#include "ebpf/ports.h"
#include "tests/bpf/kinds.h"
#include "tests/bpf/programs.h"
#include "tests/bpf/testbed.h"

namespace mire::ebpf::test {
namespace {

using namespace wire::test;  // NOLINT(google-build-using-namespace)

const PortNames kPorts{"wan", "lan"};

class Wire : public testing::Test {
 protected:
  void SetUp() override {
    if (const auto why = missing(); !why.empty()) GTEST_SKIP() << why;
    bed_.emplace();
    wan_.emplace(bed_->host("wan"));
    lan_.emplace(bed_->host("lan"));
  }
  void TearDown() override {
    if (bed_) (void)open_wire(kPorts);
  }

  void attach_steer(const char* port, const Loaded& steer) {
    const auto ifindex = static_cast<int>(if_nametoindex(port));
    ASSERT_EQ(bpf_xdp_attach(ifindex, steer.fd(), XDP_FLAGS_UPDATE_IF_NOEXIST | XDP_FLAGS_DRV_MODE, nullptr), 0);
  }
  [[nodiscard]] bool crosses(const Bytes& frame) const {
    wan_->send(frame);
    const bool there = lan_->hears(frame);
    lan_->send(frame);
    return wan_->hears(frame) && there;
  }
  // Nothing goes; a short look.
  [[nodiscard]] bool blocked(const Bytes& frame) const {
    wan_->send(frame);
    const bool there = lan_->hears(frame, milliseconds{60});
    lan_->send(frame);
    return !wan_->hears(frame, milliseconds{60}) && !there;
  }
  static std::string snapshot() {
    return output_of(
        "for p in wan lan; do ip -o link show $p | sed 's/qdisc [a-z]*//'; ip -o -6 addr show dev $p scope global | "
        "sed -E 's/ (nodad|tentative)//';"
        "cat /proc/sys/net/ipv6/conf/$p/disable_ipv6; ethtool -k $p; tc qdisc show dev $p clsact; tc filter show dev "
        "$p ingress;"
        "ip -d link show $p | grep -o 'promiscuity [0-9]*'; done");
  }

  std::optional<Testbed> bed_;
  std::optional<Host> wan_, lan_;
};

TEST_F(Wire, CarriesEveryKindOnceClosed) {
  EXPECT_TRUE(blocked(frame4())) << "no wire yet";
  const auto state = close_wire(kPorts, FailMode::open);
  ASSERT_TRUE(state) << state.error();
  for (const auto& kind : every_kind()) {
    if (kind.frame.size() > 1514) continue;
    EXPECT_TRUE(crosses(kind.frame)) << kind.name;
  }
  EXPECT_GT(state->bypass_epoch(), 0u);
  EXPECT_EQ((*state->counts())[MIRE_COUNT_REFUSED_TC], (std::array<uint64_t, 2>{0, 0}));
}

TEST_F(Wire, RefusesSmtpUnderFailClosedAndNothingElse) {
  const auto state = close_wire(kPorts, FailMode::closed);
  ASSERT_TRUE(state) << state.error();
  for (const auto& kind : every_kind()) {
    if (kind.frame.size() > 1514) continue;
    EXPECT_TRUE(kind.taken == Taken::judged ? blocked(kind.frame) : crosses(kind.frame)) << kind.name;
  }
  EXPECT_EQ(state->bypass_epoch(), 0u);
}

TEST_F(Wire, SteerAloneCarriesEveryKind) {
  const auto state = close_wire(kPorts, FailMode::open);
  ASSERT_TRUE(state) << state.error();
  const Loaded steer("steer.bpf.o", MIRE_STEER_PROGRAM, *state);
  attach_steer("wan", steer);
  attach_steer("lan", steer);
  for (const auto& kind : every_kind()) {
    if (kind.frame.size() > 1514) continue;
    EXPECT_TRUE(crosses(kind.frame)) << kind.name;
  }
  EXPECT_EQ((*state->counts())[MIRE_COUNT_BYPASS_TC], (std::array<uint64_t, 2>{0, 0})) << "all by XDP";
}

TEST_F(Wire, CarriesTwoTagsOnAFullPacket) {
  bed_->in_host("wan", "ip link set host mtu 1600");
  shell("ip link set wan mtu 1600");  // else the veth itself drops the frame on its way in
  const auto state = close_wire(kPorts, FailMode::open);
  ASSERT_TRUE(state) << state.error();
  const Loaded steer("steer.bpf.o", MIRE_STEER_PROGRAM, *state);
  attach_steer("wan", steer);
  attach_steer("lan", steer);
  const Bytes full = frame4({.destination_port = 80, .payload = Bytes(1460)}, {{0x88a8, 1}, {0x8100, 2}});
  ASSERT_EQ(full.size(), 1522u);
  wan_->send(full);
  EXPECT_TRUE(lan_->hears(full));
}

// The stack takes a tag off before tc sees the frame: it counts, as it did for steer.
TEST_F(Wire, CountsATagAmongTheBytesOfAFrameThatIsTooLarge) {
  auto state = close_wire(kPorts, FailMode::closed);
  ASSERT_TRUE(state) << state.error();
  state->beat(0, MonotonicClock::now() + seconds{600});
  state->set_ready(true);
  const Bytes tagged = frame4({.payload = Bytes(1000)}, {{0x8100, 2}});
  state->set_largest_frame(static_cast<uint32_t>(tagged.size()));
  EXPECT_TRUE(blocked(tagged)) << "it fits: whoever was to judge it did not";
  state->set_largest_frame(static_cast<uint32_t>(tagged.size() - 1));
  EXPECT_TRUE(crosses(tagged));
  EXPECT_EQ((*state->counts())[MIRE_COUNT_OVERSIZE], (std::array<uint64_t, 2>{1, 1}));
}

TEST_F(Wire, CarriesJumboFramesByTcAndBySteer) {
  for (const char* side : {"wan", "lan"}) {
    shell(std::string("ip link set ") + side + " mtu 9000");
    bed_->in_host(side, "ip link set host mtu 9000");
  }
  auto state = close_wire(kPorts, FailMode::open);
  ASSERT_TRUE(state) << state.error();
  const Bytes web = frame4({.destination_port = 80, .payload = Bytes(8900)}), smtp = frame6({.payload = Bytes(8900)});
  EXPECT_TRUE(crosses(web));
  EXPECT_TRUE(crosses(smtp));
  const Loaded steer("steer.bpf.o", MIRE_STEER_PROGRAM, *state);
  attach_steer("wan", steer);
  attach_steer("lan", steer);
  const auto before = *state->counts();
  EXPECT_TRUE(crosses(web));
  EXPECT_TRUE(crosses(smtp));
  EXPECT_GT((*state->counts())[MIRE_COUNT_REDIRECTED][0], before[MIRE_COUNT_REDIRECTED][0]) << "inside XDP";
  state->set_linear_only(true);
  EXPECT_TRUE(crosses(web)) << "by way of tc";
}

TEST_F(Wire, LosesNothingWhileSteerComesAndGoes) {
  const auto state = close_wire(kPorts, FailMode::open);
  ASSERT_TRUE(state) << state.error();
  const Loaded steer("steer.bpf.o", MIRE_STEER_PROGRAM, *state);
  const Bytes probe = frame4();
  std::atomic<bool> stop{false};
  unsigned sent = 0;
  std::thread sender([&] {
    for (; !stop; ++sent) {
      wan_->send(probe);
      std::this_thread::sleep_for(std::chrono::microseconds{500});
    }
  });
  for (int round = 0; round < 3; ++round) {
    for (const char* port : {"wan", "lan"}) attach_steer(port, steer);
    std::this_thread::sleep_for(milliseconds{60});
    for (const char* port : {"wan", "lan"}) {
      const auto detached = detach_xdp(port);
      EXPECT_TRUE(detached) << detached.error();
    }
    std::this_thread::sleep_for(milliseconds{60});
    EXPECT_TRUE(close_wire(kPorts, FailMode::open)) << "an upgrade of bypass";
  }
  stop = true;
  sender.join();
  EXPECT_GT(sent, 300u);
  const auto counts = *state->counts();
  EXPECT_GT(counts[MIRE_COUNT_BYPASSED][0], 0u);
  EXPECT_GT(counts[MIRE_COUNT_BYPASS_TC][0], 0u);
  EXPECT_EQ(lan_->count(probe), sent);
}

TEST_F(Wire, ReattachingKeepsTheMapsOfARunningDataplane) {
  auto state = close_wire(kPorts, FailMode::open);
  ASSERT_TRUE(state) << state.error();
  state->set_largest_frame(3542);
  state->beat(0, MonotonicClock::now());
  state->set_ready(true);
  ASSERT_TRUE(close_wire(kPorts, FailMode::closed));
  EXPECT_EQ(state->fail_mode(), FailMode::closed) << "the same memory";
  const auto found = WireState::find(kPorts);
  ASSERT_TRUE(found) << found.error();
  EXPECT_TRUE(found->judged(MonotonicClock::now()));
  EXPECT_EQ(found->largest_frame(), 3542u);
}

TEST_F(Wire, ComesBackWhenAnInterfaceWasMadeAnew) {
  ASSERT_TRUE(close_wire(kPorts, FailMode::open));
  shell("ip link del lan");
  EXPECT_FALSE(WireState::find(kPorts));
  shell("ip link add lan type veth peer name third && ip link set lan up");
  const auto again = close_wire(kPorts, FailMode::open);
  ASSERT_TRUE(again) << again.error();
  EXPECT_EQ(again->lan_ifindex(), if_nametoindex("lan"));
  ASSERT_TRUE(open_wire(kPorts));
}

TEST_F(Wire, OpensWithOnePortGoneButNotOnAWrongName) {
  const auto before = output_of("ip -d -o link show wan; tc qdisc show dev wan");
  ASSERT_TRUE(close_wire(kPorts, FailMode::open));
  EXPECT_FALSE(open_wire({"wan", "nope"}));
  EXPECT_TRUE(crosses(frame4()));
  shell("ip link del lan");
  const auto opened = open_wire(kPorts);
  EXPECT_TRUE(opened) << opened.error();
  EXPECT_FALSE(bypass_attached("wan"));
  EXPECT_EQ(output_of("ip -d -o link show wan; tc qdisc show dev wan"), before);
}

TEST_F(Wire, PutsPortsBackExactly) {
  shell(
      "ip addr add 2001:db8:5::1/64 dev wan nodad && ip link set lan down && tc qdisc add dev lan clsact && ethtool -K "
      "wan gro on");
  const auto before = snapshot();
  ASSERT_TRUE(close_wire(kPorts, FailMode::open));
  const auto closed = snapshot();
  EXPECT_NE(closed, before);
  EXPECT_EQ(closed.find("2001:db8:5::1"), std::string::npos) << "the gateway is silent";
  ASSERT_TRUE(close_wire(kPorts, FailMode::open)) << "a second call must not remember the first one's settings";
  const auto opened = open_wire(kPorts);
  ASSERT_TRUE(opened) << opened.error();
  EXPECT_EQ(snapshot(), before);
  EXPECT_TRUE(open_wire(kPorts)) << "nothing left to do is no error";
  EXPECT_EQ(snapshot(), before);
}

TEST_F(Wire, OpensAfterADataplaneThatWasKilled) {
  const auto before = snapshot();
  const auto state = close_wire(kPorts, FailMode::open);
  ASSERT_TRUE(state) << state.error();
  const Loaded steer("steer.bpf.o", MIRE_STEER_PROGRAM, *state);
  attach_steer("wan", steer);
  attach_steer("lan", steer);
  ASSERT_EQ(*xdp_owner("wan"), XdpOwner::ours);
  const auto opened = open_wire(kPorts);
  ASSERT_TRUE(opened) << opened.error();
  EXPECT_EQ(*xdp_owner("wan"), XdpOwner::none);
  EXPECT_EQ(snapshot(), before);
}

TEST_F(Wire, RefusesWhatCannotBeAWireAndTouchesNothing) {
  const bool bridged = std::system(
                           "ip link add third type veth peer name fourth && ip link add br0 type bridge && ip link set "
                           "third master br0") == 0;
  const auto before = snapshot();
  const auto refusal = [](const PortNames& ports) {
    const auto state = close_wire(ports, FailMode::open);
    return state ? std::string("accepted") : state.error();
  };
  EXPECT_EQ(refusal({"wan", "nope"}), "there is no interface nope here: ip link shows those that there are");
  EXPECT_EQ(refusal({"wan", "an-interface-name-too-long"}),
            "there is no interface an-interface-name-too-long here: ip link shows those that there are");
  EXPECT_EQ(refusal({"wan", "wan"}), "wan and lan are both wan: a wire has two ends, name two interfaces");
  EXPECT_EQ(refusal({"lo", "lan"}), "lo is not an Ethernet interface: name one that is");
  EXPECT_TRUE(!bridged || refusal({"wan", "third"}).starts_with("third belongs to br0: release it first"));
  EXPECT_EQ(snapshot(), before);
}

TEST_F(Wire, RefusesAPortThatIsWiredToAnother) {
  shell("ip link add third type veth peer name fourth && ip link set third up");
  ASSERT_TRUE(close_wire(kPorts, FailMode::open));
  const auto third = output_of("ip -d -o link show third; tc qdisc show dev third");
  for (const auto& ports : {PortNames{"wan", "third"}, PortNames{"third", "lan"}, PortNames{"lan", "wan"}}) {
    const auto state = close_wire(ports, FailMode::open);
    ASSERT_FALSE(state);
    EXPECT_NE(state.error().find("is wired already (wan wan, lan lan)"), std::string::npos) << state.error();
  }
  EXPECT_EQ(output_of("ip -d -o link show third; tc qdisc show dev third"), third);
  EXPECT_TRUE(crosses(frame4()));
}

TEST_F(Wire, RefusesAPortThatCarriesSomebodyElsesProgram) {
  const bpf_insn pass[] = {{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, XDP_PASS}, {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
  const Fd foreign{bpf_prog_load(BPF_PROG_TYPE_XDP, "theirs", "GPL", pass, 2, nullptr)};
  ASSERT_TRUE(foreign) << strerror(errno);
  const auto ifindex = static_cast<int>(if_nametoindex("lan"));
  ASSERT_EQ(bpf_xdp_attach(ifindex, foreign.get(), 0, nullptr), 0);
  const auto before = snapshot();
  const auto state = close_wire(kPorts, FailMode::open);
  ASSERT_FALSE(state);
  EXPECT_NE(state.error().find("lan is busy"), std::string::npos) << state.error();
  EXPECT_FALSE(detach_xdp("lan"));
  EXPECT_FALSE(open_wire(kPorts));
  EXPECT_EQ(*xdp_owner("lan"), XdpOwner::foreign);
  EXPECT_EQ(snapshot(), before);
  bpf_xdp_detach(ifindex, 0, nullptr);
}

// In a child: a mount namespace cannot be left again.
TEST_F(Wire, IntroducesItsMapsToWhoeverLoadsSteer) {
  const auto state = close_wire(kPorts, FailMode::open);
  ASSERT_TRUE(state) << state.error();
  const auto outside = output_of("mount; ls /sys/fs/bpf");
  const pid_t child = fork();
  if (child == 0) {
    const auto id_of = [](int fd) {
      bpf_map_info info{};
      uint32_t length = sizeof info;
      bpf_obj_get_info_by_fd(fd, &info, &length);
      return info.id;
    };
    if (!introduce_maps(*state)) _exit(1);
    // As the PMD does, once a port.
    std::array<uint32_t, 2> sockets{};
    for (auto& id : sockets) {
      bpf_object* object = bpf_object__open_file(steer_object()->c_str(), nullptr);
      if (object == nullptr || bpf_object__load(object) != 0) _exit(2);
      const auto id_named = [&](const char* name) { return id_of(bpf_object__find_map_fd_by_name(object, name)); };
      if (id_named(MIRE_STATE_MAP) != id_of(state->state_fd())) _exit(3);
      if (id_named(MIRE_COUNTS_MAP) != id_of(state->counts_fd())) _exit(4);
      if (std::string_view{bpf_program__name(bpf_object__next_program(object, nullptr))} != MIRE_STEER_PROGRAM)
        _exit(5);
      id = id_named("xsks_map");
    }
    _exit(sockets[0] != sockets[1] ? 0 : 6);
  }
  int status = -1;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(output_of("mount; ls /sys/fs/bpf"), outside);
}

TEST_F(Wire, AsksThePortsWhatTheyTake) {
  const auto facts = port_facts("wan");
  ASSERT_TRUE(facts) << facts.error();
  EXPECT_EQ(facts->ifindex, if_nametoindex("wan"));
  EXPECT_EQ(facts->mtu, 1500u);
  EXPECT_TRUE(facts->up);
  EXPECT_TRUE(facts->ethernet);
  EXPECT_EQ(facts->receive_queues, 1u);
  if (redirect_target(if_nametoindex("lo")).frames) return;  // a kernel before 6.3 cannot be asked
  EXPECT_TRUE(redirect_target(facts->ifindex).frames) << "its peer runs NAPI";
  bed_->in_host("wan", "ethtool -K host gro off");
  EXPECT_FALSE(redirect_target(facts->ifindex).frames) << "its peer does not";
}

}  // namespace
}  // namespace mire::ebpf::test
