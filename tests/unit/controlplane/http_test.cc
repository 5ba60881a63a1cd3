#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <boost/asio/io_context.hpp>
#include <boost/json.hpp>
#include <cstring>
#include <thread>

#include "controlplane/api/exposition.h"
#include "controlplane/api/http_server.h"
#include "controlplane/api/remote.h"
#include "controlplane/api/tokens.h"
#include "dataplane/mailbox/unix_socket.h"

namespace mire::api {
namespace {

using mailbox::Descriptor;

// In a network namespace of its own a test finds the loopback down.
void raise_loopback() {
  const Descriptor any(::socket(AF_INET, SOCK_DGRAM, 0));
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP;
  ::ioctl(any.get(), SIOCSIFFLAGS, &request);
}

class Client {
 public:
  explicit Client(uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    timeval patience{5, 0};
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&to), sizeof(to)), 0);
  }
  void send(const std::string& text) { ::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL); }
  // Until `end` has come, or the connection is over.
  std::string read(const std::string& end) {
    std::string out;
    for (char c; !out.ends_with(end) && ::recv(socket_.get(), &c, 1, 0) == 1;) out += c;
    return out;
  }
  std::string read_all() { return read("\1"); }

 private:
  Descriptor socket_;
};

class Running {
 public:
  explicit Running(HttpHandler handler, HttpLimits limits = {}) {
    raise_loopback();
    server_ = HttpServer::listen(io_, "127.0.0.1", 0, std::move(handler), std::nullopt, limits).value();
    thread_ = std::thread([this] { io_.run(); });
  }
  ~Running() {
    io_.stop();
    thread_.join();
  }
  [[nodiscard]] uint16_t port() const { return server_->port(); }

 private:
  boost::asio::io_context io_;
  std::unique_ptr<HttpServer> server_;
  std::thread thread_;
};

HttpHandler echo() {
  return [](HttpRequest r) -> boost::asio::awaitable<HttpResponse> {
    co_return HttpResponse{200, "text/plain", r.method + " " + r.target + " " + r.body + "!"};
  };
}

