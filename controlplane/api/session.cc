#include "controlplane/api/session.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/buffers_iterator.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/json.hpp>

#include "controlplane/api/json_rpc.h"

namespace mire::api {
namespace {

namespace asio = boost::asio;
using Failure = boost::system::error_code;
constexpr auto kNever = std::chrono::steady_clock::time_point::max();

}  // namespace

Session::Session(Socket socket, Caller caller, uid_t uid, const Methods& methods, const Limits& limits,
                 std::function<void(Session&)> on_closed)
    : socket_(std::move(socket)),
      idle_(socket_.get_executor()),
      drained_(socket_.get_executor(), kNever),
      caller_(std::move(caller)),
      uid_(uid),
      methods_(methods),
      limits_(limits),
      on_closed_(std::move(on_closed)),
      in_(limits.line_bytes) {}

Session::~Session() { on_closed_(*this); }

void Session::start() {
  caller_.audience = weak_from_this();
  asio::co_spawn(
      socket_.get_executor(), [self = shared_from_this()] { return self->serve(); }, asio::detached);
}

void Session::close() {
  Failure ignored;
  idle_.cancel();
  drained_.cancel();
  socket_.close(ignored);
}

asio::awaitable<void> Session::serve() {
  const auto self = shared_from_this();
  while (socket_.is_open()) {
    be_patient();
    Failure failure;
    const size_t bytes =
        co_await asio::async_read_until(socket_, in_, '\n', asio::redirect_error(asio::use_awaitable, failure));
    const bool too_long = failure == asio::error::not_found;
    if (failure && !too_long) break;
    std::string out = too_long ? refusal("line too long") : std::string{};
    if (!too_long) {
      const auto begin = asio::buffers_begin(in_.data());
      std::string line(begin, begin + static_cast<std::ptrdiff_t>(bytes - 1));
      in_.consume(bytes);
      if (!line.empty() && line.back() == '\r') line.pop_back();
      if (!line.empty()) out = co_await answer(std::move(line), methods_, caller_);
    }
    if (!out.empty()) {
      send(std::move(out));
      // The next line is read when this answer is gone: who does not read cannot make us keep more than one.
      while (writing_ && socket_.is_open())
        co_await drained_.async_wait(asio::redirect_error(asio::use_awaitable, failure));
    }
    if (too_long) break;
  }
  close();
}

void Session::send(std::string line) {
  line += '\n';
  out_.push_back(std::move(line));
  if (std::exchange(writing_, true)) return;
  asio::co_spawn(
      socket_.get_executor(), [self = shared_from_this()] { return self->deliver(); }, asio::detached);
}

asio::awaitable<void> Session::deliver() {
  const auto self = shared_from_this();
  Failure failure;
  while (!out_.empty() && !failure) {
    be_patient();
    const std::string text = std::move(out_.front());
    out_.pop_front();
    co_await asio::async_write(socket_, asio::buffer(text), asio::redirect_error(asio::use_awaitable, failure));
  }
  writing_ = false;
  if (failure) close();
  drained_.cancel();
}

bool Session::tell(std::string_view method, const boost::json::value& params) {
  if (!socket_.is_open()) return false;
  if (out_.size() >= limits_.unread_news) {
    ++news_lost_;
    return false;
  }
  if (news_lost_ > 0) send(notification("lost", boost::json::object{{"notifications", std::exchange(news_lost_, 0)}}));
  send(notification(method, params));
  return true;
}

void Session::be_patient() {
  idle_.expires_after(limits_.idle);
  idle_.async_wait([weak = weak_from_this()](const Failure& cancelled) {
    const auto self = weak.lock();
    if (!cancelled && self) self->close();
  });
}

}  // namespace mire::api
