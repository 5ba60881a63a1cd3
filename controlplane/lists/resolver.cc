#include "controlplane/lists/resolver.h"

#define CARES_NO_DEPRECATED  // Debian 13's marks what Debian 12's has nothing else for
#include <ares.h>
#include <fmt/format.h>
#include <netdb.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstring>
#include <map>
#include <utility>

#include "controlplane/lists/backoff.h"

namespace mire::lists {
namespace {

namespace asio = boost::asio;
using Failure = boost::system::error_code;

constexpr uint32_t kTries = 2;
constexpr uint32_t kPatience = 4;  // timeouts in a row
constexpr Duration kAsideFirst = seconds{5};
constexpr Duration kAsideMost = seconds{300};
constexpr int kLargestAnswer = 1'232;  // over UDP (EDNS): never fragmented

const bool kLibraryReady = ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS;

DnsAnswer answer_of(int status, const uint8_t* message, int length, QueryType type) {
  DnsAnswer answer;
  switch (status) {
    case ARES_SUCCESS:
    case ARES_ENODATA:
    case ARES_ENOTFOUND:
      if (message != nullptr && length > 0) return parse_answer(message, static_cast<size_t>(length), type);
      return answer;
    case ARES_ETIMEOUT:
    case ARES_ECONNREFUSED: answer.outcome = DnsOutcome::timeout; return answer;
    default: return answer;
  }
}

}  // namespace

struct Resolver::Question {
  std::string name;
  QueryType type;
  Done done;
  uint32_t tries = 0;
};

struct Resolver::State : std::enable_shared_from_this<Resolver::State> {
  State(asio::io_context& io_context, Clock the_clock) : io(io_context), clock(std::move(the_clock)) {}

  asio::io_context& io;
  Clock clock;
  Dns settings;
  std::vector<std::shared_ptr<Channel>> channels;
  std::array<uint64_t, kDnsOutcomes> outcomes{};
  size_t outstanding = 0;
  bool gone = false;

  void put(std::shared_ptr<Question>, const Channel* but);
  void answered(Channel&, std::shared_ptr<Question>, DnsAnswer, bool silent);
  void finish(const std::shared_ptr<Question>&, DnsAnswer);
};

// One server: its c-ares channel, its sockets as Asio sees them, its health.
class Resolver::Channel : public std::enable_shared_from_this<Resolver::Channel> {
 public:
  explicit Channel(State& state) : state_(state), timer_(state.io) {}
  ~Channel() { close(); }

  Status open(const Dns& settings, const DnsServer* server) {
    ares_options options{};
    // A SERVFAIL or REFUSED is an answer of a server that is well: without NOCHECKRESP it would look like no server.
    options.flags = ARES_FLAG_EDNS | ARES_FLAG_NOCHECKRESP;
    options.timeout = static_cast<int>(settings.timeout.count());
    options.tries = 1;  // who is asked next, State decides
    options.ednspsz = kLargestAnswer;
    options.sock_state_cb = [](void* self, ares_socket_t fd, int readable, int writable) {
      static_cast<Channel*>(self)->watch(fd, readable != 0, writable != 0);
    };
    options.sock_state_cb_data = this;
    const int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_EDNSPSZ | ARES_OPT_SOCK_STATE_CB;
    int status = kLibraryReady ? ares_init_options(&channel_, &options, mask) : ARES_ENOTINITIALIZED;
    if (status == ARES_SUCCESS && server != nullptr) {
      ares_addr_port_node node{};
      node.udp_port = node.tcp_port = server->port;
      node.family = server->address.is_v4() ? AF_INET : AF_INET6;
      if (server->address.is_v4())
        std::memcpy(&node.addr.addr4, &server->address.bytes[12], 4);
      else
        std::memcpy(&node.addr.addr6, server->address.bytes.data(), 16);
      status = ares_set_servers_ports(channel_, &node);
      status_.server = server->address.is_v4() ? fmt::format("{}:{}", wire::to_string(server->address), server->port)
                                               : fmt::format("[{}]:{}", wire::to_string(server->address), server->port);
    } else {
      status_.server = "system";
    }
    if (status == ARES_SUCCESS) return success();
    return Error{fmt::format("dns server {}: {}", status_.server, ares_strerror(status))};
  }

