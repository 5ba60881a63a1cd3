#include "controlplane/api/http_server.h"

#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>

namespace mire::api {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace ssl = asio::ssl;
using asio::ip::tcp;
using Failure = boost::system::error_code;
using PlainStream = beast::tcp_stream;
using TlsStream = beast::ssl_stream<beast::tcp_stream>;

constexpr std::chrono::milliseconds kPauseAfterTrouble{100};

// What connections share; outlives the server.
struct Shared {
  HttpHandler handler;
  HttpLimits limits;
  std::optional<ssl::context> tls;
  size_t live = 0;
};

class Place {
 public:
  explicit Place(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) { ++shared_->live; }
  ~Place() { --shared_->live; }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

 private:
  std::shared_ptr<Shared> shared_;
};

http::response<http::string_body> shaped(HttpResponse answer, unsigned version, bool keep_alive) {
  http::response<http::string_body> out(static_cast<http::status>(answer.status), version);
  out.set(http::field::content_type, answer.content_type);
  if (answer.status == 401) out.set(http::field::www_authenticate, "Bearer");
  out.body() = std::move(answer.body);
  out.keep_alive(keep_alive);
  out.prepare_payload();
  return out;
}

// Requests of one connection, one after the other, until either side has enough.
template <typename Stream>
asio::awaitable<void> serve(Stream& stream, Shared& shared) {
  beast::flat_buffer buffer(shared.limits.header_bytes + shared.limits.body_bytes);
  Failure failure;
  for (bool more = true; more;) {
    http::request_parser<http::string_body> parser;
    parser.header_limit(static_cast<uint32_t>(shared.limits.header_bytes));
    parser.body_limit(shared.limits.body_bytes);
    beast::get_lowest_layer(stream).expires_after(shared.limits.patience);
    co_await http::async_read(stream, buffer, parser, asio::redirect_error(asio::use_awaitable, failure));
    HttpResponse answer;
    unsigned version = 11;
    more = false;
    if (failure == http::error::body_limit || failure == http::error::header_limit) {
      answer = {413, "text/plain; charset=utf-8", "too long\n"};
    } else if (failure) {
      co_return;
    } else {
      http::request<http::string_body> request = parser.release();
      version = request.version();
      more = request.keep_alive();
      HttpRequest asked{std::string(request.method_string()), std::string(request.target()),
                        std::string(request[http::field::authorization]), std::move(request.body())};
      answer = co_await shared.handler(std::move(asked));
    }
    const http::response<http::string_body> out = shaped(std::move(answer), version, more);
    beast::get_lowest_layer(stream).expires_after(shared.limits.patience);
    co_await http::async_write(stream, out, asio::redirect_error(asio::use_awaitable, failure));
    if (failure) co_return;
  }
}

asio::awaitable<void> converse(tcp::socket socket, std::shared_ptr<Shared> shared) {
  const Place place(shared);
  Failure failure;
  if (!shared->tls) {
    PlainStream stream(std::move(socket));
    co_await serve(stream, *shared);
    stream.socket().shutdown(tcp::socket::shutdown_send, failure);
    co_return;
  }
  TlsStream stream(std::move(socket), *shared->tls);
  beast::get_lowest_layer(stream).expires_after(shared->limits.patience);
  co_await stream.async_handshake(ssl::stream_base::server, asio::redirect_error(asio::use_awaitable, failure));
  if (failure) co_return;
  co_await serve(stream, *shared);
  beast::get_lowest_layer(stream).expires_after(std::chrono::seconds{1});
  co_await stream.async_shutdown(asio::redirect_error(asio::use_awaitable, failure));
}

class Listening final : public HttpServer {
 public:
  Listening(asio::io_context& io, tcp::acceptor acceptor, std::shared_ptr<Shared> shared)
      : io_(io), acceptor_(std::move(acceptor)), pause_(io), shared_(std::move(shared)) {
    accept();
  }
  [[nodiscard]] uint16_t port() const override {
    Failure ignored;
    return acceptor_.local_endpoint(ignored).port();
  }

 private:
  void accept() {
    acceptor_.async_accept([this](const Failure& failure, tcp::socket socket) {
      if (failure == asio::error::operation_aborted) return;
      if (failure) {
        pause_.expires_after(kPauseAfterTrouble);
        pause_.async_wait([this](const Failure& cancelled) {
          if (!cancelled) accept();
        });
        return;
      }
      // One too many is closed without a word: what it would say is not worth its buffers.
      if (shared_->live < shared_->limits.connections)
        asio::co_spawn(io_, converse(std::move(socket), shared_), asio::detached);
      accept();
    });
  }

  asio::io_context& io_;
  tcp::acceptor acceptor_;
  asio::steady_timer pause_;
  std::shared_ptr<Shared> shared_;
};

Result<ssl::context> context_of(const Identity& identity) {
  ssl::context out(ssl::context::tls_server);
  out.set_options(ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1 | ssl::context::single_dh_use);
  Failure failure;
  out.use_certificate_chain_file(identity.certificate, failure);
  if (failure)
    return Error{
        fmt::format("certificate {}: {}; name a PEM file with the certificate and its chain that mired may read",
                    identity.certificate, failure.message())};
  out.use_private_key_file(identity.key, ssl::context::pem, failure);
  if (failure)
    return Error{fmt::format("key {}: {}; name the PEM file of the certificate's key, readable for mired alone",
                             identity.key, failure.message())};
  return out;
}

Result<tcp::acceptor> acceptor_at(asio::io_context& io, const std::string& address, uint16_t port) {
  Failure failure;
  const asio::ip::address parsed = asio::ip::make_address(address, failure);
  if (failure) return Error{fmt::format("address {}: not an IP address; try 127.0.0.1", address)};
  const tcp::endpoint at(parsed, port);
  tcp::acceptor out(io);
  out.open(at.protocol(), failure);
  if (!failure) out.set_option(tcp::acceptor::reuse_address(true), failure);
  if (!failure) out.bind(at, failure);
  if (!failure) out.listen(32, failure);
  if (failure)
    return Error{fmt::format("address {} port {}: {}; choose another, or see who has it (ss -ltnp)", address, port,
                             failure.message())};
  return out;
}

}  // namespace

Result<std::unique_ptr<HttpServer>> HttpServer::listen(asio::io_context& io, const std::string& address, uint16_t port,
                                                       HttpHandler handler, const std::optional<Identity>& identity,
                                                       HttpLimits limits) {
  auto shared = std::make_shared<Shared>(Shared{std::move(handler), limits, std::nullopt, 0});
  if (identity) {
    Result<ssl::context> tls = context_of(*identity);
    if (!tls) return Error{tls.error()};
    shared->tls.emplace(std::move(tls).value());
  }
  Result<tcp::acceptor> acceptor = acceptor_at(io, address, port);
  if (!acceptor) return Error{acceptor.error()};
  return std::unique_ptr<HttpServer>(std::make_unique<Listening>(io, std::move(acceptor).value(), std::move(shared)));
}

}  // namespace mire::api
