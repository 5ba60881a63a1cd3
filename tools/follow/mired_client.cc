#include "tools/follow/mired_client.h"

#include <fmt/format.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/json.hpp>

namespace mire::follow {
namespace {

namespace asio = boost::asio;
namespace json = boost::json;
using Failure = boost::system::error_code;

constexpr std::chrono::seconds kPatience{30};
constexpr size_t kLongestAnswer = 65'536;

// JSON-RPC 2.0, 5.1: the request itself is wrong. Everything else may be otherwise later.
constexpr int64_t kInvalidRequest = -32600;
constexpr int64_t kInvalidParams = -32602;
constexpr int64_t kParseError = -32700;
constexpr int64_t kRefused = -32000;  // of mired: so said the method

}  // namespace

Reply read_reply(const std::string& line) {
  json::error_code broken;
  const json::value answer = json::parse(line, broken);
  const json::object* o = broken ? nullptr : answer.if_object();
  if (o == nullptr) return {Said::unsure, "an answer that is not JSON"};
  if (o->contains("result")) return {Said::taken, {}};
  const json::value* error = o->if_contains("error");
  const json::object* e = error != nullptr ? error->if_object() : nullptr;
  const json::value* code = e != nullptr ? e->if_contains("code") : nullptr;
  if (code == nullptr || !code->is_int64()) return {Said::unsure, "an answer without result and error"};
  const json::value* message = e->if_contains("message");
  std::string why = message != nullptr && message->is_string() ? std::string(message->get_string()) : "no reason given";
  // Who was turned away at the door has no id in the answer.
  const json::value* id = o->if_contains("id");
  const bool ours = id != nullptr && !id->is_null();
  switch (code->get_int64()) {
    case kInvalidRequest:
    case kInvalidParams:
    case kParseError: return {Said::refused, std::move(why)};
    case kRefused: return {ours ? Said::refused : Said::not_now, std::move(why)};
    default: return {Said::not_now, std::move(why)};
  }
}

MiredClient::MiredClient(asio::io_context& io, std::string path) : path_(std::move(path)), timer_(io), io_(io) {}

asio::awaitable<Reply> MiredClient::ask(std::string request) {
  // A connection of before may have lost its mired, which only a write tells: then one of now is made.
  if (socket_) {
    Reply old = co_await once(request, false);
    if (old.said != Said::not_now || socket_) co_return old;
  }
  Reply now = co_await once(request, true);
  co_return now;
}

asio::awaitable<Reply> MiredClient::once(const std::string& request, bool fresh) {
  Failure failure;
  auto token = asio::redirect_error(asio::use_awaitable, failure);
  if (fresh) {
    socket_ = std::make_shared<Socket>(io_);
    const asio::local::stream_protocol::endpoint endpoint(path_);
    limit_time();
    co_await socket_->async_connect(endpoint, token);
    if (failure) {
      close();
      co_return Reply{Said::not_now, fmt::format("{}: {}", path_, failure.message())};
    }
  }
  limit_time();
  const auto out = asio::buffer(request);
  const size_t written = co_await asio::async_write(*socket_, out, token);
  if (failure) {
    close();
    // A line without its end is none.
    co_return Reply{written < request.size() ? Said::not_now : Said::unsure, failure.message()};
  }
  std::string in;
  auto buffer = asio::dynamic_buffer(in, kLongestAnswer);
  const size_t length = co_await asio::async_read_until(*socket_, buffer, '\n', token);
  timer_.cancel();
  if (failure) {
    close();
    co_return Reply{Said::unsure, failure.message()};
  }
  Reply reply = read_reply(in.substr(0, length));
  if (reply.said != Said::taken) close();
  co_return reply;
}

void MiredClient::limit_time() {
  timer_.expires_after(kPatience);
  timer_.async_wait([weak = std::weak_ptr(socket_)](const Failure& cancelled) {
    const auto socket = weak.lock();
    Failure ignored;
    if (!cancelled && socket) socket->close(ignored);
  });
}

void MiredClient::close() {
  timer_.cancel();
  socket_.reset();
}

}  // namespace mire::follow
