#include "dataplane/mailbox/layout.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstring>

namespace mire::mailbox {
namespace {

wire::Address address(const char* text) { return wire::parse_address(text).value(); }

Profile profile(const std::string& greeting, size_t offset) {
  return {
      address("2001:db8::25"), 0x8100006400000000, {1440, 64'800, 7, true, true, true}, 60, piece_of(greeting, offset)};
}

std::vector<Down> every_down() {
  ClassTreatment treatment{policy::SourceClass::suspect, policy::default_treatments()[4]};
  treatment.treatment.syn = policy::OnSyn::reset;
  treatment.treatment.observe = true;
  return {Begin{7},
          Global{true, false, 60'000, 86'400'000, {20'000, 50}},
          treatment,
          Protect{address("203.0.113.25"), {}, {}},
          Protect{address("203.0.113.26"), {8, 3}, piece_of("220 mx.example ESMTP\r\n", 0)},
          ClassPrefix{wire::parse_prefix("2001:db8::/32").value(), policy::SourceClass::trusted},
          EarlyHello{address("2001:db8::25"), 3600},
          EarlyHello{address("2001:db8::26"), 0},
          Penalty{address("2001:db8:0:1::"), 60, 3, 2},
          TextPart{2, piece_of(std::string(kPieceBytes, 'x') + "at %address%", 0)},
          TextPart{2, piece_of(std::string(kPieceBytes, 'x') + "at %address%", kPieceBytes)},
          profile("220 mx.example ESMTP\r\n", 0),
          profile("220-" + std::string(100, 'x') + "\r\n220 y\r\n", 80),
          Commit{7, 12}};
}

std::vector<Up> every_up() {
  FlowEvent event;
  event.time_ns = 12;
  event.client = address("192.0.2.77");
  event.reason = policy::Reason::early_talk;
  event.bytes_length = 4;
  event.first_bytes = {'E', 'H', 'L', 'O'};
  return {event, Applied{7}, Refused{8, "why; what to do"}, Lost{99}, profile("220 mx.example ESMTP\r\n", 0)};
}

TEST(Layout, CarriesEveryDownMessageUnchanged) {
  for (const Down& down : every_down()) {
    const Result<Down> back = decode(encode(down));
    ASSERT_TRUE(back.ok()) << back.error();
    EXPECT_EQ(back.value(), down);
  }
}

TEST(Layout, CarriesEveryUpMessageUnchanged) {
  for (const Up& up : every_up()) {
    const UpMessage message = encode(up);
    const Result<Up> back = decode(message);
    ASSERT_TRUE(back.ok()) << back.error();
    const UpMessage again = encode(back.value());
    EXPECT_EQ(std::memcmp(&message, &again, sizeof(message)), 0);
  }
}

// Whatever a byte is changed to: either it is refused, or what was read is a message that we could have written
// ourselves.
template <typename Message, typename Value>
void visit_every_byte(const std::vector<Value>& values) {
  for (const Value& value : values) {
    const Message sound = encode(value);
    for (size_t at = 0; at < sizeof(Message); ++at) {
      for (unsigned byte = 0; byte < 256; ++byte) {
        Message changed = sound;
        reinterpret_cast<uint8_t*>(&changed)[at] = static_cast<uint8_t>(byte);
        const auto back = decode(changed);
        if (!back) continue;
        const Message again = encode(*back);
        // A refusal's text is cleaned for the log, so its bytes may differ.
        if (changed.kind == static_cast<uint8_t>(UpKind::refused) && std::is_same_v<Message, UpMessage>) continue;
        ASSERT_EQ(std::memcmp(&again, &changed, sizeof(Message)), 0) << "kind " << +changed.kind << " byte " << at;
      }
    }
  }
}
TEST(Layout, RefusesOrReadsExactlyWhateverADownByteIsChangedTo) { visit_every_byte<DownMessage>(every_down()); }
TEST(Layout, RefusesOrReadsExactlyWhateverAnUpByteIsChangedTo) { visit_every_byte<UpMessage>(every_up()); }

void refused(const Down& down, const char* text) {
  const Result<Down> back = decode(encode(down));
  ASSERT_FALSE(back.ok());
  EXPECT_EQ(back.error(), text);
}

ClassTreatment holding(policy::HoldRange syn_ack, policy::HoldRange greeting) {
  ClassTreatment c;
  c.treatment.syn_ack = syn_ack;
  c.treatment.greeting = greeting;
  return c;
}

TEST(Layout, RefusesNumbersOutsideTheirRanges) {
  refused(Begin{0}, "message begin: generation is 0, outside 1 to 18446744073709551615");
  refused(holding({}, {0, 30'001}), "message treatment: greeting hold is 30001, outside 0 to 30000");
  refused(holding({}, {5'000, 4'999}), "message treatment: greeting hold: min is above max");
  refused(holding({0, 900}, {5'000, 29'101}), "message treatment: holds together exceed the cap");
  refused(Global{false, false, 2, 1, {}}, "message global: first penalty is longer than the longest");
  refused(Global{false, false, 0, 1, {}}, "message global: first penalty is 0, outside 1 to 2592000000");
  refused(Global{false, false, 1, 2, {0, 1}}, "message global: the trap's per-second is 0, outside 1 to 10000000");
  refused(Global{false, false, 1, 2, {1, 0}}, "message global: the trap's per-source is 0, outside 1 to 10000000");
  refused(Global{false, false, 1, 2, {1, 2}}, "message global: the trap sends more to one source than to all");
  ClassTreatment teased = holding({}, {1, 2});
  teased.treatment.teaser = true;
  refused(teased, "message treatment: a teaser without withhold defer");
  refused(EarlyHello{address("192.0.2.1"), kEarlyHelloCapSeconds + 1},
          "message early hello: remaining seconds is 2592001, outside 0 to 2592000");
  refused(Penalty{address("192.0.2.1"), 0, 0, 1}, "message penalty: remaining seconds is 0, outside 1 to 2592000");
  refused(Penalty{address("192.0.2.1"), 1, 2'592'001, 1},
          "message penalty: seconds since the offence is 2592001, outside 0 to 2592000");
  refused(Penalty{address("192.0.2.1"), 1, 0, 0}, "message penalty: offences is 0, outside 1 to 4294967295");
  refused(Penalty{address("2001:db8::1"), 1, 0, 1},
          "message penalty: a penalty is kept for a source, not for one of its addresses");
  refused(ClassPrefix{{address("192.0.2.0"), 33}, policy::SourceClass::known},
          "message class prefix: prefix length is 33, outside 0 to 32");
  refused(ClassPrefix{{address("2001:db8::"), 129}, policy::SourceClass::known},
          "message class prefix: prefix length is 129, outside 0 to 128");
  refused(ClassPrefix{{address("192.0.2.1"), 24}, policy::SourceClass::known},
          "message class prefix: bits beyond the prefix length");
  refused(ClassPrefix{{address("192.0.2.0"), 24}, static_cast<policy::SourceClass>(6)},
          "message class prefix: class is 6, outside 0 to 5");
}

TEST(Layout, RefusesTextsThatNobodyMaySend) {
  for (const char* text : {"a\nb", "a\rb", "a\tb", "caf\xc3\xa9", "\x7f"})
    refused(TextPart{0, piece_of(text, 0)}, "message text part: a text that is not printable ASCII");
  refused(TextPart{0, piece_of(std::string_view("a\0b", 3), 0)},
          "message text part: a text that is not printable ASCII");
  refused(TextPart{0, {}}, "message text part: text's length is 0, outside 1 to 4096");
  refused(TextPart{kTexts, piece_of("a", 0)},
          fmt::format("message text part: which text is {0}, outside 0 to {1}", kTexts, kTexts - 1).c_str());
}

TEST(Layout, RefusesAPaceThatServesNobody) {
  refused(Protect{address("192.0.2.1"), {0, 0}, {}},
          "message protect: strangers' concurrent is 0, outside 1 to 1000000");
  refused(Protect{address("192.0.2.1"), {1, kFlowLimitCap + 1}, {}},
          "message protect: strangers' per-second is 1000001, outside 0 to 1000000");
}

TEST(Layout, RefusesProfilesThatNoServerTeaches) {
  const auto changed = [](auto change) {
    Profile p = profile("220 mx.example ESMTP\r\n", 0);
    change(p);
    return p;
  };
  refused(changed([](Profile& p) { p.offer.window_scale = 15; }),
          "message profile: window scale is 15, outside 0 to 14");
  refused(changed([](Profile& p) { p.offer.has_window_scale = false; }),
          "message profile: a window scale that it has not");
  refused(changed([](Profile& p) { p.largest_segment = 0; }),
          "message profile: largest segment is 0, outside 1 to 65535");
  refused(changed([](Profile& p) { p.greeting = {}; }), "message profile: text's length is 0, outside 1 to 4096");
  refused(changed([](Profile& p) { p.greeting.total = kMaxGreeting + 1; }),
          "message profile: text's length is 4097, outside 1 to 4096");
  refused(changed([](Profile& p) { p.greeting.offset = 80; }),
          "message profile: piece's offset is 80, outside 0 to 21");
  refused(changed([](Profile& p) { p.greeting.offset = 8; }), "message profile: piece's offset is none");
  refused(changed([](Profile& p) { p.greeting.bytes[22] = 1; }), "message profile: padding is not zero");
}

std::vector<Profile> all_pieces(const std::string& greeting) {
  std::vector<Profile> v;
  for (size_t at = 0; at < greeting.size(); at += kPieceBytes) v.push_back(profile(greeting, at));
  return v;
}

TEST(ProfileAssembly, PutsGreetingsOfEveryLengthTogether) {
  for (size_t length = 1; length <= kMaxGreeting; length += length < 400 ? 1 : 61) {
    const std::string greeting(length, 'g');
    const auto parts = all_pieces(greeting);
    EXPECT_EQ(parts.size(), pieces(length));
    ProfileAssembly assembly;
    for (size_t i = 0; i + 1 < parts.size(); ++i) EXPECT_FALSE(assembly.take(parts[i]));
    EXPECT_EQ(assembly.take(parts.back()), greeting);
  }
}

TEST(ProfileAssembly, MixesNoTwoGreetings) {
  const auto one = all_pieces(std::string(200, 'a'));
  auto other = all_pieces(std::string(200, 'b'));
  other[1].server = address("192.0.2.1");
  ProfileAssembly assembly;
  EXPECT_FALSE(assembly.take(one[0]));
  EXPECT_FALSE(assembly.take(other[1])) << "of another server";
  EXPECT_FALSE(assembly.take(one[2])) << "one is missing between";
  EXPECT_FALSE(assembly.take(all_pieces(std::string(201, 'a'))[1])) << "of another length";
  EXPECT_FALSE(assembly.take(one[1]));
  EXPECT_EQ(assembly.take(one[2]), std::string(200, 'a'));
  EXPECT_FALSE(assembly.take(one[2])) << "once";
}

TEST(Layout, AcceptsHoldsUpToTheCap) { EXPECT_TRUE(decode(encode(Down{holding({0, 900}, {5'000, 29'100})})).ok()); }

TEST(Layout, RefusesUnknownKinds) {
  for (const int kind : {0, 8, 255}) {
    DownMessage message;
    message.kind = static_cast<uint8_t>(kind);
    EXPECT_FALSE(decode(message).ok());
  }
}

TEST(Layout, CutsALongRefusalRatherThanLosingIt) {
  const auto back = decode(encode(Up{Refused{3, std::string(1000, 'x')}}));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(std::get<Refused>(back.value()).text.size(), kRefusalText);
}

TEST(Layout, ComparesVersionAndSizes) {
  EXPECT_TRUE(compare(own_hello(4), 4).ok());
  Hello other = own_hello(4);
  other.layout_version = kLayoutVersion + 1;
  EXPECT_EQ(compare(other, 4).error(),
            fmt::format("its mailbox layout is {}, ours {}; install mired and mire-dataplane of one release",
                        kLayoutVersion + 1, kLayoutVersion));
  other = own_hello(4);
  other.up_message_size = 128;
  EXPECT_FALSE(compare(other, 4).ok());
  other = own_hello(4);
  other.magic = 0;
  EXPECT_FALSE(compare(other, 4).ok());
  EXPECT_FALSE(compare(own_hello(3), 4).ok());
}

}  // namespace
}  // namespace mire::mailbox
