#include "dataplane/mailbox/dataplane_end.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <deque>
#include <utility>
#include <variant>
#include <vector>

#include "dataplane/base/time.h"
#include "dataplane/mailbox/hello.h"
#include "dataplane/mailbox/shared_memory.h"
#include "dataplane/mailbox/unix_socket.h"

namespace mire::mailbox {
namespace {
constexpr int kAcceptsAtOnce = 8;
constexpr Duration kHelloPatience = seconds{1};  // a silent newcomer keeps others out no longer than this

// It can fail: a user's watches are limited (epoll(7)).
Status watch(const Descriptor& epoll, int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &event) == 0) return success();
  return Error{fmt::format("mailbox: epoll: {}; raise fs.epoll.max_user_watches", std::strerror(errno))};
}
}  // namespace

class DataplaneEnd::Impl {
 public:
  Impl(Listener listener, Descriptor epoll, unsigned lcores, std::optional<uid_t> also_uid)
      : listener_(std::move(listener)), epoll_(std::move(epoll)), lcores_(lcores), also_uid_(also_uid) {
    spare_ = Descriptor(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  }

  [[nodiscard]] int poll_fd() const noexcept { return epoll_.get(); }
  [[nodiscard]] bool connected() const noexcept { return peer_ && peer_->greeted; }
  [[nodiscard]] uint64_t events_lost() const noexcept { return lost_; }
  [[nodiscard]] uint64_t connections() const noexcept { return connections_; }
  std::string take_error() { return std::exchange(error_, {}); }

  void service() {
    takes_left_ = kDownSlots;
    if (peer_) hear();
    accept_some();
    if (!connected()) return;
    if (reply_ && push(0, *reply_)) reply_.reset();
    if (connected() && untold_ > 0 && push(0, Lost{untold_})) untold_ = 0;
    if (connected() && std::exchange(news_, false) && !ring_doorbell(peer_->socket.get())) drop("mired is gone");
  }

  bool offer(unsigned lcore, const FlowEvent& event) {
    MIRE_ASSERT(lcore < lcores_);
    if (connected() && push(lcore, event)) return true;
    add_lost(1);
    return false;
  }

  bool offer(const Profile& profile) { return connected() && push(0, profile); }

  void add_lost(uint64_t count) noexcept {
    lost_ += count;
    untold_ += count;
  }

  std::optional<Down> take() {
    if (!connected() || takes_left_ == 0) return {};
    if (takes_left_ == kDownSlots && !empty_doorbells(peer_->socket.get())) {
      drop("mired is gone; going on without it");
      return {};
    }
    DownMessage message;
    const RingResult popped = peer_->down.pop(message);
    if (popped == RingResult::nothing) return {};
    if (popped == RingResult::peer_broken) {
      drop("mired broke its ring; dropped it");
      return {};
    }
    --takes_left_;
    news_ = true;  // there is room again
    Result<Down> down = decode(message);
    if (down) return std::move(down).value();
    drop(fmt::format("mired sent nonsense: {}; dropped it", down.error()));
    return {};
  }

  bool tell(Up reply) {
    if (!connected()) return false;
    if (push(0, reply)) {
      reply_.reset();  // an older one that still waited is history
      return true;
    }
    if (!connected()) return false;
    reply_ = std::move(reply);
    return true;
  }

 private:
  // What is no event, in ring 0 like all that concerns the whole box: an unread one is no lost event.
  struct Answer {
    uint64_t position = 0;
    uint64_t lost = 0;  // told by a Lost
  };

  struct Connection {
    Descriptor socket;
    std::unique_ptr<SharedMemory> memory;
    std::vector<RingProducer<UpRing>> up;  // by lcore
    RingConsumer<DownRing> down;
    bool greeted = false;
    Time since;
    Peer who;
    std::deque<Answer> answers;  // perhaps unread yet, oldest first
  };

  bool push(unsigned lcore, const Up& up) {
    const RingResult pushed = peer_->up[lcore].push(encode(up));
    if (pushed == RingResult::peer_broken) drop("mired broke its ring; dropped it");
    if (pushed != RingResult::done) return false;
    news_ = true;
    const auto* lost = std::get_if<Lost>(&up);
    if (!std::holds_alternative<FlowEvent>(up)) {
      forget_read_answers(peer_->up[0].unread());
      peer_->answers.push_back({peer_->up[lcore].written() - 1, lost != nullptr ? lost->count : 0});
    }
    return true;
  }

  void forget_read_answers(uint64_t unread) {
    const uint64_t read = peer_->up[0].written() - unread;
    while (!peer_->answers.empty() && peer_->answers.front().position < read) peer_->answers.pop_front();
  }

  // What lies unread in the rings will never be read: events are lost, and a number that was told to nobody is told
  // again.
  void count_unread() {
    // Ring 0's number is read once: the peer can change it between two looks.
    uint64_t unread = peer_->up[0].unread();
    forget_read_answers(unread);
    MIRE_ASSERT(peer_->answers.size() <= unread);
    unread -= peer_->answers.size();
    for (const Answer& answer : peer_->answers) untold_ += answer.lost;
    for (unsigned lcore = 1; lcore < lcores_; ++lcore) unread += peer_->up[lcore].unread();
    add_lost(unread);
  }

  void drop(std::string why) {
    const std::string line = fmt::format("{} (pid {})", why, peer_->who.pid);
    if (peer_->greeted) {
      count_unread();
      error_ = line;
    } else {
      say_once(line);
    }
    peer_.reset();  // closing the socket takes it out of the epoll set
    reply_.reset();
    news_ = false;
  }

  // Of one who was turned away: it comes again every 200 ms.
  void say_once(const std::string& line) {
    if (std::exchange(said_, line) != line) error_ = line;
  }

  void hear() {
    if (peer_->greeted) {
      if (hung_up(peer_->socket.get())) drop("mired is gone; going on without it");
      return;
    }
    Hello theirs;
    switch (receive_hello(peer_->socket.get(), theirs, nullptr)) {
      case Arrived::nothing: return;
      case Arrived::closed: return drop("mired left before its hello");
      case Arrived::garbage: return drop("a peer sent something other than a hello; dropped it");
      case Arrived::hello: break;
    }
    if (Status same = compare(theirs, lcores_); !same) return drop(fmt::format("refused a mired: {}", same.error()));
    peer_->greeted = true;
    said_.clear();
    ++connections_;
  }

  void accept_some() {
    for (int i = 0; i < kAcceptsAtOnce; ++i) {
      Descriptor socket(::accept4(listener_.fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!socket.open() && (errno == EMFILE || errno == ENFILE)) {
        shed_one();
        continue;
      }
      if (!socket.open()) return;
      welcome(std::move(socket));
    }
  }

  // Out of descriptors: turn the newcomer away rather than be woken for it without end.
  void shed_one() {
    spare_.close();
    Descriptor(::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC)).close();
    spare_ = Descriptor(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    error_ = "no descriptor for a mired; raise the limit of open files";
  }

  void welcome(Descriptor socket) {
    const Peer who = peer_of(socket.get());
    if (who.uid != 0 && who.uid != ::geteuid() && (!also_uid_ || who.uid != *also_uid_)) {
      say_once(fmt::format("refused a mired of user {} (pid {}); run it as root or as this dataplane's user", who.uid,
                           who.pid));
      return;
    }
    if (peer_ && !peer_->greeted && MonotonicClock::now() - peer_->since > kHelloPatience)
      drop("a mired never said hello");
    if (peer_) {
      Hello refusal = own_hello(lcores_);
      refusal.refused = 1;
      (void)send_hello(socket.get(), refusal);  // if it does not arrive, the closing says it too
      say_once(fmt::format("refused a second mired (pid {}); pid {} is connected", who.pid, peer_->who.pid));
      return;
    }
    Result<std::unique_ptr<SharedMemory>> memory = SharedMemory::create(lcores_);
    if (!memory) {
      error_ = memory.error();
      return;
    }
    if (Status watched = watch(epoll_, socket.get()); !watched) {
      say_once(fmt::format("refused a mired (pid {}): {}", who.pid, watched.error()));
      return;
    }
    if (!send_hello(socket.get(), own_hello(lcores_), memory.value()->fd())) return;
    std::unique_ptr<SharedMemory> mapped = std::move(memory).value();
    RingConsumer<DownRing> down(&mapped->area(0).down);
    std::vector<RingProducer<UpRing>> up;
    for (unsigned lcore = 0; lcore < lcores_; ++lcore) up.emplace_back(&mapped->area(lcore).up);
    peer_.emplace(
        Connection{std::move(socket), std::move(mapped), std::move(up), down, false, MonotonicClock::now(), who, {}});
  }

  Listener listener_;
  Descriptor epoll_;
  Descriptor spare_;
  unsigned lcores_;
  std::optional<uid_t> also_uid_;
  std::optional<Connection> peer_;
  std::optional<Up> reply_;  // waits for room
  std::string error_;
  std::string said_;  // of the last one that was turned away
  uint64_t connections_ = 0;
  uint64_t lost_ = 0;
  uint64_t untold_ = 0;
  uint32_t takes_left_ = 0;
  bool news_ = false;
};

DataplaneEnd::DataplaneEnd(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
DataplaneEnd::~DataplaneEnd() = default;

Result<std::unique_ptr<DataplaneEnd>> DataplaneEnd::listen(const std::string& socket_path, unsigned lcores,
                                                           std::optional<uid_t> also_uid) {
  if (lcores < 1 || lcores > kMaxLcores)
    return Error{fmt::format("mailbox: {} lcores; use 1 to {}", lcores, kMaxLcores)};
  Result<Listener> listener = Listener::open(socket_path, SOCK_SEQPACKET, 0600, "mire-dataplane");
  if (!listener) return Error{listener.error()};
  Descriptor epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.open())
    return Error{fmt::format("mailbox: epoll: {}; check the limit of open files", std::strerror(errno))};
  if (Status watched = watch(epoll, listener.value().fd()); !watched) return Error{watched.error()};
  auto impl = std::make_unique<Impl>(std::move(listener).value(), std::move(epoll), lcores, also_uid);
  return std::unique_ptr<DataplaneEnd>(new DataplaneEnd(std::move(impl)));
}

int DataplaneEnd::poll_fd() const noexcept { return impl_->poll_fd(); }
void DataplaneEnd::service() { impl_->service(); }
bool DataplaneEnd::connected() const noexcept { return impl_->connected(); }
bool DataplaneEnd::offer(unsigned lcore, const FlowEvent& event) { return impl_->offer(lcore, event); }
bool DataplaneEnd::offer(const Profile& profile) { return impl_->offer(profile); }
void DataplaneEnd::add_lost(uint64_t count) noexcept { impl_->add_lost(count); }
uint64_t DataplaneEnd::events_lost() const noexcept { return impl_->events_lost(); }
std::optional<Down> DataplaneEnd::take() { return impl_->take(); }
bool DataplaneEnd::tell_applied(uint64_t generation) { return impl_->tell(Applied{generation}); }
bool DataplaneEnd::tell_refused(uint64_t generation, const std::string& text) {
  return impl_->tell(Refused{generation, text});
}
uint64_t DataplaneEnd::connections() const noexcept { return impl_->connections(); }
std::string DataplaneEnd::take_error() { return impl_->take_error(); }

}  // namespace mire::mailbox
