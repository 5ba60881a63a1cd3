#include "controlplane/api/server.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <set>
#include <utility>

#include "controlplane/api/json_rpc.h"
#include "controlplane/api/session.h"

namespace mire::api {
namespace {

namespace asio = boost::asio;
using Failure = boost::system::error_code;

constexpr std::chrono::milliseconds kPauseAfterTrouble{100};  // out of descriptors: do not spin

void turn_away(Session::Socket& socket, std::string_view why) {
  const std::string text = refusal(why) + "\n";
  Failure ignored;
  socket.non_blocking(true, ignored);
  socket.write_some(asio::buffer(text), ignored);
}

}  // namespace

struct Server::Shared {
  Methods methods;
  Limits limits;
  Hooks hooks;
  std::set<Session*> live;
  uint64_t sessions = 0;

  // Root and mired's own account always get in while there is room at all.
  [[nodiscard]] bool full_for(uid_t uid) const {
    if (live.size() >= limits.connections) return true;
    if (uid == 0 || uid == ::geteuid()) return false;
    const auto own = std::count_if(live.begin(), live.end(), [uid](const Session* s) { return s->uid() == uid; });
    return static_cast<size_t>(own) >= limits.of_one_account || live.size() + 2 > limits.connections;
  }
};

Result<std::unique_ptr<Server>> Server::listen(asio::io_context& io, const std::string& path, Methods methods,
                                               Limits limits, Hooks hooks) {
  // Who may ask is told by the account, not by the file: groups need not be there when the socket is made.
  Result<mailbox::Listener> listener = mailbox::Listener::open(path, SOCK_STREAM, 0666, "mired");
  if (!listener) return Error{listener.error()};
  auto server = std::unique_ptr<Server>(
      new Server(io, std::move(listener).value(), std::move(methods), limits, std::move(hooks)));
  server->accept();
  return server;
}

Server::Server(asio::io_context& io, mailbox::Listener listener, Methods methods, Limits limits, Hooks hooks)
    : listener_(std::move(listener)),
      acceptor_(io, asio::local::stream_protocol(), ::fcntl(listener_.fd(), F_DUPFD_CLOEXEC, 0)),
      pause_(io),
      shared_(std::make_shared<Shared>(Shared{std::move(methods), limits, std::move(hooks), {}, 0})) {}

Server::~Server() { stop(); }

const Methods& Server::methods() const noexcept { return shared_->methods; }

void Server::stop() {
  Failure ignored;
  acceptor_.close(ignored);
  pause_.cancel();
  for (Session* session : shared_->live) session->close();
}

void Server::accept() {
  acceptor_.async_accept([this](const Failure& failure, Session::Socket socket) {
    if (failure == asio::error::operation_aborted) return;
    if (failure) {
      pause_.expires_after(kPauseAfterTrouble);
      pause_.async_wait([this](const Failure& cancelled) {
        if (!cancelled) accept();
      });
      return;
    }
    welcome(std::move(socket));
    accept();
  });
}

void Server::welcome(Session::Socket socket) {
  const mailbox::Peer peer = mailbox::peer_of(socket.native_handle());
  const std::optional<Rights> rights = shared_->hooks.rights(peer.uid, peer.gid);
  if (!rights) return turn_away(socket, "not allowed: it takes group mire to read, mire-admin to change");
  if (shared_->full_for(peer.uid)) return turn_away(socket, "too many connections; close one, or try again later");
  const auto shared = shared_;
  const auto session =
      std::make_shared<Session>(std::move(socket), Caller{++shared->sessions, rights->name, rights->may_change, {}},
                                peer.uid, shared->methods, shared->limits, [shared](Session& closed) {
                                  shared->live.erase(&closed);
                                  if (shared->hooks.on_closed) shared->hooks.on_closed(closed.id());
                                });
  shared->live.insert(session.get());
  session->start();
}

}  // namespace mire::api
