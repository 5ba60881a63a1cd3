#include "controlplane/api/server.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/buffers_iterator.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/write.hpp>
#include <set>
#include <utility>

namespace mire::api {
namespace {

namespace asio = boost::asio;
using Socket = asio::local::stream_protocol::socket;
using Failure = boost::system::error_code;

constexpr std::chrono::milliseconds kPauseAfterTrouble{100};  // out of descriptors: do not spin

std::string refusal(const char* message) {
  return std::string(R"({"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":")") + message + "\"}}\n";
}

}  // namespace

struct Server::Shared {
  Methods methods;
  Limits limits;
  std::set<Session*> live;
};

// One connection. Keeps itself alive by the handlers that wait for it.
class Server::Session : public std::enable_shared_from_this<Session> {
 public:
  Session(Socket socket, std::shared_ptr<Shared> shared)
      : socket_(std::move(socket)),
        idle_(socket_.get_executor()),
        shared_(std::move(shared)),
        in_(shared_->limits.line_bytes) {
    shared_->live.insert(this);
  }
  ~Session() { shared_->live.erase(this); }

  void read() {
    patience();
    asio::async_read_until(socket_, in_, '\n', [self = shared_from_this()](const Failure& failure, size_t bytes) {
      if (!failure) return self->answer_line(bytes);
      if (failure == asio::error::not_found) return self->last_word(refusal("line too long"));
      self->close();
    });
  }

  void last_word(std::string text) {
    over_ = true;
    write(std::move(text));
  }

  void close() {
    idle_.cancel();
    Failure ignored;
    socket_.close(ignored);
  }

 private:
  void answer_line(size_t bytes) {
    const auto begin = asio::buffers_begin(in_.data());
    std::string line(begin, begin + static_cast<std::ptrdiff_t>(bytes - 1));
    in_.consume(bytes);
    if (!line.empty() && line.back() == '\r') line.pop_back();
    std::string out = line.empty() ? std::string{} : answer(line, shared_->methods);
    if (!out.empty()) return write(std::move(out) + "\n");
    read();
  }

  void write(std::string text) {
    out_ = std::move(text);
    patience();
    asio::async_write(socket_, asio::buffer(out_), [self = shared_from_this()](const Failure& failure, size_t) {
      if (failure || self->over_) return self->close();
      self->read();
    });
  }

  void patience() {
    idle_.expires_after(shared_->limits.idle);
    idle_.async_wait([weak = weak_from_this()](const Failure& failure) {
      if (failure) return;
      if (const auto self = weak.lock()) self->close();
    });
  }

  Socket socket_;
  asio::steady_timer idle_;
  std::shared_ptr<Shared> shared_;
  asio::streambuf in_;
  std::string out_;
  bool over_ = false;
};

Result<std::unique_ptr<Server>> Server::listen(asio::io_context& io, const std::string& path, Methods methods,
                                               Limits limits) {
  Result<mailbox::Listener> listener = mailbox::Listener::open(path, SOCK_STREAM, 0660, "mired");
  if (!listener) return Error{listener.error()};
  auto server = std::unique_ptr<Server>(new Server(io, std::move(listener).value(), std::move(methods), limits));
  server->accept();
  return server;
}

Server::Server(asio::io_context& io, mailbox::Listener listener, Methods methods, Limits limits)
    : listener_(std::move(listener)),
      acceptor_(io, asio::local::stream_protocol(), ::fcntl(listener_.fd(), F_DUPFD_CLOEXEC, 0)),
      pause_(io),
      shared_(std::make_shared<Shared>(Shared{std::move(methods), limits, {}})) {}

Server::~Server() { stop(); }

void Server::stop() {
  Failure ignored;
  acceptor_.close(ignored);
  pause_.cancel();
  for (Session* session : shared_->live) session->close();
}

void Server::accept() {
  acceptor_.async_accept([this](const Failure& failure, Socket socket) {
    if (failure == asio::error::operation_aborted) return;
    if (failure) {
      pause_.expires_after(kPauseAfterTrouble);
      pause_.async_wait([this](const Failure& cancelled) {
        if (!cancelled) accept();
      });
      return;
    }
    const bool full = shared_->live.size() >= shared_->limits.connections;
    if (full) {
      const std::string text = refusal("too many connections");
      Failure ignored;
      socket.non_blocking(true, ignored);
      socket.write_some(asio::buffer(text), ignored);
    } else {
      std::make_shared<Session>(std::move(socket), shared_)->read();
    }
    accept();
  });
}

}  // namespace mire::api