  void close() {
    if (channel_ == nullptr) return;
    timer_.cancel();
    ares_destroy(std::exchange(channel_, nullptr));  // its callbacks end with ARES_EDESTRUCTION
    sockets_.clear();
  }

  void ask(std::shared_ptr<Question> question) {
    ++status_.asked;
    backoff_.trying(state_.clock(), 2 * state_.settings.timeout);
    const std::string name = question->name;
    const int type = static_cast<int>(question->type);
    auto* waiting = new Waiting{weak_from_this(), state_.weak_from_this(), std::move(question)};
    ares_query(channel_, name.c_str(), 1, type, &Channel::on_answer, waiting);
    wind();
  }

  [[nodiscard]] bool ready(Time now) const { return backoff_.ready(now); }
  [[nodiscard]] ServerStatus status(Time now) const {
    ServerStatus status = status_;
    status.aside = !backoff_.ready(now);
    return status;
  }
  void judge(const DnsAnswer& answer, bool silent) {
    if (silent) {
      ++status_.timeouts;
      backoff_.failed(state_.clock());
      return;
    }
    ++(answer.trouble() ? status_.failed : status_.answered);
    backoff_.succeeded();  // it speaks: what it says is its zones' business
  }

 private:
  struct Waiting {
    std::weak_ptr<Channel> channel;
    std::weak_ptr<State> state;
    std::shared_ptr<Question> question;
  };
  struct Socket {
    Socket(asio::io_context& io, int fd) : descriptor(io, fd) {}
    asio::posix::stream_descriptor descriptor;
    bool want_read = false, want_write = false;
    bool reading = false, writing = false;
  };

  // Called within c-ares: what follows is left to the io_context, so that nobody destroys a channel from within.
  static void on_answer(void* argument, int status, int, unsigned char* message, int length) {
    const std::unique_ptr<Waiting> waiting(static_cast<Waiting*>(argument));
    const std::shared_ptr<State> state = waiting->state.lock();
    if (!state || state->gone) return;
    const bool silent = status == ARES_ETIMEOUT || status == ARES_ECONNREFUSED;
    DnsAnswer answer = answer_of(status, message, length, waiting->question->type);
    asio::post(state->io, [state, channel = waiting->channel, question = waiting->question, silent,
                           answer = std::move(answer)]() mutable {
      if (state->gone) return;
      if (const auto here = channel.lock())
        return state->answered(*here, std::move(question), std::move(answer), silent);
      state->put(std::move(question), nullptr);  // its server is no longer configured
    });
  }

  void watch(int fd, bool readable, bool writable) {
    if (!readable && !writable) {
      const auto found = sockets_.find(fd);
      if (found == sockets_.end()) return;
      found->second->descriptor.release();  // c-ares closes it
      sockets_.erase(found);
      return;
    }
    std::shared_ptr<Socket>& socket = sockets_[fd];
    if (!socket) socket = std::make_shared<Socket>(state_.io, fd);
    socket->want_read = readable;
    socket->want_write = writable;
    wait(fd, socket);
  }

  void wait(int fd, const std::shared_ptr<Socket>& socket) {
    if (socket->want_read && !std::exchange(socket->reading, true))
      socket->descriptor.async_wait(asio::posix::descriptor_base::wait_read,
                                    [weak = weak_from_this(), fd, socket](const Failure& failure) {
                                      socket->reading = false;
                                      if (const auto self = weak.lock(); self && !failure)
                                        self->ready(fd, socket, true);
                                    });
    if (socket->want_write && !std::exchange(socket->writing, true))
      socket->descriptor.async_wait(asio::posix::descriptor_base::wait_write,
                                    [weak = weak_from_this(), fd, socket](const Failure& failure) {
                                      socket->writing = false;
                                      if (const auto self = weak.lock(); self && !failure)
                                        self->ready(fd, socket, false);
                                    });
  }

