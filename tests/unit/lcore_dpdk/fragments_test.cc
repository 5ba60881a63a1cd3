#include "dataplane/lcore/fragments.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "dataplane/lcore/fragment_bytes.h"
#include "dataplane/wire/checksum.h"
#include "tests/unit/lcore_dpdk/bench.h"

namespace mire::test {
namespace {

using enum wire::TcpFlag;

const Ends kMail4{};
const Ends kMail6{.source = "2001:db8::1", .destination = "2001:db8:25::25"};
const Ends kWeb4{.destination_port = 80};
const Ends kWeb6{.source = "2001:db8::1", .destination = "2001:db8:25::25", .destination_port = 80};
const std::string kText = "EHLO fragmented.example.of.some.length\r\n";

uint32_t id_of(const Bytes& frame) { return wire::parse(frame).fragment.id; }

// What was judged leaves under an identification of its own, the same on all of its fragments: puts `id` back.
std::vector<Bytes> renamed(std::vector<Bytes> frames, uint32_t id) {
  const uint32_t fresh = frames.empty() ? id : id_of(frames[0]);
  for (Bytes& f : frames) {
    const wire::Headers h = wire::parse(f);
    EXPECT_EQ(h.fragment.id, fresh);
    uint8_t* ip = &f[h.l3];
    if (h.ipv6) {
      wire::store32(&f[h.fragment.data - 4u], id);
    } else {
      EXPECT_TRUE(lcore::ipv4_header_valid(std::span{f}.subspan(h.l3)));
      wire::store16(ip + 4, static_cast<uint16_t>(id));
      std::memset(ip + 10, 0, 2);
      const uint16_t sum = wire::fold(wire::sum({ip, 20}));
      std::memcpy(ip + 10, &sum, 2);
    }
  }
  return frames;
}

void tag(Bytes& frame, uint16_t tci) {
  const uint8_t tag[4] = {0x81, 0x00, static_cast<uint8_t>(tci >> 8), static_cast<uint8_t>(tci)};
  frame.insert(frame.begin() + 12, tag, tag + 4);
}

class Fragments : public ::testing::TestWithParam<bool> {
 protected:
  [[nodiscard]] const Ends& mail() const { return GetParam() ? kMail6 : kMail4; }
  [[nodiscard]] const Ends& web() const { return GetParam() ? kWeb6 : kWeb4; }
  [[nodiscard]] Bytes speech(const Ends& ends) const { return tcp(ends, kPsh | kAck, kText); }
  void put(const Bytes& frame, Side from = Side::wan) {
    bench.port(from).put(frame);
    bench.turn();
  }
  std::vector<Bytes> out(Side to = Side::lan) { return bench.port(to).take_all(); }
  const lcore::FragmentCounters& count() { return bench.worker().fragment_counters(); }
  void time_out() {
    bench.wait(seconds{3});
    bench.turn();
  }

