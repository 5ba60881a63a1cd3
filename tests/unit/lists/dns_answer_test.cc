#include "controlplane/lists/dns.h"
#include "tests/unit/lists/support.h"

namespace mire::lists {
namespace {

using Texts = std::vector<std::string>;

// A DNS message, written as it goes.
class Message {
 public:
  explicit Message(int code = 0, int type = 1) {
    bytes_ = {0x12, 0x34, 0x81, static_cast<uint8_t>(0x80 | code), 0, 1, 0, 0, 0, 0, 0, 0};
    name("d.example").number(type, 2).number(1, 2);
  }
  Message& answer(int type, uint32_t ttl_s, const std::string& data, const char* owner = "d.example") {
    ++bytes_[7];
    return record(type, ttl_s, data, owner);
  }
  Message& authority(int type, uint32_t ttl_s, const std::string& data) {
    ++bytes_[9];
    return record(type, ttl_s, data, "example");
  }
  [[nodiscard]] DnsAnswer read(QueryType type) const { return parse_answer(bytes_.data(), bytes_.size(), type); }
  [[nodiscard]] const std::vector<uint8_t>& bytes() const { return bytes_; }

  static std::string labels(const std::string& name) {
    std::string out;
    for (size_t at = 0; at < name.size();) {
      const size_t dot = std::min(name.find('.', at), name.size());
      out += static_cast<char>(dot - at);
      out.append(name, at, dot - at);
      at = dot + 1;
    }
    return out + '\0';
  }

 private:
  Message& record(int type, uint32_t ttl_s, const std::string& data, const char* owner) {
    name(owner).number(type, 2).number(1, 2).number(ttl_s, 4).number(data.size(), 2);
    bytes_.insert(bytes_.end(), data.begin(), data.end());
    return *this;
  }
  Message& name(const std::string& text) {
    const std::string out = labels(text);
    bytes_.insert(bytes_.end(), out.begin(), out.end());
    return *this;
  }
  Message& number(uint64_t n, int size) {
    while (size-- > 0) bytes_.push_back(static_cast<uint8_t>(n >> (8 * size)));
    return *this;
  }
  std::vector<uint8_t> bytes_;
};

const std::string kSoa = Message::labels("ns.example") + Message::labels("root.example") +
                         std::string("\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\2\x58", 20);  // minimum 600

TEST(DnsAnswer, ReadsAddressesWithTheSmallestTtlAlsoOfAliases) {
  const DnsAnswer a = Message()
                          .answer(5, 60, Message::labels("c.example"))
                          .answer(1, 300, std::string("\xc0\0\2\1", 4), "c.example")
                          .answer(1, 900, std::string("\xc0\0\2\2", 4), "c.example")
                          .read(QueryType::a);
  EXPECT_EQ(a.outcome, DnsOutcome::answered);
  EXPECT_EQ(a.addresses, (std::vector{address("192.0.2.1"), address("192.0.2.2")}));
  EXPECT_EQ(a.ttl_s, 60u);
}

TEST(DnsAnswer, JoinsTheStringsOfATextAndOrdersExchanges) {
  EXPECT_EQ(Message(0, 16)
                .answer(16, 9, std::string("\3v=s\3pf1"))
                .answer(16, 9, std::string("\1x"))
                .read(QueryType::txt)
                .texts,
            (Texts{"v=spf1", "x"}));
  EXPECT_EQ(Message(0, 15)
                .answer(15, 9, std::string("\0\x14", 2) + Message::labels("b.example"))
                .answer(15, 9, std::string("\0\xa", 2) + Message::labels("A.Example"))
                .read(QueryType::mx)
                .names,
            (Texts{"a.example", "b.example"}));
  const std::string six("\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16);
  EXPECT_EQ(Message(0, 28).answer(28, 9, six).read(QueryType::aaaa).addresses, (std::vector{address("2001:db8::1")}));
}

TEST(DnsAnswer, ANegativeOneLivesAsLongAsTheSmallerOfTheSoasNumbers) {
  for (const int code : {0, 3}) {
    const DnsAnswer a = Message(code).authority(6, 3'600, kSoa).read(QueryType::a);
    EXPECT_EQ(a.outcome, code == 3 ? DnsOutcome::no_name : DnsOutcome::no_data);
    EXPECT_EQ(a.ttl_s, 600u);
    EXPECT_EQ(Message(code).authority(6, 30, kSoa).read(QueryType::a).ttl_s, 30u);
    EXPECT_EQ(Message(code).read(QueryType::a).ttl_s, 0u);
  }
}

TEST(DnsAnswer, ConcludesNothingFromTroubleAndFromGarbage) {
  for (const int code : {1, 2, 4, 5, 9}) EXPECT_TRUE(Message(code).read(QueryType::a).trouble()) << code;
  EXPECT_TRUE(parse_answer(nullptr, 0, QueryType::a).trouble());
  const uint8_t garbage[40] = {0xff, 0xff, 0xff, 0xff};
  EXPECT_TRUE(parse_answer(garbage, sizeof garbage, QueryType::a).trouble());
}

TEST(DnsAnswer, SurvivesEveryTruncationAndEveryChangedByte) {
  const Message whole = Message(0, 15)
                            .answer(15, 9, std::string("\0\x14", 2) + Message::labels("b.example"))
                            .answer(16, 9, std::string("\3v=s\3pf1"))
                            .authority(6, 3'600, kSoa);
  for (const QueryType type : {QueryType::a, QueryType::mx, QueryType::txt, QueryType::aaaa})
    for (size_t i = 0; i <= whole.bytes().size(); ++i) {
      const std::vector<uint8_t> cut(whole.bytes().begin(), whole.bytes().begin() + static_cast<std::ptrdiff_t>(i));
      (void)parse_answer(cut.data(), cut.size(), type);
      for (const int value : {0, 1, 0xc0, 0xff}) {
        std::vector<uint8_t> changed = whole.bytes();
        if (i < changed.size()) changed[i] = static_cast<uint8_t>(value);
        (void)parse_answer(changed.data(), changed.size(), type);
      }
    }
}

}  // namespace
}  // namespace mire::lists
