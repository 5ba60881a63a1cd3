#include "tools/follow/queue.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tools/follow/mired_client.h"

namespace mire::follow {
namespace {

Outcome outcome(int n, Kind kind = Kind::accepted, double amount = 1) {
  return {wire::parse_address(fmt::format("192.0.{}.{}", n / 256, n % 256)).value(), 25, kind, amount, {}};
}

TEST(Queue, PutsTogetherWhatIsTheSame) {
  Queue queue;
  for (int i = 0; i < 50; ++i) queue.add(outcome(1, Kind::unknown_recipient));
  queue.add(outcome(1, Kind::accepted));
  Outcome other_port = outcome(1);
  other_port.port = 26;
  queue.add(other_port);
  EXPECT_EQ(queue.take(), (std::vector{outcome(1, Kind::unknown_recipient, 50), outcome(1), other_port}));
  EXPECT_TRUE(queue.empty());
}

TEST(Queue, LetsTheOldestGoWhenItIsFullAndCountsThem) {
  Queue queue(250);
  for (int i = 0; i < 300; ++i) queue.add(outcome(i));
  EXPECT_TRUE(queue.full());
  EXPECT_EQ(queue.lost(), 50u);
  std::vector<Outcome> batch = queue.take();
  EXPECT_EQ(batch.size(), Queue::kBatch);
  EXPECT_EQ(batch.front(), outcome(50));
  queue.put_back(batch);
  EXPECT_EQ(queue.take(), batch) << "what could not be sent comes first again";
  EXPECT_EQ(queue.size(), 150u);
}

TEST(Queue, ARequestStaysBelowTheLongestLineThatMiredTakes) {
  Queue queue;
  for (int i = 0; i < 100; ++i) {
    Outcome longest{wire::parse_address("2001:db8:ffff:ffff:ffff:ffff:ffff:1111").value(),
                    65'535,
                    Kind::unknown_recipient,
                    99'999.5,
                    {}};
    longest.source.bytes[15] = static_cast<uint8_t>(i);
    longest.domain = std::string(253, 'd');
    queue.add(longest);
  }
  const std::string request = feedback_request(queue.take(), ~uint64_t{0});
  EXPECT_LT(request.size(), 64u * 1024);
  EXPECT_EQ(request.back(), '\n');
}

TEST(Queue, ARequestIsJsonRpc) {
  Outcome outbound{wire::parse_address("203.0.113.9").value(), 0, Kind::outbound, 1, "them.example"};
  EXPECT_EQ(feedback_request({outcome(1, Kind::refusal, 2), outbound}, 7),
            R"({"jsonrpc":"2.0","id":7,"method":"feedback","params":{"observations":[)"
            R"({"source":"192.0.0.1","kind":"refusal","amount":2E0,"port":25},)"
            R"({"source":"203.0.113.9","kind":"outbound","amount":1E0,"domain":"them.example"}]}})"
            "\n");
}

TEST(Reply, TellsWhatMayBeAskedAgain) {
  const auto said = [](const char* line) { return read_reply(line).said; };
  EXPECT_EQ(said(R"({"jsonrpc":"2.0","id":1,"result":{"taken":3}})"), Said::taken);
  EXPECT_EQ(said(R"({"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"bad"}})"), Said::refused);
  EXPECT_EQ(said(R"({"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"observation 3: no address"}})"),
            Said::refused);
  EXPECT_EQ(said(R"({"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"too many connections"}})"),
            Said::not_now);
  EXPECT_EQ(said(R"({"jsonrpc":"2.0","id":1,"error":{"code":-32001,"message":"may not"}})"), Said::not_now);
  EXPECT_EQ(said(R"({"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no such method"}})"), Said::not_now);
  for (const char* line : {"", "x", "[]", "{}", R"({"error":3})", R"({"error":{"code":"x"}})"})
    EXPECT_EQ(said(line), Said::unsure) << line;
  EXPECT_EQ(read_reply(R"({"id":1,"error":{"code":-32602,"message":"bad"}})").why, "bad");
}

}  // namespace
}  // namespace mire::follow