  void ready(int fd, const std::shared_ptr<Socket>& socket, bool to_read) {
    if (channel_ == nullptr) return;
    ares_process_fd(channel_, to_read ? fd : ARES_SOCKET_BAD, to_read ? ARES_SOCKET_BAD : fd);
    const auto found = sockets_.find(fd);
    if (found != sockets_.end() && found->second == socket) wait(fd, socket);
    wind();
  }

  // c-ares says when it wants to look at its clock again.
  void wind() {
    if (channel_ == nullptr) return;
    timeval left{};
    if (ares_timeout(channel_, nullptr, &left) == nullptr) return;
    timer_.expires_after(std::chrono::seconds{left.tv_sec} + std::chrono::microseconds{left.tv_usec} + milliseconds{1});
    timer_.async_wait([weak = weak_from_this()](const Failure& cancelled) {
      const auto self = weak.lock();
      if (cancelled || !self || self->channel_ == nullptr) return;
      ares_process_fd(self->channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
      self->wind();
    });
  }

  State& state_;
  asio::steady_timer timer_;
  ares_channel channel_ = nullptr;
  std::map<int, std::shared_ptr<Socket>> sockets_;
  Backoff backoff_{kPatience, kAsideFirst, kAsideMost};
  ServerStatus status_;
};

// The first server that is not put aside, and rather not the one that was just tried.
void Resolver::State::put(std::shared_ptr<Question> question, const Channel* but) {
  const Time now = clock();
  Channel* chosen = nullptr;
  for (const std::shared_ptr<Channel>& channel : channels) {
    if (!channel->ready(now)) continue;
    if (chosen == nullptr || chosen == but) chosen = channel.get();
  }
  if (chosen == nullptr) {
    DnsAnswer none;
    none.outcome = question->tries == 0 ? DnsOutcome::too_many : DnsOutcome::timeout;
    return finish(question, std::move(none));
  }
  ++question->tries;
  chosen->ask(std::move(question));
}

void Resolver::State::answered(Channel& channel, std::shared_ptr<Question> question, DnsAnswer answer, bool silent) {
  channel.judge(answer, silent);
  if (answer.trouble() && question->tries < kTries) return put(std::move(question), &channel);
  finish(question, std::move(answer));
}

void Resolver::State::finish(const std::shared_ptr<Question>& question, DnsAnswer answer) {
  --outstanding;
  ++outcomes[static_cast<size_t>(answer.outcome)];
  question->done(std::move(answer));
}

Resolver::Resolver(asio::io_context& io, Clock clock) : state_(std::make_shared<State>(io, std::move(clock))) {}

Resolver::~Resolver() {
  state_->gone = true;
  state_->channels.clear();
}

Status Resolver::configure(const Dns& settings) {
  std::vector<std::shared_ptr<Channel>> fresh;
  for (size_t i = 0; i < std::max<size_t>(settings.servers.size(), 1); ++i) {
    auto channel = std::make_shared<Channel>(*state_);
    if (Status opened = channel->open(settings, settings.servers.empty() ? nullptr : &settings.servers[i]); !opened)
      return opened;
    fresh.push_back(std::move(channel));
  }
  state_->settings = settings;
  std::swap(state_->channels, fresh);
  return success();
}

void Resolver::ask(const std::string& name, QueryType type, Done done) {
  auto question = std::make_shared<Question>(Question{name, type, std::move(done)});
  const bool full = state_->outstanding++ >= state_->settings.outstanding;
  asio::post(state_->io, [state = state_, question = std::move(question), full]() mutable {
    if (state->gone) return;
    if (!full) return state->put(std::move(question), nullptr);
    DnsAnswer none;
    none.outcome = DnsOutcome::too_many;
    state->finish(question, std::move(none));
  });
}

std::vector<ServerStatus> Resolver::servers() const {
  std::vector<ServerStatus> all;
  for (const std::shared_ptr<Channel>& channel : state_->channels) all.push_back(channel->status(state_->clock()));
  return all;
}

size_t Resolver::outstanding() const noexcept { return state_->outstanding; }

const std::array<uint64_t, kDnsOutcomes>& Resolver::outcomes() const noexcept { return state_->outcomes; }

}  // namespace mire::lists
