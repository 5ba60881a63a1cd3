// Captures of every kind that an Ethernet interface can give, and files that are none.
#include "tools/replay/capture.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>

#include "tests/support/gateway.h"

namespace mire::test {
namespace {

// A file of its own for one test.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::vector<uint8_t>& content) {
    const int fd = mkstemp(path_);
    EXPECT_GE(fd, 0);
    EXPECT_EQ(write(fd, content.data(), content.size()), static_cast<ssize_t>(content.size()));
    close(fd);
  }
  ~TemporaryFile() { unlink(path_); }
  [[nodiscard]] std::string path() const { return path_; }

 private:
  char path_[32] = "/tmp/mire-capture-XXXXXX";
};

void put(std::vector<uint8_t>& out, std::initializer_list<uint32_t> words) {
  for (const uint32_t w : words) {
    const auto* p = reinterpret_cast<const uint8_t*>(&w);
    out.insert(out.end(), p, p + 4);
  }
}

// A pcap file with one packet (microseconds, this machine's byte order).
std::vector<uint8_t> pcap(uint32_t link, const std::vector<uint8_t>& packet) {
  std::vector<uint8_t> f;
  put(f, {0xa1b2c3d4, 0x00040002, 0, 0, 65535, link, 1700000000, 250000});
  put(f, {static_cast<uint32_t>(packet.size()), static_cast<uint32_t>(packet.size())});
  f.insert(f.end(), packet.begin(), packet.end());
  return f;
}

// The same as pcapng: section header, interface description, enhanced packet.
std::vector<uint8_t> pcapng(uint16_t link, std::vector<uint8_t> packet) {
  const auto length = static_cast<uint32_t>(packet.size());
  while (packet.size() % 4 != 0) packet.push_back(0);
  const auto padded = static_cast<uint32_t>(packet.size());
  std::vector<uint8_t> f;
  put(f, {0x0a0d0d0a, 28, 0x1a2b3c4d, 0x00000001, 0xffffffff, 0xffffffff, 28});
  put(f, {1, 20, link, 65535, 20});
  put(f, {6, 32 + padded, 0, 0, 0, length, length});
  f.insert(f.end(), packet.begin(), packet.end());
  put(f, {32 + padded});
  return f;
}

std::vector<uint8_t> a_syn() {
  Gateway unused;
  return Talk{unused}.frame(Side::wan, wire::kSyn, {1}, {});
}

wire::Headers first_of(const std::vector<uint8_t>& file) {
  const TemporaryFile f(file);
  auto capture = replay::Capture::open(f.path());
  EXPECT_TRUE(capture.ok());
  auto frame = (*capture)->next();
  EXPECT_TRUE(frame.has_value());
  return wire::parse(frame->bytes);
}

TEST(Capture, ReadsEthernetFromPcapAndPcapng) {
  EXPECT_EQ(first_of(pcap(1, a_syn())).destination_port, 25);
  EXPECT_EQ(first_of(pcapng(1, a_syn())).destination_port, 25);
}

TEST(Capture, ReadsCookedAndRawCaptures) {
  const auto frame = a_syn();
  std::vector<uint8_t> cooked(16, 0), cooked2(20, 0);
  cooked[14] = 0x08;
  cooked2[0] = 0x08;
  cooked.insert(cooked.end(), frame.begin() + 14, frame.end());
  cooked2.insert(cooked2.end(), frame.begin() + 14, frame.end());
  EXPECT_EQ(first_of(pcap(113, cooked)).destination_port, 25);
  EXPECT_EQ(first_of(pcap(276, cooked2)).destination_port, 25);
  EXPECT_EQ(first_of(pcap(101, {frame.begin() + 14, frame.end()})).destination_port, 25);
}

TEST(Capture, SaysWhatIsWrongWithAFileInOneLine) {
  EXPECT_NE(replay::Capture::open("/nonexistent/x.pcap").error().find("/nonexistent/x.pcap"), std::string::npos);
  const TemporaryFile garbage(bytes_of("this is no capture at all"));
  EXPECT_FALSE(replay::Capture::open(garbage.path()).ok());
  const TemporaryFile other(pcap(105, a_syn()));  // IEEE 802.11
  const auto refused = replay::Capture::open(other.path());
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().find("IEEE802_11"), std::string::npos);
}

TEST(Capture, AFileThatEndsInTheMiddleGivesWhatItHasAndSaysSo) {
  auto file = pcap(1, a_syn());
  const auto more = pcap(1, a_syn());
  file.insert(file.end(), more.begin() + 24, more.end() - 5);
  const TemporaryFile f(file);
  auto capture = replay::Capture::open(f.path());
  ASSERT_TRUE(capture.ok());
  EXPECT_TRUE((*capture)->next().has_value());
  EXPECT_FALSE((*capture)->next().has_value());
  EXPECT_FALSE((*capture)->error().empty());
}

}  // namespace
}  // namespace mire::test
