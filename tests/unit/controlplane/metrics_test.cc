#include "controlplane/methods/metrics.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json.hpp>

namespace mire::methods {
namespace {

namespace json = boost::json;

std::string scraped(const AskDataplane& ask, const std::string& target = "/metrics") {
  boost::asio::io_context io;
  api::HttpResponse out;
  const api::HttpHandler handler = metrics(ask, [](api::Exposition& e) { e.gauge("mired_own", "ours", 7); });
  boost::asio::co_spawn(io, handler(api::HttpRequest{"GET", target, {}, {}}),
                        [&out](const std::exception_ptr&, api::HttpResponse r) { out = std::move(r); });
  io.run();
  return std::to_string(out.status) + "\n" + out.body;
}

// A dataplane that says what is told here.
AskDataplane saying(std::map<std::string, std::string> answers) {
  return [answers = std::move(answers)](std::string kind) -> boost::asio::awaitable<Result<std::string>> {
    const auto found = answers.find(kind);
    if (found == answers.end()) co_return Error{"away"};
    co_return found->second;
  };
}

TEST(Metrics, NameEachReasonVerdictStateAndPort) {
  const std::string text = scraped(saying({
      {"stats",
       R"({"total":{"early_talk":3,"verdict_reset":4,"frames_in_wan":5,"late_ms_max":6,"events_lost":1},"lcore_0":{"early_talk":3}})"},
      {"flows", R"({"tracked":9,"states":{"talking":2},"opened":{"unknown_ipv4":8}})"},
      {"interfaces", R"({"wan":{"name":"eth1","received":10},"bypass_epoch":1})"},
  }));
  for (const char* line :
       {"mire_up 1\n", "mire_segments_total{reason=\"early_talk\"} 3\n", "mire_verdicts_total{verdict=\"reset\"} 4\n",
        "mire_frames_in_total{port=\"wan\"} 5\n", "mire_late_ms_max 6\n", "mire_events_lost_total 1\n",
        "mire_flows{state=\"talking\"} 2\n", "mire_flows_opened_total{class=\"unknown\",family=\"ipv4\"} 8\n",
        "mire_port_received_total{port=\"wan\"} 10\n", "mired_own 7\n"})
    EXPECT_NE(text.find(line), std::string::npos) << line << "in\n" << text;
  EXPECT_EQ(text.find("eth1"), std::string::npos);
}

TEST(Metrics, SayThatTheDataplaneIsAwayOrSpeaksNonsense) {
  EXPECT_NE(scraped(saying({})).find("mire_up 0\n"), std::string::npos);
  EXPECT_NE(scraped(saying({})).find("mired_own 7\n"), std::string::npos);
  for (const char* nonsense : {"", "[]", "{", "3"})
    EXPECT_NE(scraped(saying({{"stats", nonsense}})).find("mire_up 0\n"), std::string::npos);
  EXPECT_NE(scraped(saying({{"stats", R"({"total":[1],"x":{}})"}, {"flows", R"({"states":3})"}})).find("mire_up 1\n"),
            std::string::npos);
}

TEST(Metrics, AreAtOnePlace) { EXPECT_EQ(scraped(saying({}), "/"), "404\nthe metrics are at /metrics\n"); }

}  // namespace
}  // namespace mire::methods
