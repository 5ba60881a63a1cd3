#include "dataplane/wire/options.h"

#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "tests/unit/wire/frames.h"

namespace mire::wire {
namespace {

using namespace test;

const Bytes kMss1460{2, 4, 0x05, 0xb4};
const Bytes kTimestamps{8, 10, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88};
const Bytes kCookie{34, 10, 1, 2, 3, 4, 5, 6, 7, 8};
const Bytes kOldCookie{254, 12, 0xf9, 0x89, 1, 2, 3, 4, 5, 6, 7, 8};
const Bytes kMultipathCapable{30, 12, 0, 0x81, 9, 8, 7, 6, 5, 4, 3, 2};

Bytes padded(Bytes options, uint8_t with = 1) {
  while (options.size() % 4 != 0) {
    options.push_back(with);
  }
  return options;
}

// Every kind of frame that an edit may meet, with these options and this payload.
std::vector<Bytes> frames_with(const Bytes& options, const Bytes& payload = {}, unsigned flags = kSyn) {
  const TcpSpec s{.flags = flags, .options = padded(options), .payload = payload};
  return {frame4(s), frame6(s), frame4(s, {{0x88a8, 1}, {0x8100, 2}}),
          ethernet(0x0800, ipv4({.options = Bytes(12, 1)}, tcp(s))),
          ethernet(0x86dd, ipv6(60, extension(60, 6, 16), tcp(s)))};
}

TcpOptions read(const Bytes& options) {
  const Exact frame(frame4({.flags = kSyn, .options = padded(options)}));
  return read_options(frame.span(), parse(frame.span()));
}

// What does not hold for a right checksum must not come to hold for a wrong one either: RFC 1624 keeps the difference.
void expect_edit_keeps_checksum(const Bytes& good, const std::function<void(std::span<uint8_t>, Headers&)>& edit) {
  for (const unsigned wrong : {0u, 0x0100u, 0x0001u, 0xabcdu}) {
    Bytes f = good;
    const size_t at = parse(f).l4 + size_t{16};
    put16(f, at, get16(f, at) ^ wrong);
    const Exact exact(f);
    Headers h = parse(exact.span());
    ASSERT_EQ(h.kind, FrameKind::tcp);
    ASSERT_EQ(checksums_valid(exact.span(), h), wrong == 0);
    edit(exact.span(), h);
    h = parse(exact.span());
    ASSERT_EQ(h.kind, FrameKind::tcp);
    ASSERT_EQ(checksums_valid(exact.span(), h), wrong == 0);
  }
}

TEST(Options, ReadsWhatASynCarries) {
  const TcpOptions o = read(kMss1460 + Bytes{4, 2} + kTimestamps + Bytes{1, 3, 3, 7});
  EXPECT_TRUE(o.well_formed);
  EXPECT_TRUE(o.has_mss);
  EXPECT_EQ(o.mss, 1460);
  EXPECT_TRUE(o.sack_permitted);
  EXPECT_TRUE(o.has_timestamps);
  EXPECT_EQ(o.tsval, 0x11223344u);
  EXPECT_EQ(o.tsecr, 0x55667788u);
  EXPECT_TRUE(o.has_window_scale);
  EXPECT_EQ(o.window_scale, 7);
  EXPECT_FALSE(o.fast_open || o.multipath || o.signature);
}

TEST(Options, ReadsNothingWhereThereIsNothing) {
  for (const Bytes& options : {Bytes{}, Bytes(40, 1), Bytes(40, 0)}) {
    const TcpOptions o = read(options);
    EXPECT_TRUE(o.well_formed);
    EXPECT_FALSE(o.has_mss || o.has_timestamps || o.has_window_scale || o.sack_permitted || o.fast_open ||
                 o.multipath || o.signature);
  }
}

TEST(Options, KnowsFastOpenMultipathAndSignatures) {
  EXPECT_TRUE(read(kCookie).fast_open);
  EXPECT_TRUE(read({34, 2}).fast_open);
  EXPECT_TRUE(read(kOldCookie).fast_open);
  EXPECT_TRUE(read({254, 4, 0xf9, 0x89}).fast_open);
  EXPECT_FALSE(read({254, 4, 0xf9, 0x88}).fast_open);
  EXPECT_FALSE(read({254, 3, 0xf9, 0x89}).fast_open);
  EXPECT_FALSE(read({253, 4, 0xf9, 0x89}).fast_open);
  EXPECT_TRUE(read(kMultipathCapable).multipath);
  EXPECT_TRUE(read(Bytes{19, 18} + Bytes(16)).signature);
  EXPECT_TRUE(read(Bytes{29, 16} + Bytes(14)).signature);
}

TEST(Options, EndsAtTheEndOfTheList) {
  const TcpOptions o = read(Bytes{0} + kMss1460);
  EXPECT_TRUE(o.well_formed);
  EXPECT_FALSE(o.has_mss);
}

TEST(Options, KeepsWhatItReadBeforeALengthThatRunsOut) {
  for (const Bytes& bad : {Bytes{8, 0}, Bytes{8, 1}, Bytes{8, 5}, Bytes{1, 1, 1, 8}, Bytes{5, 255}}) {
    Bytes options = kMss1460 + bad;
    options.resize((options.size() + 3) / 4 * 4, 1);
    if (bad.size() == 4) {
      options.resize(8);
    }
    const TcpOptions o = read(options);
    EXPECT_FALSE(o.well_formed);
    EXPECT_EQ(o.mss, 1460);
  }
}

TEST(Options, PassesOverAKnownKindOfAnotherLength) {
  const TcpOptions o = read({2, 3, 5, 3, 4, 7, 7, 4, 3, 0, 8, 4, 1, 1});
  EXPECT_TRUE(o.well_formed);
  EXPECT_FALSE(o.has_mss || o.has_window_scale || o.sack_permitted || o.has_timestamps);
}

TEST(Options, LimitsTheWindowScale) { EXPECT_EQ(read({3, 3, 15}).window_scale, 14); }

TEST(Options, SurviveEveryTwoBytesAtTheEndOfAnyHeader) {
  for (unsigned kind = 0; kind < 256; ++kind) {
    for (unsigned length = 0; length < 256; ++length) {
      for (const Bytes& lead : {Bytes{}, Bytes{1}, Bytes{1, 1}}) {
        Bytes options = lead + Bytes{static_cast<uint8_t>(kind), static_cast<uint8_t>(length)};
        options.resize(4, 0xee);
        const Exact frame(frame4({.flags = kSyn, .options = options}));
        const Headers h = parse(frame.span());
        (void)read_options(frame.span(), h);
        blank_fast_open_and_multipath(frame.span(), h);
        clamp_mss(frame.span(), h, 536);
        ASSERT_TRUE(checksums_valid(frame.span(), h));
      }
    }
  }
}

TEST(Blank, LeavesNopsWhereTheOptionsWereAtOddOffsetsToo) {
  for (size_t nops = 0; nops < 4; ++nops) {
    for (const Bytes& gone : {kCookie, kOldCookie, kMultipathCapable, Bytes{34, 2}, Bytes{34, 7, 1, 2, 3, 4, 5},
                              Bytes{34, 2} + kMultipathCapable}) {
      const Bytes before = Bytes(nops, 1) + kMss1460;
      for (const Bytes& f : frames_with(before + gone + Bytes{4, 2}, {1, 2, 3})) {
        expect_edit_keeps_checksum(f, [&](std::span<uint8_t> frame, Headers& h) {
          EXPECT_TRUE(blank_fast_open_and_multipath(frame, h));
          const auto options = frame.subspan(h.l4 + 20u, h.payload - h.l4 - 20u);
          const Bytes expected = padded(before + Bytes(gone.size(), 1) + Bytes{4, 2});
          EXPECT_TRUE(std::equal(options.begin(), options.end(), expected.begin(), expected.end()));
          EXPECT_FALSE(blank_fast_open_and_multipath(frame, h));
        });
      }
    }
  }
}

TEST(Blank, LeavesAFrameWithoutThemAlone) {
  for (const Bytes& f : frames_with(kMss1460 + kTimestamps + Bytes{254, 4, 1, 2})) {
    Bytes after = f;
    EXPECT_FALSE(blank_fast_open_and_multipath(after, parse(after)));
    EXPECT_EQ(after, f);
  }
}

TEST(Clamp, LowersTheMssAtOddOffsetsToo) {
  for (size_t nops = 0; nops < 4; ++nops) {
    for (const unsigned mss : {0u, 1u, 536u, 1459u}) {
      for (const Bytes& f : frames_with(Bytes(nops, 1) + kMss1460 + Bytes{4, 2}, {1})) {
        expect_edit_keeps_checksum(f, [&](std::span<uint8_t> frame, Headers& h) {
          EXPECT_TRUE(clamp_mss(frame, h, static_cast<uint16_t>(mss)));
          EXPECT_EQ(read_options(frame, h).mss, mss);
          EXPECT_TRUE(read_options(frame, h).sack_permitted);
        });
      }
    }
  }
}

TEST(Clamp, LowersEveryMssForTheLastOneCounts) {
  for (const Bytes& f : frames_with(kMss1460 + Bytes{2, 4, 0xff, 0xff})) {
    expect_edit_keeps_checksum(f, [](std::span<uint8_t> frame, Headers& h) {
      EXPECT_TRUE(clamp_mss(frame, h, 1000));
      EXPECT_EQ(read_options(frame, h).mss, 1000);
      EXPECT_EQ(get16(frame, h.l4 + size_t{22}), 1000u);
    });
  }
}

TEST(Clamp, NeverRaisesAndNeverAdds) {
  for (const Bytes& options : {kMss1460, Bytes{4, 2}, Bytes{}}) {
    for (const Bytes& f : frames_with(options)) {
      Bytes after = f;
      EXPECT_FALSE(clamp_mss(after, parse(after), 1460));
      EXPECT_EQ(after, f);
    }
  }
}

TEST(Trim, CutsPayloadOfEveryLengthAndTheFinBehindIt) {
  for (const size_t n : {size_t{0}, size_t{1}, size_t{2}, size_t{5}, size_t{33}, size_t{1400}, size_t{1401}}) {
    Bytes payload(n);
    for (size_t i = 0; i < n; ++i) {
      payload[i] = static_cast<uint8_t>(i * 7 + 0xa1);
    }
    for (const Bytes& f : frames_with(kMss1460, payload, kSyn | kFin)) {
      const Headers before = parse(f);
      expect_edit_keeps_checksum(f, [&](std::span<uint8_t> frame, Headers& h) {
        const uint16_t length = trim_payload(frame, h);
        const Headers after = parse(frame.first(length));
        EXPECT_EQ(after.kind, FrameKind::tcp);
        EXPECT_EQ(after.payload_length, 0);
        EXPECT_EQ(after.flags, kSyn);
        EXPECT_EQ(after.end, before.payload);
        EXPECT_EQ(after.seq, before.seq);
        EXPECT_EQ(h.end, after.end);
        EXPECT_EQ(h.flags, after.flags);
        EXPECT_EQ(h.payload, after.payload);
        EXPECT_EQ(h.payload_length, 0);
        EXPECT_EQ(h.sequence_length(), 1u);
        EXPECT_EQ(length, std::max<size_t>(after.end, std::min<size_t>(60, f.size())));
        for (size_t i = after.end; i < length; ++i) {
          EXPECT_EQ(frame[i], 0) << "payload left as padding";
        }
      });
    }
  }
}

TEST(Trim, DropsPadding) {
  Bytes f = frame4({.flags = kSyn, .payload = Bytes(50, 'x')}) + Bytes(20, 'p');
  Headers h = parse(f);
  EXPECT_EQ(trim_payload(f, h), 60);
  f.resize(60);
  EXPECT_TRUE(checksums_valid(f, parse(f)));
  EXPECT_EQ(Bytes(f.begin() + 54, f.end()), Bytes(6));
}

TEST(Overwrite, KeepsTheChecksumAtEveryOffsetAndLength) {
  std::mt19937 random(4);
  Bytes payload(24);
  for (uint8_t& b : payload) {
    b = static_cast<uint8_t>(random());
  }
  for (const Bytes& f : frames_with({}, payload, kAck)) {
    for (size_t offset = 0; offset <= payload.size(); ++offset) {
      for (size_t n = 0; n + offset <= payload.size(); ++n) {
        Bytes bytes(n);
        for (uint8_t& b : bytes) {
          b = static_cast<uint8_t>(random());
        }
        Bytes expected = payload;
        std::copy(bytes.begin(), bytes.end(), expected.begin() + static_cast<ptrdiff_t>(offset));
        expect_edit_keeps_checksum(f, [&](std::span<uint8_t> frame, Headers& h) {
          overwrite_payload(frame, h, static_cast<uint16_t>(offset), bytes);
          EXPECT_TRUE(std::equal(expected.begin(), expected.end(), frame.begin() + h.payload));
        });
      }
    }
  }
}

TEST(OverwriteDeathTest, RefusesToWriteBeyondThePayload) {
  Bytes f = frame4({.payload = {1, 2, 3}});
  const Bytes two(2);
  EXPECT_DEATH(overwrite_payload(f, parse(f), 2, two), "payload_length");
}

}  // namespace
}  // namespace mire::wire
