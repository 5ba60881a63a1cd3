// http_server.h - a small HTTP/1.1 server, plain or under TLS: for the metrics, and for JSON-RPC from afar.
//
// Bounded in connections, header, body and the time that a request may take; a client that floods or stalls costs its
// own connection. One thread: the handler is a coroutine on the io_context. Refuses to know what is asked.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "dataplane/base/result.h"

namespace mire::api {

struct HttpRequest {
  std::string method;
  std::string target;
  std::string authorization;  // the header's value
  std::string body;
};
struct HttpResponse {
  unsigned status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};
using HttpHandler = std::function<boost::asio::awaitable<HttpResponse>(HttpRequest)>;

struct HttpLimits {
  size_t connections = 32;
  size_t header_bytes = 8 * 1024;
  size_t body_bytes = 1024 * 1024;
  std::chrono::seconds patience{30};  // for a handshake, a request, an answer to be read
};

// PEM files. TLS 1.2 and later.
struct Identity {
  std::string certificate;  // with its chain
  std::string key;
};

class HttpServer {
 public:
  // Port 0: one that is free. With an identity under TLS.
  static Result<std::unique_ptr<HttpServer>> listen(boost::asio::io_context&, const std::string& address, uint16_t port,
                                                    HttpHandler, const std::optional<Identity>& = std::nullopt,
                                                    HttpLimits = {});
  virtual ~HttpServer() = default;
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  [[nodiscard]] virtual uint16_t port() const = 0;

 protected:
  HttpServer() = default;
};

}  // namespace mire::api