  Bench bench;
};
INSTANTIATE_TEST_SUITE_P(Families, Fragments, ::testing::Values(false, true),
                         [](const auto& family) { return family.param ? "IPv6" : "IPv4"; });

TEST_P(Fragments, OfMailWaitUntilAllAreThereAndLeaveInTheOrderInWhichTheyCame) {
  std::array<size_t, 3> order{0, 1, 2};
  uint32_t id = 100;
  do {
    const auto pieces = fragments(speech(mail()), 24, ++id);
    ASSERT_EQ(pieces.size(), order.size());
    put(pieces[order[0]]);
    put(pieces[order[1]]);
    ASSERT_TRUE(out().empty()) << "left before it was whole";
    put(pieces[order[2]]);
    ASSERT_EQ(renamed(out(), id), (std::vector<Bytes>{pieces[order[0]], pieces[order[1]], pieces[order[2]]}));
  } while (std::next_permutation(order.begin(), order.end()));
  EXPECT_EQ(count().judged.get(), 6u);
  EXPECT_EQ(count().waiting.get(), 0u);
}

TEST_P(Fragments, AreJudgedAsThePacketThatTheyMake) {
  // A blocked source's SYN is dropped, whole or not.
  source::Settings settings;
  settings.classes.set(*wire::parse_prefix(mail().source), policy::SourceClass::blocked);
  ASSERT_TRUE(bench.worker().tell({lcore::Command::Kind::use, &settings}));
  for (const auto& f : fragments(tcp(mail(), kSyn, std::string(40, 'x')), 24, 2)) put(f);
  EXPECT_TRUE(out().empty());
  EXPECT_EQ(count().judged.get(), 1u);
  EXPECT_EQ(bench.worker().pipeline_counters().reasons[static_cast<size_t>(policy::Reason::blocked)], 1u);
  EXPECT_EQ(count().refused.get(), 3u);
  put(fragments(speech(mail()), 24, 2)[2]);  // what comes late of it
  EXPECT_TRUE(out().empty());
}

TEST_P(Fragments, OfASegmentThatThePipelineShortensDoNotLeave) {
  const source::Settings settings;
  ASSERT_TRUE(bench.worker().tell({lcore::Command::Kind::use, &settings}));
  for (const auto& f : fragments(tcp(mail(), kSyn, std::string(40, 'x')), 24, 3)) put(f);  // data in a SYN is trimmed
  EXPECT_TRUE(out().empty());
  EXPECT_EQ(count().refused.get(), 3u);
}

TEST_P(Fragments, OfASegmentThatThePipelineEditsLeaveWithTheEditInWhicheverItIs) {
  const source::Settings settings;
  ASSERT_TRUE(bench.worker().tell({lcore::Command::Kind::use, &settings}));
  // Blanked: as long as before, but other bytes, in both of the fragments and in the checksum.
  const Bytes fast_open{34, 10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 1}, blank(12, 1);
  const auto expected = fragments(tcp(mail(), kSyn, {}, 1000, 0, blank), 24, 4);
  auto came = fragments(tcp(mail(), kSyn, {}, 1000, 0, fast_open), 24, 4);
  ASSERT_EQ(came.size(), 2u);
  for (const auto& f : came) put(f);
  EXPECT_EQ(renamed(out(), 4), expected);
  came = fragments(tcp(mail(), kSyn, {}, 1000, 0, fast_open), 24, 5);
  put(came[1]);
  put(came[0]);
  EXPECT_EQ(renamed(out(), 4), (std::vector<Bytes>{expected[1], expected[0]}));
  EXPECT_EQ(count().refused.get(), 0u);
}

TEST_P(Fragments, OfOtherTcpLeaveAtOnceAndInOrder) {
  const auto pieces = fragments(speech(web()), 24, 4);
  for (const auto& f : pieces) {
    put(f);
    ASSERT_EQ(out(), std::vector<Bytes>{f});
  }
  EXPECT_EQ(count().passed.get(), 3u);
}

TEST_P(Fragments, OfOtherTcpThatCameBeforeTheFirstLeaveWithIt) {
  const auto pieces = fragments(speech(web()), 24, 5);
  put(pieces[2]);
  put(pieces[1]);
  EXPECT_TRUE(out().empty());
  put(pieces[0]);
  EXPECT_EQ(out(), (std::vector<Bytes>{pieces[2], pieces[1], pieces[0]}));
}

TEST_P(Fragments, WhoseFirstNeverComesLeaveAtTheTimeout) {
  const auto pieces = fragments(speech(web()), 24, 6);
  put(pieces[1]);
  EXPECT_TRUE(out().empty());
  time_out();
  EXPECT_EQ(out(), std::vector<Bytes>{pieces[1]});
  EXPECT_EQ(count().left_unknown.get(), 1u);
}

TEST_P(Fragments, OfMailThatNeverBecomeWholeNeverLeave) {
  const auto pieces = fragments(speech(mail()), 24, 7);
  put(pieces[0]);
  put(pieces[2]);
  time_out();
  EXPECT_TRUE(out().empty());
  EXPECT_EQ(count().timed_out.get(), 2u);
  EXPECT_EQ(bench.buffers_out(), 0u);
}

TEST_P(Fragments, FromTheServersPort25AreMailFromItsOtherPortsAreNot) {
  const Ends reply{
      .source = mail().destination, .destination = mail().source, .source_port = 25, .destination_port = 40000};
  const auto pieces = fragments(speech(reply), 24, 8);
  put(pieces[0], Side::lan);
  EXPECT_TRUE(out(Side::wan).empty());
  put(pieces[1], Side::lan);
  put(pieces[2], Side::lan);
  EXPECT_EQ(renamed(out(Side::wan), 8), pieces);
  EXPECT_EQ(count().judged.get(), 1u);
  // A connection that lan opened is never held.
  for (const auto& f : fragments(speech(mail()), 24, 9)) put(f, Side::lan);
  EXPECT_EQ(out(Side::wan).size(), 3u);
  EXPECT_EQ(count().judged.get(), 1u);
}

TEST_P(Fragments, ARepetitionOfAFragmentIsNotAnOverlap) {
  const auto pieces = fragments(speech(mail()), 24, 10);
  put(pieces[0]);
  put(pieces[0]);
  put(pieces[1]);
  put(pieces[1]);
  put(pieces[2]);
  EXPECT_EQ(renamed(out(), 10), pieces);
}

TEST_P(Fragments, ThatOverlapAreRefusedForMail) {
  const auto wide = fragments(speech(mail()), 32, 11);
  const auto narrow = fragments(speech(mail()), 24, 11);
  put(narrow[0]);
  put(narrow[1]);  // 24 to 48
  put(wide[1]);    // 32 to 60
  put(narrow[2]);
  EXPECT_TRUE(out().empty());
  EXPECT_EQ(count().overlap.get(), 1u);
}

TEST_P(Fragments, ASecondBeginningOfADatagramThatIsNotMailIsRefused) {
  put(fragments(speech(web()), 24, 12)[0]);
  EXPECT_EQ(out().size(), 1u);
  for (const auto& f : fragments(speech(mail()), 24, 12)) put(f);
  EXPECT_TRUE(out().empty());
  EXPECT_EQ(count().overlap.get(), 1u);
}

TEST_P(Fragments, ATinyFirstOneIsRefusedForMailOnly) {
  const auto mail_pieces = fragments(speech(mail()), 16, 13);
  put(mail_pieces[0]);
  EXPECT_EQ(count().tiny.get(), 1u);
  EXPECT_EQ(bench.buffers_out(), 0u) << "kept";
  for (const auto& f : mail_pieces) put(f);
  EXPECT_TRUE(out().empty());
  const auto web_pieces = fragments(speech(web()), 16, 14);
  for (const auto& f : web_pieces) put(f);
  EXPECT_EQ(out(), web_pieces);
}

TEST_P(Fragments, OneAtOffsetEightIsRefusedWhereThePortIsUnknown) {
  put(fragments(speech(web()), 8, 15)[1]);
  time_out();
  EXPECT_TRUE(out().empty());
  EXPECT_EQ(count().tiny.get(), 1u);
}

TEST_P(Fragments, MoreOfThemThanASegmentNeedsAreRefusedForMail) {
  const auto pieces = fragments(tcp(mail(), kAck, std::string(300, 'x')), 24, 16);
  ASSERT_GT(pieces.size(), 8u);
  for (const auto& f : pieces) put(f);
  EXPECT_TRUE(out().empty());
  EXPECT_EQ(count().too_many.get(), 1u);
}

TEST_P(Fragments, OfMailThatFindNoRoomAreDroppedAndCounted) {
  for (uint32_t id = 100; id < 140; ++id) put(fragments(speech(mail()), 24, id)[0]);
  EXPECT_EQ(count().waiting.get(), 32u);
  EXPECT_EQ(count().room_full.get(), 8u);
  put(fragments(speech(mail()), 24, 139)[1]);
  EXPECT_TRUE(out().empty()) << "not judged";
  time_out();
  EXPECT_EQ(count().waiting.get(), 0u);
}

TEST_P(Fragments, OfUnknownPortThatFindNoRoomPassAndAreCounted) {
  for (uint32_t id = 100; id < 140; ++id) put(fragments(speech(web()), 24, id)[1]);
  EXPECT_EQ(count().waiting.get(), 32u);
  EXPECT_EQ(count().room_full.get(), 8u);
  EXPECT_EQ(out().size(), 8u);
}

TEST_P(Fragments, OfMailThatFindNoRoomInTheTableOfDatagramsAreDropped) {
  for (uint32_t id = 1000; id < 1200; ++id) put(fragments(speech(web()), 24, id)[0]);
  EXPECT_EQ(out().size(), 200u);
  const auto pieces = fragments(speech(mail()), 24, 2000);
  put(pieces[0]);
  EXPECT_TRUE(out().empty()) << "not judged";
  EXPECT_EQ(count().room_full.get(), 1u);
  put(pieces[1]);
  EXPECT_EQ(out(), std::vector<Bytes>{pieces[1]}) << "of unknown port";
  EXPECT_EQ(count().room_full.get(), 2u);
}

// A later fragment with other words goes first, alone: it leaves at the timeout, and the server keeps it for 30 s.
TEST_P(Fragments, ThatWereJudgedCannotBeJoinedWithWhatWentBefore) {
  const auto words = fragments(tcp(mail(), kPsh | kAck, std::string(kText.size(), 'x')), 24, 30);
  put(words[1]);
  time_out();
  ASSERT_EQ(out(), std::vector<Bytes>{words[1]}) << "as it came";
  const auto pieces = fragments(speech(mail()), 24, 30);
  for (const auto& f : pieces) put(f);
  const auto judged = out();
  ASSERT_EQ(renamed(judged, 30), pieces);
  EXPECT_NE(id_of(judged[0]), 30u);
  for (const auto& f : pieces) put(f);
  const auto again = out();
  ASSERT_EQ(again.size(), 3u);
  EXPECT_NE(id_of(again[0]), id_of(judged[0]));
}

// Else the checksum of the joined packet is put where the server's address is, and its SYN is nobody's.
TEST_P(Fragments, TakeTheirHeadersFromTheFirstAndNotFromTheOneThatCameFirst) {
  source::Settings settings;
  settings.classes.set(*wire::parse_prefix(mail().source), policy::SourceClass::blocked);
  ASSERT_TRUE(bench.worker().tell({lcore::Command::Kind::use, &settings}));
  auto pieces = fragments(tcp(mail(), kSyn, std::string(40, 'x')), 24, 31);
  tag(pieces[1], 0xe000);  // a priority, and no VLAN
  for (const size_t i : {1u, 0u, 2u}) put(pieces[i]);
  EXPECT_TRUE(out().empty());
  EXPECT_EQ(bench.worker().pipeline_counters().reasons[static_cast<size_t>(policy::Reason::blocked)], 1u);
}

TEST_P(Fragments, TheTableOfDatagramsIsBoundedAndForgets) {
  for (uint32_t id = 1000; id < 1200; ++id) put(fragments(speech(web()), 24, id)[0]);
  EXPECT_EQ(out().size(), 200u);
  time_out();
  const auto pieces = fragments(speech(mail()), 24, 2000);
  for (const auto& f : pieces) put(f);
  EXPECT_EQ(renamed(out(), 2000), pieces);
}

TEST_P(Fragments, OfOneDatagramOnTwoVlansAreTwoDatagrams) {
  auto tagged = fragments(speech(mail()), 24, 17);
  for (auto& f : tagged) tag(f, 0x2a);
  const auto plain = fragments(speech(mail()), 24, 17);
  put(tagged[0]);
  put(plain[1]);
  put(plain[2]);
  EXPECT_TRUE(out().empty());
  put(tagged[1]);
  put(tagged[2]);
  EXPECT_EQ(renamed(out(), 17), tagged);
}

TEST_P(Fragments, TheJoinedPacketHasValidChecksumsIfTheFragmentsHad) {
  // What opens a flow is checksum-verified: so it does in fragments only if the joined packet is right.
  const source::Settings settings;
  ASSERT_TRUE(bench.worker().tell({lcore::Command::Kind::use, &settings}));
  const Bytes padding(16, 1);  // NOPs, so that it is long enough to be cut
  const auto bad = [&] {
    return bench.worker().pipeline_counters().reasons[static_cast<size_t>(policy::Reason::bad_checksum)];
  };
  const Ends server{
      .source = mail().destination, .destination = mail().source, .source_port = 25, .destination_port = 40000};
  auto pieces = fragments(tcp(server, kSyn | kAck, {}, 5000, 1001, padding), 24, 18);
  ASSERT_EQ(pieces.size(), 2u);
  for (const auto& f : pieces) put(f, Side::lan);
  EXPECT_EQ(renamed(out(Side::wan), 18), pieces);
  EXPECT_EQ(bad(), 0u);
  EXPECT_EQ(bench.worker().pipeline_counters().flows[static_cast<size_t>(policy::State::syn_ack_sent)], 1u);

  pieces = fragments(tcp(server, kSyn | kAck, {}, 5000, 1001, padding), 24, 19);
  pieces[1].back() ^= 1;
  for (const auto& f : pieces) put(f, Side::lan);
  EXPECT_EQ(bad(), 1u);
}

TEST(FragmentsOfIpv4, WithABadHeaderChecksumPassAndTeachNothing) {
  Bench bench;
  const auto put = [&](const Bytes& frame) {
    bench.port(Side::wan).put(frame);
    bench.turn();
    return bench.port(Side::lan).take_all();
  };
  Bytes web = fragments(tcp(kWeb4, kAck, kText), 24, 40)[0];
  web[14 + 10] ^= 1;
  EXPECT_EQ(put(web), std::vector<Bytes>{web});
  const auto pieces = fragments(tcp(kMail4, kPsh | kAck, kText), 24, 40);
  EXPECT_TRUE(put(pieces[1]).empty()) << "of unknown port still";
  EXPECT_TRUE(put(pieces[0]).empty());
  Bytes bad = pieces[2];
  bad[14 + 10] ^= 1;
  EXPECT_EQ(put(bad), std::vector<Bytes>{bad});
  EXPECT_EQ(renamed(put(pieces[2]), 40), (std::vector<Bytes>{pieces[1], pieces[0], pieces[2]}));
}

TEST(FragmentsOfIpv6, BehindOtherHeadersAreJudgedAndAHiddenPortIsRefused) {
  Bench bench;
  const Bytes whole = tcp(kMail6, kAck, kText);
  auto pieces = fragments(whole, 24, 20);
  for (auto& f : pieces) {  // a hop-by-hop header before the fragment header
    const uint8_t hop[8] = {44, 0, 1, 4, 0, 0, 0, 0};
    f[14 + 6] = 0;
    wire::store16(&f[14 + 4], static_cast<uint16_t>(wire::load16(&f[14 + 4]) + 8));
    f.insert(f.begin() + 14 + 40, hop, hop + 8);
  }
  for (const auto& f : pieces) {
    bench.port(Side::wan).put(f);
    bench.turn();
  }
  EXPECT_EQ(renamed(bench.port(Side::lan).take_all(), 20), pieces);
  EXPECT_EQ(bench.worker().fragment_counters().judged.get(), 1u);

  // RFC 7112: the chain goes on in the second fragment.
  Bytes hidden = fragments(whole, 24, 21)[0];
  hidden[14 + 40] = 60;
  hidden[14 + 48] = 6;
  hidden[14 + 49] = 9;  // 80 bytes of options, of which 24 are here
  bench.port(Side::wan).put(hidden);
  bench.turn();
  EXPECT_TRUE(bench.port(Side::lan).take_all().empty());
  EXPECT_EQ(bench.worker().fragment_counters().tiny.get(), 1u);
}

TEST(MayBeFragment, IsTrueForEveryFragmentAndSurvivesEveryTruncation) {
  for (const Ends& ends : {kMail4, kMail6}) {
    for (const auto& f : fragments(tcp(ends, kAck, kText), 24, 1)) {
      EXPECT_TRUE(lcore::may_be_fragment(f));
      for (size_t n = 0; n < f.size(); ++n) {
        const Bytes cut(f.begin(), f.begin() + static_cast<ptrdiff_t>(n));
        (void)lcore::may_be_fragment(cut);
      }
    }
    EXPECT_FALSE(lcore::may_be_fragment(tcp(ends, kAck, kText)));
  }
}

}  // namespace
}  // namespace mire::test
