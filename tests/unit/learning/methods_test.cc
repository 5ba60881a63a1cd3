#include "controlplane/learning/methods.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json.hpp>

namespace mire::learning {
namespace {

using std::chrono::seconds;

class Nobody final : public reputation::ClassSink {
  void on_class(const reputation::ClassChange&) override {}
};

class MethodsTest : public testing::Test {
 protected:
  MethodsTest() {
    engine.loaded(now);
    add_methods(
        methods, engine, [this] { return now; }, [this] { ++changed; });
  }
  api::Answer call(const char* name, const char* params) {
    boost::asio::io_context io;
    std::optional<api::Answer> out;
    const boost::json::value asked = boost::json::parse(params);
    const auto ask = [&]() -> boost::asio::awaitable<void> {
      auto answering = methods.at(name).run(asked, {});  // GCC 12 destroys temporaries beside a co_await twice
      out.emplace(co_await std::move(answering));
    };
    boost::asio::co_spawn(io, ask, boost::asio::detached);
    io.run();
    return *out;
  }
  std::string refusal(const char* name, const char* params) {
    const api::Answer a = call(name, params);
    return a ? "answered " + boost::json::serialize(*a) : a.error();
  }

  Nobody nobody;
  reputation::Engine engine{{}, nobody, [] { return 0; }, 1};
  reputation::WallSeconds now{seconds{1'800'000'000}};
  api::Methods methods;
  int changed = 0;
};

TEST_F(MethodsTest, ShowPrintsTheSumAsAPersonWouldWriteIt) {
  const wire::Address a = wire::parse_address("192.0.2.77").value();
  engine.observe({a, reputation::Kind::early_talk, 2}, now);
  engine.observe({a, reputation::Kind::unknown_recipient, 64}, now);
  engine.penalise(a, now + seconds{120}, 2, now);
  for (int i = 0; i < 31; ++i) engine.connected(a, now);
  now += seconds{12};
  const auto shown = call("reputation.show", R"({"address":"192.0.2.77"})").value();
  EXPECT_EQ(shown.at("source").as_string(), "192.0.2.77/32");
  EXPECT_EQ(shown.at("class").as_string(), "suspect");
  EXPECT_EQ(shown.at("ground").as_string(), "score");
  EXPECT_EQ(shown.at("since_seconds").as_int64(), 12);
  EXPECT_NEAR(shown.at("score").as_double(), -59.2, 0.01);
  EXPECT_EQ(shown.at("reasons").at(0).at("text").as_string(), "early talk");
  EXPECT_NEAR(shown.at("reasons").at(0).at("points").as_double(), -40, 0.01);
  EXPECT_NEAR(shown.at("reasons").at(1).at("count").as_double(), 64, 0.01);
  EXPECT_EQ(shown.at("penalty").at("left_seconds").as_int64(), 108);
  EXPECT_EQ(shown.at("connections").to_number<int>(), 31);
  EXPECT_EQ(shown.at("rate").at("now_per_minute").to_number<int>(), 31);
  EXPECT_EQ(shown.at("rate").at("step").as_string(), "calm");
  EXPECT_EQ(call("reputation.show", R"({"address":"2001:db8::1"})").value().at("class").as_string(), "unknown");
}

TEST_F(MethodsTest, ReportsAreTakenAndClearForgets) {
  for (int i = 0; i < 7; ++i) (void)call("report", R"({"source":"192.0.2.77","verdict":"spam"})");
  const auto last = call("report", R"({"source":"192.0.2.77","verdict":"spam","weight":0.5})").value();
  EXPECT_EQ(last.at("class").as_string(), "suspect");
  EXPECT_NEAR(last.at("score").as_double(), -37.5, 1e-3);
  EXPECT_EQ(changed, 8);
  EXPECT_EQ(call("reputation.summary", "{}").value().at("classes").at("suspect").to_number<int>(), 1);
  EXPECT_EQ(call("reputation.summary", "{}").value().at("worst_prefixes").at(0).at("prefix").as_string(),
            "192.0.0.0/8");
  EXPECT_EQ(call("reputation.top", "{}").value().at(0).at("source").as_string(), "192.0.2.77/32");
  EXPECT_TRUE(call("reputation.top", R"({"by":"best"})").value().as_array().empty());
  EXPECT_TRUE(call("reputation.clear", R"({"address":"192.0.2.77"})").value().at("cleared").as_bool());
  EXPECT_FALSE(call("reputation.clear", R"({"address":"192.0.2.77"})").value().at("cleared").as_bool());
  EXPECT_EQ(call("reputation.summary", "{}").value().at("sources").to_number<int>(), 0);
  EXPECT_GT(call("report", R"({"source":"192.0.2.78","verdict":"ham","weight":100})").value().at("score").as_double(),
            199);
}

TEST_F(MethodsTest, RefusalsNameTheParameterItsValueAndANextStep) {
  EXPECT_EQ(refusal("reputation.show", "[1]"), "params: an object with names is taken, no list");
  EXPECT_EQ(refusal("reputation.show", "{}"), "address: missing; say whose, as 192.0.2.1 or 2001:db8::1");
  EXPECT_EQ(refusal("reputation.show", R"({"address":"192.0.2.0/24"})"),
            "address: 192.0.2.0/24: not an address; write it as 192.0.2.1 or 2001:db8::1");
  EXPECT_EQ(refusal("reputation.show", R"({"address":7})"), "address: a text is taken, in quotes");
  EXPECT_EQ(refusal("reputation.show", R"({"address":"::1"})"),
            "address: ::1: no mail comes from there; say an IPv4 address, or an IPv6 one beyond ::/8");
  EXPECT_EQ(refusal("reputation.show", R"({"adress":"::1"})"), "adress: no such parameter; there is: address");
  EXPECT_EQ(refusal("report", R"({"source":"192.0.2.1"})"), "verdict: missing; use ham, spam");
  EXPECT_EQ(refusal("report", R"({"source":"192.0.2.1","verdict":"eggs"})"), "verdict: eggs: not known; use ham, spam");
  for (const char* weight : {"0", "-1", "101", "1e300", "\"1\"", "null", "[]"}) {
    const std::string params = std::string(R"({"source":"192.0.2.1","verdict":"ham","weight":)") + weight + "}";
    EXPECT_TRUE(refusal("report", params.c_str()).starts_with("weight: ")) << weight;
    EXPECT_TRUE(refusal("report", params.c_str()).ends_with(": a number from 0.01 to 100 is taken")) << weight;
  }
  EXPECT_EQ(refusal("reputation.top", R"({"n":1001})"), "n: 1001: a whole number from 1 to 1000 is taken");
  EXPECT_EQ(refusal("reputation.top", R"({"by":"luck"})"), "by: luck: not known; use worst, best, busiest");
  EXPECT_EQ(engine.summary().sources, 0u) << "nothing of a refused report is taken";
  EXPECT_EQ(methods.at("report").right, api::Right::change);
  EXPECT_EQ(methods.at("reputation.clear").right, api::Right::change);
  EXPECT_EQ(methods.at("reputation.show").right, api::Right::read);
}

}  // namespace
}  // namespace mire::learning
