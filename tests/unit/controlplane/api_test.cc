#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <thread>

#include "controlplane/api/json_rpc.h"
#include "controlplane/api/server.h"
#include "tests/unit/mailbox/support.h"

namespace mire::api {
namespace {

using mailbox::Descriptor;
using mailbox::Folder;

Methods methods() {
  return {{"ping", [](const boost::json::value&) { return boost::json::value("pong"); }},
          {"echo", [](const boost::json::value& params) { return params; }}};
}

std::string error(const char* id, int code, const char* message) {
  return std::string(R"({"jsonrpc":"2.0","id":)") + id + R"(,"error":{"code":)" + std::to_string(code) +
         R"(,"message":")" + message + "\"}}";
}

TEST(JsonRpc, AnswersARequest) {
  EXPECT_EQ(answer(R"({"jsonrpc":"2.0","id":7,"method":"ping"})", methods()),
            R"({"jsonrpc":"2.0","id":7,"result":"pong"})");
  EXPECT_EQ(answer(R"({"jsonrpc":"2.0","id":"a","method":"echo","params":[1]})", methods()),
            R"({"jsonrpc":"2.0","id":"a","result":[1]})");
}

TEST(JsonRpc, SaysWhatIsWrongWithARequest) {
  EXPECT_EQ(answer("x", methods()), error("null", -32700, "not JSON"));
  EXPECT_EQ(answer("3", methods()), error("null", -32600, "a request is an object"));
  EXPECT_EQ(answer(R"({"jsonrpc":"2.0","id":1,"method":"nope"})", methods()), error("1", -32601, "no such method"));
  EXPECT_EQ(answer(R"({"jsonrpc":"2.0","id":1})", methods()), error("1", -32600, "method is a string"));
  EXPECT_EQ(answer(R"({"id":1,"method":"ping"})", methods()), error("1", -32600, R"(jsonrpc is \"2.0\")"));
  EXPECT_EQ(answer("[]", methods()), error("null", -32600, "a batch holds 1 to 100 requests"));
  EXPECT_EQ(answer(std::string(10'000, '['), methods()), error("null", -32700, "not JSON"));
}

TEST(JsonRpc, IsSilentForNotifications) {
  EXPECT_EQ(answer(R"({"jsonrpc":"2.0","method":"ping"})", methods()), "");
  EXPECT_EQ(answer(R"([{"jsonrpc":"2.0","method":"ping"}])", methods()), "");
  EXPECT_EQ(answer(R"([{"jsonrpc":"2.0","method":"ping"},{"jsonrpc":"2.0","id":2,"method":"ping"}])", methods()),
            R"([{"jsonrpc":"2.0","id":2,"result":"pong"}])");
}

// A server on a thread of its own, for as long as the test lasts.
class Running {
 public:
  explicit Running(Limits limits = {}) {
    server_ = Server::listen(io_, path(), methods(), limits).value();
    thread_ = std::thread([this] { io_.run(); });
  }
  ~Running() {
    io_.stop();
    thread_.join();
  }
  [[nodiscard]] std::string path() const { return folder_.file("api"); }

 private:
  Folder folder_;
  boost::asio::io_context io_;
  std::unique_ptr<Server> server_;
  std::thread thread_;
};

class Client {
 public:
  explicit Client(const std::string& path) : socket_(mailbox::connect_to(path, SOCK_STREAM).value()) {
    timeval patience{5, 0};
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    ::fcntl(socket_.get(), F_SETFL, 0);
  }
  bool send(const std::string& text) {
    return ::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
  }
  // Up to a line break; "closed" at the end.
  std::string line() {
    std::string out;
    for (char c; ::recv(socket_.get(), &c, 1, 0) == 1;) {
      if (c == '\n') return out;
      out += c;
    }
    return "closed";
  }

 private:
  Descriptor socket_;
};

TEST(ApiServer, AnswersLinesInOrderHoweverTheyAreCut) {
  const Running server;
  Client client(server.path());
  const std::string two =
      "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\r\n\n{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"ping\"}\n";
  for (const char c : two) ASSERT_TRUE(client.send(std::string(1, c)));
  EXPECT_EQ(client.line(), R"({"jsonrpc":"2.0","id":1,"result":"pong"})");
  EXPECT_EQ(client.line(), R"({"jsonrpc":"2.0","id":2,"result":"pong"})");
  ASSERT_TRUE(client.send(two + two));
  for (int i = 0; i < 4; ++i) EXPECT_EQ(client.line().substr(0, 20), R"({"jsonrpc":"2.0","id)");
}

TEST(ApiServer, RefusesALineThatHasNoEnd) {
  Limits limits;
  limits.line_bytes = 1000;
  const Running server(limits);
  Client client(server.path());
  ASSERT_TRUE(client.send(std::string(1000, ' ')));
  EXPECT_EQ(client.line(), error("null", -32000, "line too long"));
  EXPECT_EQ(client.line(), "closed");
}

TEST(ApiServer, TurnsAwayMoreConnectionsThanItsLimitAndRecovers) {
  Limits limits;
  limits.connections = 2;
  const Running server(limits);
  const std::string ping = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n";
  auto first = std::make_unique<Client>(server.path());
  Client second(server.path());
  ASSERT_TRUE(first->send(ping) && second.send(ping));
  first->line();
  second.line();
  EXPECT_EQ(Client(server.path()).line(), error("null", -32000, "too many connections"));
  first.reset();
  EXPECT_TRUE(mailbox::eventually([&] {
    Client third(server.path());
    return third.send(ping) && third.line() == R"({"jsonrpc":"2.0","id":1,"result":"pong"})";
  }));
}

TEST(ApiServer, ClosesAConnectionWithoutAWord) {
  Limits limits;
  limits.idle = std::chrono::milliseconds{50};
  const Running server(limits);
  EXPECT_EQ(Client(server.path()).line(), "closed");
}

TEST(ApiServer, IsForItsGroupAndNobodyElse) {
  const Running server;
  struct stat st {};
  ASSERT_EQ(::stat(server.path().c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0660u);
}

}  // namespace
}  // namespace mire::api
