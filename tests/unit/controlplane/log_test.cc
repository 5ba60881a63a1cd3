#include <fmt/format.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "controlplane/log/flow_line.h"
#include "controlplane/log/flow_log.h"
#include "dataplane/base/time.h"

namespace mire::log {
namespace {

mailbox::FlowEvent early_talker(std::string_view said) {
  mailbox::FlowEvent e;
  e.client = wire::parse_address("192.0.2.77").value();
  e.server = wire::parse_address("203.0.113.25").value();
  e.client_port = 40001;
  e.source_class = policy::SourceClass::unknown;
  e.state = policy::State::banner_held;
  e.verdict = policy::Verdict::reset;
  e.reason = policy::Reason::early_talk;
  e.hold_ms = 2914;
  e.penalty_ms = 60'000;
  e.bytes_length = static_cast<uint8_t>(said.size());
  std::copy(said.begin(), said.end(), e.first_bytes.begin());
  return e;
}

std::string decoded(std::string_view raw) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(raw.data());
  const std::string text = fmt::format("\"{}\"", escaped({bytes, raw.size()}));
  const boost::json::value value = boost::json::parse(text);
  return std::string(value.get_string().data(), value.get_string().size());
}

const WallTime kWhen{std::chrono::milliseconds{1'795'054'264'123}};

TEST(FlowLine, IsTheWholeStoryInOneLine) {
  EXPECT_EQ(
      flow_line(early_talker("EHLO x\r\n"), kWhen),
      R"({"time":"2026-11-19T02:11:04.123Z","source":"192.0.2.77","port":40001,"server":"203.0.113.25","vlan":[],)"
      R"("class":"unknown","state":"banner_held","verdict":"reset","reason":"early_talk","hold":2.914,)"
      R"("observed":false,"accepted":0,"penalty":60.000,"first_bytes":"EHLO x\\r\\n"})");
}

TEST(FlowLine, NamesVlansFromTheOutermostIn) {
  mailbox::FlowEvent e = early_talker("");
  e.vlan = uint64_t{2} << 48 | 100 << 12 | 7;
  e.observed = 1;
  const std::string line = flow_line(e, kWhen);
  EXPECT_NE(line.find(R"("vlan":[100,7])"), std::string::npos) << line;
  EXPECT_NE(line.find(R"("observed":true)"), std::string::npos) << line;
}

TEST(FlowLine, PrintsAStrangersBytesTheSameWayInJsonAndOutsideIt) {
  std::string all;
  for (int b = 0; b < 256; ++b) all += static_cast<char>(b);
  const auto* bytes = reinterpret_cast<const uint8_t*>(all.data());
  EXPECT_EQ(printable({bytes, all.size()}), decoded(all));
  EXPECT_EQ(printable({bytes + '\\', 1}), R"(\\)");
  EXPECT_EQ(printable({bytes + '"', 1}), "\"");
}

TEST(FlowLine, LetsNothingOfAStrangersOutRaw) {
  EXPECT_EQ(decoded("EHLO \"x\"\r\n"), "EHLO \"x\"\\r\\n");
  EXPECT_EQ(decoded(std::string_view("\x16\x03\x01\0\x7f\xff", 6)), "\\x16\\x03\\x01\\x00\\x7f\\xff");
  EXPECT_EQ(decoded("\x1b[2J\\x41\t"), "\\x1b[2J\\\\x41\\t");
}

TEST(FlowLine, IsJsonAndOneLineForEveryByteThatThereIs) {
  for (unsigned first = 0; first < 256; ++first) {
    const char said[2] = {static_cast<char>(first), '"'};
    const std::string line = flow_line(early_talker({said, 2}), kWhen);
    boost::json::error_code error;
    const auto value = boost::json::parse(line, error);
    ASSERT_FALSE(error) << line;
    for (const char c : line) ASSERT_TRUE(c >= 0x20 && c < 0x7f) << line;
  }
}

TEST(FlowLine, NeverReadsBeyondTheBytesThatThereAre) {
  mailbox::FlowEvent e = early_talker("x");
  e.bytes_length = 255;
  EXPECT_NE(flow_line(e, kWhen).find("x\\\\x00"), std::string::npos);
}

std::string content(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(FlowLog, GoesOnInANewFileAfterRotation) {
  const std::string path = testing::TempDir() + "mire-flow-log-test.json";
  std::filesystem::remove(path);
  {
    const std::unique_ptr<FlowLog> log = FlowLog::open(path).value();
    log->write(early_talker("one"));
    while (content(path).empty()) std::this_thread::yield();
    std::filesystem::rename(path, path + ".1");
    ASSERT_TRUE(log->reopen().ok());
    log->write(early_talker("two"));
  }
  EXPECT_NE(content(path + ".1").find("one"), std::string::npos);
  EXPECT_NE(content(path).find("two"), std::string::npos);
  EXPECT_EQ(content(path).find("one"), std::string::npos);
  std::filesystem::remove(path);
  std::filesystem::remove(path + ".1");
}

TEST(FlowLog, SaysWhyAFileCannotBeWritten) {
  const auto log = FlowLog::open("/nowhere/flows.json");
  ASSERT_FALSE(log.ok());
  EXPECT_EQ(log.error(), "log file /nowhere/flows.json: No such file or directory; check its folder and who owns it");
}

}  // namespace
}  // namespace mire::log
