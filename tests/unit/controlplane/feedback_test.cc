#include "controlplane/methods/feedback.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace mire::methods {
namespace {

namespace json = boost::json;
using reputation::Kind;

Result<std::vector<Feedback>> parsed(const char* text) { return parse_feedback(json::parse(text)); }
std::string refusal(const char* text) {
  const auto all = parsed(text);
  return all ? "taken" : all.error();
}

TEST(Feedback, TakesWhatAMailLogTells) {
  const auto all = parsed(R"({"observations":[
    {"source":"192.0.2.7","port":40123,"kind":"unknown_recipient","amount":12},{"source":"2001:db8::1","kind":"spam","amount":0.5},
    {"source":"203.0.113.9","kind":"outbound","domain":"Them.Example"}]})");
  ASSERT_TRUE(all.ok()) << all.error();
  ASSERT_EQ(all->size(), 3u);
  EXPECT_EQ((*all)[0].observation.client, wire::parse_address("192.0.2.7"));
  EXPECT_EQ((*all)[0].observation.kind, Kind::unknown_recipient);
  EXPECT_DOUBLE_EQ((*all)[0].observation.amount, 12);
  EXPECT_EQ((*all)[0].port, 40'123);
  EXPECT_DOUBLE_EQ((*all)[1].observation.amount, 0.5);
  EXPECT_EQ((*all)[2].domain, "them.example");
  EXPECT_DOUBLE_EQ((*all)[2].observation.amount, 1) << "one, if nothing else is said";
  EXPECT_TRUE(parsed(R"({"observations":[]})").ok());
}

TEST(Feedback, IsRefusedWholeWithTheNumberOfTheWrongOne) {
  EXPECT_EQ(refusal(R"({"observations":[{"source":"192.0.2.7","kind":"ham"},{"source":"192.0.2.700","kind":"ham"}]})"),
            "observation 2: source 192.0.2.700: no IP address; none was taken");
  EXPECT_EQ(
      refusal(R"({"observations":[{"source":"192.0.2.7","kind":"early_talk"}]})"),
      "observation 1: kind early_talk: use accepted, unknown_recipient, refusal, outbound, ham or spam; none was taken")
      << "what the wire sees itself is nobody else's to tell";
  for (const char* amount : {"0", "-1", "1e9", "\"3\"", "null", "true", "1e308"})
    EXPECT_NE(
        refusal(
            (std::string(R"({"observations":[{"source":"192.0.2.7","kind":"ham","amount":)") + amount + "}]}").c_str())
            .find("observation 1: amount: "),
        std::string::npos)
        << amount;
  for (const char* text :
       {"[]", "{}", "3", R"({"observations":3})", R"({"observations":[3]})", R"({"observations":[{}]})",
        R"({"observations":[],"x":1})", R"({"observations":[{"source":"192.0.2.7","kind":"ham","x":1}]})",
        R"({"observations":[{"source":"192.0.2.7","kind":"ham","port":65536}]})",
        R"({"observations":[{"source":"192.0.2.7","kind":3}]})"})
    EXPECT_NE(refusal(text), "taken") << text;
}

TEST(Feedback, IsBounded) {
  std::string text = R"({"observations":[)";
  for (size_t i = 0; i <= kMostFeedback; ++i) text += R"({"source":"192.0.2.7","kind":"ham"},)";
  text.back() = ']';
  EXPECT_NE(refusal((text + "}").c_str()).find("more than 1000"), std::string::npos);
}

}  // namespace
}  // namespace mire::methods
