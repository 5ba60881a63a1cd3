// session.h - one connection of the Unix socket, as a coroutine: a line in, its answer out, then the next.
//
// Keeps itself alive until its connection ends. News for it (Audience) waits in a bounded queue behind the answers.
#pragma once

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/streambuf.hpp>
#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "controlplane/api/method.h"
#include "controlplane/api/server.h"

namespace mire::api {

class Session final : public Audience, public std::enable_shared_from_this<Session> {
 public:
  using Socket = boost::asio::local::stream_protocol::socket;

  // `methods` must outlive it.
  Session(Socket, Caller, uid_t, const Methods& methods, const Limits&, std::function<void(Session&)> on_closed);
  ~Session() override;

  void start();
  // Nothing is read or written any more; the coroutine finds out and ends.
  void close();

  bool tell(std::string_view method, const boost::json::value& params) override;

  [[nodiscard]] uint64_t id() const noexcept { return caller_.session; }
  [[nodiscard]] uid_t uid() const noexcept { return uid_; }

 private:
  boost::asio::awaitable<void> serve();
  boost::asio::awaitable<void> deliver();
  void send(std::string line);
  void be_patient();

  Socket socket_;
  boost::asio::steady_timer idle_;     // nobody said or read anything for too long
  boost::asio::steady_timer drained_;  // expires when all was written
  Caller caller_;
  uid_t uid_;
  const Methods& methods_;
  Limits limits_;
  std::function<void(Session&)> on_closed_;
  boost::asio::streambuf in_;
  std::deque<std::string> out_;
  bool writing_ = false;
  uint64_t news_lost_ = 0;
};

}  // namespace mire::api
