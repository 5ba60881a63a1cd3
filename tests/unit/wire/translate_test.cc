// Numbers moved by constants: which ones, and the checksum with them.
#include "dataplane/wire/translate.h"

#include <gtest/gtest.h>

#include <random>

#include "dataplane/wire/options.h"
#include "tests/unit/wire/frames.h"

namespace mire::wire {
namespace {

using namespace test;

const Translation kMove{0x80000123, 0x700000f1};

// NOP NOP timestamps, NOP NOP and two SACK blocks, as Linux sends them; then both at odd offsets.
const Bytes kEven{1, 1, 8, 10, 0, 0, 1, 0, 0,   0,   2,   0,   1, 1, 5, 18,
                  0, 0, 0, 1,  0, 0, 0, 9, 255, 255, 255, 255, 0, 0, 0, 7};
const Bytes kOdd{1, 8, 10, 0, 0, 1,   0,   0,   0,   2, 0, 5, 18, 0, 0, 0,
                 1, 0, 0,  0, 9, 255, 255, 255, 255, 0, 0, 0, 7,  1, 1, 1};

std::vector<Bytes> frames(const Bytes& options, unsigned flags) {
  const TcpSpec s{.flags = flags, .options = options, .payload = {1, 2, 3}};
  return {frame4(s), frame6(s), frame4(s, {{0x8100, 7}})};
}

TEST(Translate, TheServersSequenceNumberAndClockGoToTheClient) {
  for (const Bytes& options : {kEven, kOdd, Bytes{}})
    for (const Bytes& original : frames(options, kAck)) {
      const Exact frame(original);
      Headers h = parse(frame.span());
      const Headers before = h;
      const TcpOptions was = read_options(frame.span(), h);
      to_clients_numbers(frame.span(), h, kMove);
      const Headers after = parse(frame.span());
      EXPECT_EQ(after.seq, before.seq + kMove.seq);
      EXPECT_EQ(h.seq, after.seq) << "the headers go with the frame";
      EXPECT_EQ(after.ack, before.ack);
      const TcpOptions is = read_options(frame.span(), after);
      if (is.has_timestamps) {
        EXPECT_EQ(is.tsval, was.tsval + kMove.clock);
        EXPECT_EQ(is.tsecr, was.tsecr);
      }
      EXPECT_TRUE(checksums_valid(frame.span(), after));
    }
}

TEST(Translate, TheClientsAckItsSackBlocksAndItsEchoGoToTheServer) {
  for (const auto& [options, blocks] : {std::pair<Bytes, size_t>{kEven, 16}, {kOdd, 13}, {Bytes{}, 0}})
    for (const Bytes& original : frames(options, kAck)) {
      const Exact frame(original);
      Headers h = parse(frame.span());
      const Headers before = h;
      const TcpOptions was = read_options(frame.span(), h);
      to_servers_numbers(frame.span(), h, kMove);
      const Headers after = parse(frame.span());
      EXPECT_EQ(after.seq, before.seq);
      EXPECT_EQ(after.ack, before.ack - kMove.seq);
      EXPECT_EQ(h.ack, after.ack);
      const TcpOptions is = read_options(frame.span(), after);
      EXPECT_EQ(is.tsval, was.tsval);
      if (is.has_timestamps) {
        EXPECT_EQ(is.tsecr, was.tsecr - kMove.clock);
      }
      for (size_t edge = 0; blocks != 0 && edge < 4; ++edge) {
        const size_t at = after.l4 + 20u + blocks + 4 * edge;
        EXPECT_EQ(load32(&frame.span()[at]), load32(&original[at]) - kMove.seq);
      }
      EXPECT_TRUE(checksums_valid(frame.span(), after));
    }
}

TEST(Translate, ThereAndBackIsWhereItWas) {
  std::mt19937 chance(5);
  for (unsigned round = 0; round < 2000; ++round) {
    const Translation t{static_cast<uint32_t>(chance()), static_cast<uint32_t>(chance())};
    const Bytes original = frames(round % 2 == 0 ? kEven : kOdd, kAck)[round % 3];
    const Exact frame(original);
    Headers h = parse(frame.span());
    to_clients_numbers(frame.span(), h, t);
    to_clients_numbers(frame.span(), h, {0u - t.seq, 0u - t.clock});
    to_servers_numbers(frame.span(), h, t);
    to_servers_numbers(frame.span(), h, {0u - t.seq, 0u - t.clock});
    EXPECT_TRUE(std::equal(original.begin(), original.end(), frame.span().begin()));
  }
}

TEST(Translate, AResetWithoutAckAcknowledgesNothing) {
  for (const Bytes& original : frames({}, kRst)) {
    const Exact frame(original);
    Headers h = parse(frame.span());
    to_servers_numbers(frame.span(), h, kMove);
    EXPECT_TRUE(std::equal(original.begin(), original.end(), frame.span().begin()));
  }
}

TEST(Translate, AWrongChecksumStaysWrong) {
  for (Bytes original : frames(kOdd, kAck)) {
    original.at(original.size() - 1) ^= 1;
    const Exact frame(original);
    Headers h = parse(frame.span());
    to_clients_numbers(frame.span(), h, kMove);
    EXPECT_FALSE(checksums_valid(frame.span(), parse(frame.span())));
  }
}

TEST(SynOptions, AreReadBackAsTheyWereWrittenAndPackedAsLinuxPacksThem) {
  for (unsigned which = 0; which < 16; ++which) {
    TcpOptions o;
    o.has_mss = (which & 1) != 0;
    o.sack_permitted = (which & 2) != 0;
    o.has_timestamps = (which & 4) != 0;
    o.has_window_scale = (which & 8) != 0;
    o.mss = o.has_mss ? 1440 : 0;
    o.window_scale = o.has_window_scale ? 7 : 0;
    o.tsval = o.has_timestamps ? 0x01020304 : 0;
    o.tsecr = o.has_timestamps ? 0x05060708 : 0;
    std::array<uint8_t, kSynOptions> room{};
    const size_t n = write_syn_options(o, room);
    EXPECT_EQ(n % 4, 0u);
    EXPECT_LE(n, kSynOptions);
    const Exact frame(
        frame4({.flags = kSyn, .options = Bytes(room.begin(), room.begin() + static_cast<ptrdiff_t>(n))}));
    const TcpOptions read = read_options(frame.span(), parse(frame.span()));
    EXPECT_TRUE(read.well_formed);
    EXPECT_EQ(read.has_mss, o.has_mss);
    EXPECT_EQ(read.mss, o.mss);
    EXPECT_EQ(read.sack_permitted, o.sack_permitted);
    EXPECT_EQ(read.has_timestamps, o.has_timestamps);
    EXPECT_EQ(read.tsval, o.tsval);
    EXPECT_EQ(read.tsecr, o.tsecr);
    EXPECT_EQ(read.has_window_scale, o.has_window_scale);
    EXPECT_EQ(read.window_scale, o.window_scale);
  }
}

}  // namespace
}  // namespace mire::wire
