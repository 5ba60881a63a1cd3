#include "dataplane/port/port_spec.h"

#include <gtest/gtest.h>

#include "dataplane/options.h"
#include "dataplane/port/eal.h"
#include "dataplane/port/port.h"

namespace mire::port {
namespace {

PortSpec good(std::string_view text) {
  auto spec = parse_port("--wan", text);
  EXPECT_TRUE(spec.ok()) << text << ": " << (spec ? "" : spec.error());
  return spec ? *spec : PortSpec{};
}

TEST(PortSpec, NamesAKernelInterface) {
  EXPECT_EQ(good("eth1"), (PortSpec{PortKind::kernel, "eth1", ""}));
  EXPECT_EQ(good("enp3s0f1.42"), (PortSpec{PortKind::kernel, "enp3s0f1.42", ""}));
  EXPECT_EQ(good("fifteen-letters").name, "fifteen-letters");
}

TEST(PortSpec, NamesAPciAddressWithAndWithoutDomain) {
  EXPECT_EQ(good("0000:03:00.0"), (PortSpec{PortKind::pci, "0000:03:00.0", ""}));
  EXPECT_EQ(good("af:1f.7"), (PortSpec{PortKind::pci, "0000:af:1f.7", ""}));
  EXPECT_EQ(good("10000:e1:00.0").kind, PortKind::pci);
}

TEST(PortSpec, NamesAVirtualDeviceAndKeepsItsArguments) {
  EXPECT_EQ(good("vdev:net_ring0"), (PortSpec{PortKind::vdev, "net_ring0", ""}));
  EXPECT_EQ(good("vdev:net_pcap1,rx_pcap=/tmp/a,tx_pcap=/tmp/b"),
            (PortSpec{PortKind::vdev, "net_pcap1", ",rx_pcap=/tmp/a,tx_pcap=/tmp/b"}));
}

TEST(PortSpec, RefusesWhatIsNoneOfThemAndSaysWhy) {
  for (const char* text :
       {"", "sixteen-letters-", "a/b", "..", "00:1.0", "03:00.8", "03:00", "g3:00.0", "vdev:", "vdev:eth0",
        "vdev:net_;0", "vdev:net_af_xdp0,iface=eth0", "vdev:net_af_packet0", "two words"}) {
    const auto spec = parse_port("--lan", text);
    ASSERT_FALSE(spec.ok()) << text;
    EXPECT_EQ(spec.error().rfind("--lan", 0), 0u) << spec.error();
    EXPECT_EQ(spec.error().find('\n'), std::string::npos);
  }
}

TEST(PortSpec, AWireHasTwoEndsThatTheKernelCanJoin) {
  EXPECT_TRUE(check_pair(good("eth1"), good("eth2")).ok());
  EXPECT_TRUE(check_pair(good("vdev:net_ring0"), good("0000:03:00.0")).ok());
  EXPECT_FALSE(check_pair(good("eth1"), good("eth1")).ok());
  EXPECT_FALSE(check_pair(good("eth1"), good("vdev:net_ring0")).ok());
  EXPECT_FALSE(check_pair(good("03:00.0"), good("eth1")).ok());
}

TEST(Options, TakesTheWholeCommandLine) {
  auto o = parse_options({"--wan", "eth1", "--lan=eth2", "--socket", "/run/x.sock", "--lcores", "2", "--flows=100000",
                          "--seed", "18446744073709551615", "--file-prefix", "p", "--no-huge", "--vdev", "net_ring0"});
  ASSERT_TRUE(o.ok()) << o.error();
  EXPECT_EQ(o->wan.name, "eth1");
  EXPECT_EQ(o->lan.name, "eth2");
  EXPECT_EQ(o->socket, "/run/x.sock");
  EXPECT_EQ(o->lcores, 2u);
  EXPECT_EQ(o->flows, 100000u);
  EXPECT_EQ(o->seed, ~uint64_t{0});
  EXPECT_EQ(o->file_prefix, "p");
  EXPECT_TRUE(o->no_huge);
  EXPECT_EQ(o->vdevs, std::vector<std::string>{"net_ring0"});
}

TEST(Options, RefusesEachBadWordInOneLineThatNamesIt) {
  const std::vector<std::string> ports = {"--wan", "eth1", "--lan", "eth2"};
  for (const std::vector<std::string>& more : std::vector<std::vector<std::string>>{{"--lcores", "0"},
                                                                                    {"--lcores", "65"},
                                                                                    {"--lcores", "two"},
                                                                                    {"--flows", "63"},
                                                                                    {"--flows", "1k"},
                                                                                    {"--seed", "-1"},
                                                                                    {"--seed", "18446744073709551616"},
                                                                                    {"--file-prefix", "a/b"},
                                                                                    {"--file-prefix="},
                                                                                    {"--vdev", "eth0"},
                                                                                    {"--wan"},
                                                                                    {"--fast"},
                                                                                    {"fast"}}) {
    auto words = ports;
    words.insert(words.end(), more.begin(), more.end());
    const auto o = parse_options(words);
    ASSERT_FALSE(o.ok()) << more[0];
    EXPECT_NE(o.error().find(more[0].substr(0, more[0].find('='))), std::string::npos) << o.error();
    EXPECT_EQ(o.error().find('\n'), std::string::npos);
  }
  EXPECT_FALSE(parse_options({}).ok());
  EXPECT_FALSE(parse_options({"--wan", "eth1"}).ok());
}

TEST(Options, HelpNeedsNothingElse) {
  EXPECT_TRUE(parse_options({"--help"})->help);
  EXPECT_TRUE(parse_options({"--version"})->version);
}

TEST(Eal, TheCauseIsTheFirstComplaintAndNeverTheMissingHugepages) {
  EXPECT_EQ(likely_cause("EAL: Detected CPU lcores: 2\nEAL: No free 2048 kB hugepages reported on node 0\n"
                         "TELEMETRY: No legacy callbacks, legacy socket not created\n"
                         "xdp_umem_configure(): Failed to create umem\nport 0 cannot start\n"),
            "xdp_umem_configure(): Failed to create umem");
  EXPECT_EQ(likely_cause("EAL: Selected IOVA mode 'VA'\n\n"), "");
  EXPECT_EQ(likely_cause(""), "");
}

TEST(Port, AnXskBufferFitsAPageAndItsFrameLeavesRoomForTheKernel) {
  EXPECT_GE(xsk_buffer(1500).largest_frame, 1500 + 14 + 16);
  EXPECT_EQ(xsk_buffer(1500).data_room, 2176);
  const XskBuffer jumbo = xsk_buffer(9000);
  EXPECT_EQ(jumbo.data_room % 64, 0);
  EXPECT_GE(jumbo.largest_frame, 3500);
  EXPECT_LE(jumbo.data_room + 192, 4096);
  EXPECT_EQ(jumbo.largest_frame, jumbo.data_room - 128 - 256);
}

}  // namespace
}  // namespace mire::port
