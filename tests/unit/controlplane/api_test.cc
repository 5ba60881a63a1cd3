#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json.hpp>
#include <thread>
#include <vector>

#include "controlplane/api/json_rpc.h"
#include "controlplane/api/server.h"
#include "tests/unit/mailbox/support.h"

namespace mire::api {
namespace {

using mailbox::Descriptor;
using mailbox::Folder;

using boost::json::value;

// The latest caller whose connection can be told something.
std::weak_ptr<Audience> g_follower;

Methods methods() {
  return {{"ping", reads([](const value&, const Caller&) { return value("pong"); })},
          {"echo", reads([](const value& params, const Caller&) { return params; })},
          {"refuse", reads([](const value&, const Caller&) -> Answer { return Error{"no: because; try another"}; })},
          {"throw", reads([](const value&, const Caller&) -> Answer { throw std::runtime_error("oh"); })},
          {"set", changes([](const value&, const Caller& c) { return value(c.name); })},
          {"session", reads([](const value&, const Caller& c) { return value(c.session); })},
          {"follow", reads([](const value& params, const Caller& c) {
             g_follower = c.audience;
             for (int64_t i = 0; i < params.at("now").as_int64(); ++i) c.audience.lock()->tell("event", i);
             return value(true);
           })}};
}

// Answered on this thread, by somebody who may or may not change things.
std::string answer(const std::string& line, const Methods& all, bool may_change = true) {
  boost::asio::io_context io;
  std::string out;
  boost::asio::co_spawn(io, api::answer(line, all, Caller{1, "somebody", may_change, {}}),
                        [&out](const std::exception_ptr&, std::string text) { out = std::move(text); });
  io.run();
  return out;
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

TEST(JsonRpc, SaysWhyAMethodRefusesAndOutlivesOneThatThrows) {
  EXPECT_EQ(answer(R"({"jsonrpc":"2.0","id":1,"method":"refuse"})", methods()),
            error("1", -32000, "no: because; try another"));
  EXPECT_EQ(answer(R"({"jsonrpc":"2.0","id":1,"method":"throw"})", methods()), error("1", -32603, "oh"));
}

TEST(JsonRpc, LetsOnlyThoseChangeWhoMay) {
  const std::string request = R"({"jsonrpc":"2.0","id":1,"method":"set"})";
  EXPECT_EQ(answer(request, methods(), true), R"({"jsonrpc":"2.0","id":1,"result":"somebody"})");
  EXPECT_EQ(answer(request, methods(), false),
            error("1", -32001, "not allowed for somebody: it takes group mire-admin"));
  EXPECT_EQ(answer(R"({"jsonrpc":"2.0","method":"set"})", methods(), false), "");
}

// A server on a thread of its own, for as long as the test lasts.
class Running {
 public:
  explicit Running(Limits limits = {}, Hooks hooks = {}) {
    server_ = Server::listen(io_, path(), methods(), limits, std::move(hooks)).value();
    thread_ = std::thread([this] { io_.run(); });
  }
  ~Running() {
    io_.stop();
    thread_.join();
  }
  [[nodiscard]] std::string path() const { return folder_.file("api"); }
  [[nodiscard]] std::string folder() const { return path().substr(0, path().rfind('/')); }

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
  EXPECT_EQ(Client(server.path()).line(), error("null", -32000, "too many connections; close one, or try again later"));
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

TEST(ApiServer, TurnsAwayWhoIsInNeitherGroup) {
  Hooks hooks;
  hooks.rights = [](uid_t, gid_t) { return std::nullopt; };
  const Running server({}, hooks);
  Client client(server.path());
  EXPECT_EQ(client.line(), error("null", -32000, "not allowed: it takes group mire to read, mire-admin to change"));
  EXPECT_EQ(client.line(), "closed");
}

TEST(ApiServer, ReadersCannotChange) {
  Hooks hooks;
  hooks.rights = [](uid_t, gid_t) { return Rights{"reader", false}; };
  const Running server({}, hooks);
  Client client(server.path());
  ASSERT_TRUE(client.send("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"set\"}\n"));
  EXPECT_EQ(client.line(), error("1", -32001, "not allowed for reader: it takes group mire-admin"));
}

TEST(Rights, OfRootAndOfMiredsOwnAccountAreWholeAndOfStrangersNone) {
  EXPECT_TRUE(rights_of(0, 0)->may_change);
  EXPECT_EQ(rights_of(0, 0)->name, "root");
  EXPECT_TRUE(rights_of(::geteuid(), ::getegid())->may_change);
  EXPECT_FALSE(rights_of(4'000'000, 4'000'000));
}

TEST(Rights, FollowTheGroupsOfAnAccount) {
  // daemon is in every Debian, and in the group of its name; no such group as the other.
  const std::optional<Rights> reader = rights_of(1, 1, "daemon", "no-such-group");
  ASSERT_TRUE(reader);
  EXPECT_EQ(reader->name, "daemon");
  EXPECT_FALSE(reader->may_change);
  EXPECT_TRUE(rights_of(1, 1, "no-such-group", "daemon")->may_change);
}

std::string numbered(const char* method, const std::string& params = "{}") {
  return std::string(R"({"jsonrpc":"2.0","id":1,"method":")") + method + R"(","params":)" + params + "}\n";
}

TEST(ApiServer, TellsWhatHeldOnToASessionThatItIsOver) {
  std::atomic<uint64_t> closed{0};
  Hooks hooks;
  hooks.on_closed = [&closed](uint64_t session) { closed = session; };
  const Running server({}, hooks);
  {
    Client client(server.path());
    ASSERT_TRUE(client.send(numbered("session")));
    EXPECT_EQ(client.line(), R"({"jsonrpc":"2.0","id":1,"result":1})");
  }
  EXPECT_TRUE(mailbox::eventually([&] { return closed == 1; }));
}

TEST(ApiServer, BringsNewsBehindTheAnswersAndCountsWhatWasNotRead) {
  Limits limits;
  limits.unread_news = 10;
  const Running server(limits);
  Client client(server.path());
  ASSERT_TRUE(client.send(numbered("follow", R"({"now":5})")));
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ(client.line(), R"({"jsonrpc":"2.0","method":"event","params":)" + std::to_string(i) + "}");
  EXPECT_EQ(client.line(), R"({"jsonrpc":"2.0","id":1,"result":true})");
  // All at once: one is being written, and no more than ten wait.
  ASSERT_TRUE(client.send(numbered("follow", R"({"now":50})")));
  for (int i = 0; i < 11; ++i) client.line();
  EXPECT_EQ(client.line(), R"({"jsonrpc":"2.0","id":1,"result":true})");
  ASSERT_TRUE(client.send(numbered("follow", R"({"now":1})")));
  EXPECT_EQ(client.line(), R"({"jsonrpc":"2.0","method":"lost","params":{"notifications":39}})");
}

TEST(ApiServer, GivesUpOnWhoDoesNotRead) {
  Limits limits;
  limits.idle = std::chrono::milliseconds{100};
  std::atomic<bool> closed{false};
  Hooks hooks;
  hooks.on_closed = [&closed](uint64_t) { closed = true; };
  const Running server(limits, hooks);
  Client client(server.path());
  const std::string much = numbered("echo", "[\"" + std::string(500'000, 'x') + "\"]");
  ASSERT_TRUE(client.send(much));
  EXPECT_TRUE(mailbox::eventually([&] { return closed.load(); }));
}

TEST(ApiServer, AnAccountThatTakesAllItCanDoesNotLockOutRoot) {
  Limits limits;
  limits.connections = 6;
  limits.of_one_account = 3;
  Hooks hooks;
  hooks.rights = [](uid_t, gid_t) { return Rights{"somebody", false}; };
  if (::geteuid() != 0) GTEST_SKIP() << "needs root: connects as another account";
  const Running server(limits, hooks);
  std::vector<std::unique_ptr<Client>> clients;
  ASSERT_EQ(::chmod(server.folder().c_str(), 0755), 0);
  ASSERT_EQ(::seteuid(1), 0);
  for (int i = 0; i < 5; ++i) clients.push_back(std::make_unique<Client>(server.path()));
  ASSERT_EQ(::seteuid(0), 0);
  EXPECT_EQ(clients.back()->line(), error("null", -32000, "too many connections; close one, or try again later"));
  Client root(server.path());
  ASSERT_TRUE(root.send(numbered("ping")));
  EXPECT_EQ(root.line(), R"({"jsonrpc":"2.0","id":1,"result":"pong"})");
}

}  // namespace
}  // namespace mire::api
