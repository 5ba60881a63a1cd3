// server.h - the Unix socket that operators' tools use: newline-framed JSON-RPC 2.0.
//
// Bounded in everything that a client could stretch: connections in all and of one account, the length of a line, the
// news that it does not read, the time that it keeps a connection without a word or without reading. Answers a
// connection's lines in order. Anybody may connect; who is no member (rights.h) is turned away with one line. Refuses
// to know what the methods do.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "controlplane/api/method.h"
#include "controlplane/api/rights.h"
#include "dataplane/base/result.h"
#include "dataplane/mailbox/unix_socket.h"

namespace mire::api {

struct Limits {
  size_t connections = 64;
  size_t of_one_account = 32;  // but root's and mired's own: an account that takes all it can must not lock them out
  size_t line_bytes = 1024 * 1024;  // a whole configuration is one line
  size_t unread_news = 1024;        // notifications
  std::chrono::milliseconds idle = std::chrono::minutes{5};
};

// What the server is told besides its methods.
struct Hooks {
  std::function<void(uint64_t session)> on_closed;  // the connection is over: what it held open ends with it
  std::function<std::optional<Rights>(uid_t, gid_t)> rights = [](uid_t u, gid_t g) { return rights_of(u, g); };
};

class Server {
 public:
  // A stale socket file is replaced; a live mired behind it is an error.
  static Result<std::unique_ptr<Server>> listen(boost::asio::io_context&, const std::string& path, Methods, Limits = {},
                                                Hooks = {});
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  void stop();
  // For transports besides this one (https_server.h).
  [[nodiscard]] const Methods& methods() const noexcept;

 private:
  struct Shared;  // what sessions need; outlives them
  friend class Session;
  Server(boost::asio::io_context&, mailbox::Listener, Methods, Limits, Hooks);
  void accept();
  void welcome(boost::asio::local::stream_protocol::socket);

  mailbox::Listener listener_;
  boost::asio::local::stream_protocol::acceptor acceptor_;
  boost::asio::steady_timer pause_;
  std::shared_ptr<Shared> shared_;
};

}  // namespace mire::api