TEST(HttpServer, AnswersOneRequestAfterTheOther) {
  const Running server(echo());
  Client client(server.port());
  client.send("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\nPOST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
  EXPECT_TRUE(client.read("!").ends_with("GET /metrics !"));
  EXPECT_TRUE(client.read("!").ends_with("POST /x hi!"));
}

TEST(HttpServer, RefusesWhatIsTooLong) {
  HttpLimits limits;
  limits.body_bytes = 100;
  limits.header_bytes = 1000;
  const Running server(echo(), limits);
  Client long_body(server.port());
  long_body.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n\r\n");
  EXPECT_TRUE(long_body.read_all().starts_with("HTTP/1.1 413 "));
  Client long_header(server.port());
  long_header.send("GET / HTTP/1.1\r\nA: " + std::string(2000, 'a') + "\r\n\r\n");
  EXPECT_TRUE(long_header.read_all().starts_with("HTTP/1.1 413 "));
  Client garbage(server.port());
  garbage.send(std::string(50, '\0') + "\r\n\r\n");
  EXPECT_EQ(garbage.read_all(), "");
}

TEST(HttpServer, ClosesOneConnectionTooManyAndTheOnesThatStall) {
  HttpLimits limits;
  limits.connections = 2;
  limits.patience = std::chrono::seconds{1};
  const Running server(echo(), limits);
  Client first(server.port());
  Client second(server.port());
  Client third(server.port());
  EXPECT_EQ(third.read_all(), "");  // at once
  EXPECT_EQ(first.read_all(), "");  // after its patience
  EXPECT_EQ(second.read_all(), "");
  Client fourth(server.port());
  fourth.send("GET / HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(fourth.read_all().ends_with("GET / !"));
}

TEST(HttpServer, SaysWhyItCannotListen) {
  boost::asio::io_context io;
  EXPECT_EQ(HttpServer::listen(io, "here", 1, echo()).error(), "address here: not an IP address; try 127.0.0.1");
  const auto taken = HttpServer::listen(io, "127.0.0.1", 0, echo());
  const auto again = HttpServer::listen(io, "127.0.0.1", taken.value()->port(), echo());
  ASSERT_FALSE(again);
  EXPECT_NE(again.error().find("Address already in use; choose another"), std::string::npos);
  const auto bare = HttpServer::listen(io, "127.0.0.1", 0, echo(), Identity{"/nowhere.pem", "/nowhere.key"});
  ASSERT_FALSE(bare);
  EXPECT_TRUE(bare.error().starts_with("certificate /nowhere.pem: "));
}

// Of the secrets `reader` and `changer`.
constexpr const char* kTokens =
    "# for the lab\n"
    "one read 3d0941964aa3ebdcb00ccef58b1bb399f9f898465e9886d5aec7f31090a0fb30\n"
    "\n"
    "two change 60e753746348c9295baa054f486b0dfc5b5a6516f8ae7f54cba152b061e189bf\n";

TEST(Tokens, AreKnownByTheirDigest) {
  const Tokens tokens = Tokens::parse(kTokens, "f").value();
  ASSERT_EQ(tokens.size(), 2u);
  ASSERT_TRUE(tokens.owner_of("Bearer reader"));
  EXPECT_EQ(tokens.owner_of("Bearer reader")->name, "token one");
  EXPECT_FALSE(tokens.owner_of("Bearer reader")->may_change);
  for (const char* wrong : {"", "Bearer", "Bearer ", "Bearer reade", "Bearer reader ", "Basic reader", "reader"})
    EXPECT_FALSE(tokens.owner_of(wrong)) << wrong;
}

TEST(Tokens, ABrokenFileIsRefusedWholeWithItsLine) {
  EXPECT_EQ(Tokens::parse(std::string(kTokens) + "x read 12\n", "f").error(),
            "f:5: a line is NAME read|change and the token's SHA-256 in hex (64 digits)");
  EXPECT_EQ(Tokens::parse("# none\n", "f").error(), "f: no token in it: nobody could ask; add one");
  EXPECT_EQ(Tokens::load("/nowhere").error(),
            "/nowhere: No such file or directory; name a file of tokens that mired may read");
}

TEST(Remote, IsForThoseWithATokenAndKeepsTheirRights) {
  const Methods methods{
      {"who", reads([](const boost::json::value&, const Caller& c) { return boost::json::value(c.name); })},
      {"set", changes([](const boost::json::value&, const Caller&) { return boost::json::value(true); })}};
  const Running server(remote(methods, Tokens::parse(kTokens, "f").value()));
  const auto ask = [&](const std::string& head, const std::string& body) {
    Client client(server.port());
    client.send(head + "Connection: close\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    return client.read_all();
  };
  const std::string post = "POST /rpc HTTP/1.1\r\nHost: a\r\n";
  const std::string token = "Authorization: Bearer reader\r\n";
  EXPECT_TRUE(ask(post, "{}").starts_with("HTTP/1.1 401 "));
  EXPECT_TRUE(ask("GET /rpc HTTP/1.1\r\nHost: a\r\n" + token, "").starts_with("HTTP/1.1 405 "));
  EXPECT_TRUE(ask("POST / HTTP/1.1\r\nHost: a\r\n" + token, "{}").starts_with("HTTP/1.1 404 "));
  EXPECT_TRUE(ask(post + token, R"({"jsonrpc":"2.0","id":1,"method":"who"})")
                  .ends_with("\r\n\r\n"
                             R"({"jsonrpc":"2.0","id":1,"result":"token one"})"));
  EXPECT_NE(ask(post + token, R"({"jsonrpc":"2.0","id":1,"method":"set"})").find("-32001"), std::string::npos);
}

TEST(Exposition, KeepsAMetricsSamplesTogetherAndEscapesLabels) {
  Exposition e;
  e.counter("mire_flows_total", "flows by reason", 3, {{"reason", "early_talk"}});
  e.gauge("mire_up", "the dataplane is there", 1);
  e.counter("mire_flows_total", "flows by reason", 4e15, {{"reason", "a\"b\\c\nd"}, {"lcore", "1"}});
  EXPECT_EQ(e.text(),
            "# HELP mire_flows_total flows by reason\n# TYPE mire_flows_total counter\n"
            "mire_flows_total{reason=\"early_talk\"} 3\n"
            "mire_flows_total{reason=\"a\\\"b\\\\c\\nd\",lcore=\"1\"} 4000000000000000\n"
            "# HELP mire_up the dataplane is there\n# TYPE mire_up gauge\nmire_up 1\n");
}

}  // namespace
}  // namespace mire::api
