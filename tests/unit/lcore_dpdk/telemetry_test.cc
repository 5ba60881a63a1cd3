#include "dataplane/lcore/telemetry.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "tests/unit/lcore_dpdk/bench.h"

namespace mire::test {
namespace {

using enum wire::TcpFlag;
using namespace lcore;

uint64_t number(const Rows& rows, const std::string& name) {
  const auto at = std::find_if(rows.begin(), rows.end(), [&](const auto& row) { return row.first == name; });
  return at == rows.end() ? 0 : std::get<uint64_t>(at->second);
}
const Rows& section(const Report& report, const std::string& name) {
  const auto at =
      std::find_if(report.sections.begin(), report.sections.end(), [&](const auto& s) { return s.first == name; });
  static const Rows none;
  return at == report.sections.end() ? none : at->second;
}

TelemetrySubject subject_of(Bench& bench) {
  return {bench.workers(),
          {"ring0", "ring1"},
          {bench.port(Side::wan).id(), bench.port(Side::lan).id()},
          nullptr,
          Bench::kSeed};
}

// What dpdk-telemetry.py does.
std::string ask(const std::string& command) {
  const int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
  sockaddr_un a{};
  a.sun_family = AF_UNIX;
  const std::string path = "/var/run/dpdk/" + Eal::prefix() + "/dpdk_telemetry.v2";
  path.copy(a.sun_path, sizeof a.sun_path - 1);
  if (connect(fd, reinterpret_cast<sockaddr*>(&a), sizeof a) != 0) {
    close(fd);
    return "no telemetry";
  }
  std::string answer(16384, '\0');
  (void)!recv(fd, answer.data(), answer.size(), 0);
  (void)!send(fd, command.data(), command.size(), 0);
  const ssize_t n = recv(fd, answer.data(), answer.size(), 0);
  close(fd);
  answer.resize(n < 0 ? 0 : static_cast<size_t>(n));
  return answer;
}

TEST(Telemetry, StatsAreTheSumOfAllLcores) {
  Bench bench(2);
  for (unsigned lcore = 0; lcore < 2; ++lcore) bench.port(Side::wan, lcore).put(tcp({.destination_port = 80}, kAck));
  bench.turn();
  const Report all = report_stats(subject_of(bench), "");
  EXPECT_EQ(number(section(all, "total"), "not_smtp"), 2u);
  EXPECT_EQ(number(section(all, "total"), "sent_lan"), 2u);
  EXPECT_EQ(number(section(all, "lcore_0"), "not_smtp"), 1u);
  EXPECT_EQ(number(section(all, "lcore_1"), "not_smtp"), 1u);
  for (const char* zero :
       {"would_have_reset", "would_have_reset_delivered", "would_have_blocked", "would_have_blocked_delivered"}) {
    const Rows& total = section(all, "total");
    EXPECT_EQ(std::count(total.begin(), total.end(), std::pair<std::string, Value>{zero, uint64_t{0}}), 1)
        << zero << ": zero is an answer here";
  }
  const Report one = report_stats(subject_of(bench), "1");
  EXPECT_EQ(number(one.rows, "not_smtp"), 1u);
  EXPECT_EQ(report_stats(subject_of(bench), "2").rows[0].first, "error");
  EXPECT_EQ(report_stats(subject_of(bench), "x").rows[0].first, "error");
}

TEST(Telemetry, FlowsAreToldByState) {
  Bench bench;
  const source::Settings settings;
  ASSERT_TRUE(bench.worker().tell({Command::Kind::use, &settings}));
  bench.port(Side::lan).put(
      tcp({.source = "198.51.100.25", .destination = "192.0.2.1", .source_port = 25, .destination_port = 40000},
          kSyn | kAck, {}, 5000, 1001));
  bench.turn();
  const Report report = report_flows(subject_of(bench));
  EXPECT_EQ(number(report.rows, "tracked"), 1u);
  EXPECT_EQ(number(section(report, "states"), "syn_ack_sent"), 1u);
  EXPECT_EQ(section(report, "opened").size(), 2 * policy::kClasses);
}

TEST(Telemetry, ASourceIsAnsweredByItsOwnLcoreOrNotAtAll) {
  Bench bench(2);
  const auto subject = subject_of(bench);
  EXPECT_EQ(report_source(subject, "").rows[0].first, "error");
  EXPECT_EQ(report_source(subject, "192.0.2").rows[0].first, "error");
  EXPECT_EQ(report_source(subject, "192.0.2.1").rows[0].first, "error") << "nobody runs the lcore";
  EXPECT_EQ(report_source(subject, "192.0.2.1").rows[0].first, "error");
  bench.turn();  // takes the old question off the slot
  std::vector<std::thread> lcores;
  for (Worker* w : bench.workers()) lcores.emplace_back([w] { w->run(); });
  const Rows rows = report_source(subject, "192.0.2.1").rows;
  EXPECT_EQ(rows[0], (std::pair<std::string, Value>{"address", std::string("192.0.2.1")}));
  EXPECT_EQ(number(rows, "lcore"), owner_of(*wire::parse_address("192.0.2.1"), 2, Bench::kSeed));
  for (Worker* w : bench.workers()) ASSERT_TRUE(w->tell({Command::Kind::stop, nullptr}));
  for (auto& t : lcores) t.join();
}

TEST(Telemetry, InterfacesHaveBothSides) {
  Bench bench;
  bench.port(Side::wan).put(tcp({.destination_port = 80}, kAck));
  bench.turn();
  const Report report = report_interfaces(subject_of(bench));
  EXPECT_EQ(number(section(report, "wan"), "received"), 1u);
  EXPECT_EQ(number(section(report, "lan"), "sent"), 1u);
}

TEST(Telemetry, IsReadAsJsonUntilItIsWithdrawn) {
  Bench bench;
  const auto subject = subject_of(bench);
  bench.port(Side::wan).put(tcp({.destination_port = 80}, kAck));
  bench.turn();
  ASSERT_TRUE(offer_telemetry(subject).ok());
  const std::string stats = ask("/mire/stats");
  EXPECT_NE(stats.find(R"("/mire/stats":{"total":{"not_smtp":1)"), std::string::npos) << stats;
  EXPECT_NE(ask("/mire/flows").find(R"("tracked":0)"), std::string::npos);
  EXPECT_NE(ask("/mire/interfaces").find(R"("name":"ring0")"), std::string::npos);
  EXPECT_NE(ask("/mire/sources,nonsense").find("error"), std::string::npos);
  withdraw_telemetry();
  EXPECT_EQ(ask("/mire/stats").find("not_smtp"), std::string::npos);
}

}  // namespace
}  // namespace mire::test
