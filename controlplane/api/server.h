// server.h - the Unix socket that operators' tools use: newline-framed JSON-RPC 2.0.
//
// Bounded in everything that a client could stretch: connections, the length of a line, the time that it keeps a
// connection without a word or without reading. Answers a connection's lines in order. Refuses to know what the methods
// do.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include "controlplane/api/json_rpc.h"
#include "dataplane/base/result.h"
#include "dataplane/mailbox/unix_socket.h"

namespace mire::api {

struct Limits {
  size_t connections = 64;
  size_t line_bytes = 64 * 1024;
  std::chrono::milliseconds idle = std::chrono::minutes{5};
};

class Server {
 public:
  // Mode 0660. A stale socket file is replaced; a live mired behind it is an error.
  static Result<std::unique_ptr<Server>> listen(boost::asio::io_context&, const std::string& path, Methods,
                                                Limits = {});
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  void stop();

 private:
  class Session;
  struct Shared;  // what sessions need; outlives them
  Server(boost::asio::io_context&, mailbox::Listener, Methods, Limits);
  void accept();

  mailbox::Listener listener_;
  boost::asio::local::stream_protocol::acceptor acceptor_;
  boost::asio::steady_timer pause_;
  std::shared_ptr<Shared> shared_;
};

}  // namespace mire::api
