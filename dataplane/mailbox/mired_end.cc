#include "dataplane/mailbox/mired_end.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <utility>
#include <vector>

#include "dataplane/mailbox/hello.h"
#include "dataplane/mailbox/shared_memory.h"
#include "dataplane/mailbox/unix_socket.h"

namespace mire::mailbox {

class MiredEnd::Impl {
 public:
  explicit Impl(Descriptor socket) noexcept : socket_(std::move(socket)) {}

  [[nodiscard]] int fd() const noexcept { return socket_.get(); }
  [[nodiscard]] unsigned lcores() const noexcept { return lcores_; }
  [[nodiscard]] uint32_t dataplane_pid() const noexcept { return pid_; }
  [[nodiscard]] const std::string& error() const noexcept { return error_; }

  Condition service() {
    if (condition_ == Condition::greeting) greet();
    if (condition_ != Condition::connected) return condition_;
    for (uint32_t& left : receives_left_) left = kUpSlots;
    bells_waiting_ = true;
    if (hung_up(socket_.get())) gone_ = true;
    if (std::exchange(news_, false) && !ring_doorbell(socket_.get())) gone_ = true;
    if (gone_ && drained()) fail("the dataplane is gone");
    return condition_;
  }

  bool send(const Down& message) {
    if (condition_ != Condition::connected || gone_) return false;
    const RingResult pushed = down_->push(encode(message));
    if (pushed == RingResult::peer_broken) fail("the dataplane broke its ring");
    if (pushed == RingResult::done) news_ = true;
    return pushed == RingResult::done;
  }

  std::optional<Up> receive() {
    if (condition_ != Condition::connected) return {};
    if (std::exchange(bells_waiting_, false) && !empty_doorbells(socket_.get())) gone_ = true;
    for (unsigned tried = 0; condition_ == Condition::connected && tried < lcores_; ++tried) {
      const unsigned lcore = next_;
      UpMessage message;
      const RingResult popped = receives_left_[lcore] > 0 ? up_[lcore].pop(message) : RingResult::nothing;
      if (popped == RingResult::peer_broken) {
        fail("the dataplane broke its ring");
        return {};
      }
      if (popped == RingResult::nothing) {
        next_ = (next_ + 1) % lcores_;
        continue;
      }
      --receives_left_[lcore];
      Result<Up> up = decode(message);
      if (up) return std::move(up).value();
      fail(fmt::format("the dataplane sent nonsense: {}", up.error()));
    }
    return {};
  }

 private:
  void greet() {
    Hello theirs;
    Descriptor memory;
    switch (receive_hello(socket_.get(), theirs, &memory)) {
      case Arrived::nothing: return;
      case Arrived::closed: return fail("the dataplane closed the connection");
      case Arrived::garbage: return fail("what listens there sent something other than a hello");
      case Arrived::hello: break;
    }
    if (Status same = compare(theirs, theirs.lcores); !same) {
      (void)send_hello(socket_.get(), own_hello(theirs.lcores));  // so that its log names both versions too
      return fail(same.error());
    }
    if (theirs.refused != 0) return fail("another mired is connected to it; stop that one first");
    Result<std::unique_ptr<SharedMemory>> mapped = SharedMemory::attach(memory.release(), theirs.lcores);
    if (!mapped) return fail(mapped.error());
    memory_ = std::move(mapped).value();
    lcores_ = theirs.lcores;
    pid_ = theirs.pid;
    for (unsigned lcore = 0; lcore < lcores_; ++lcore) up_.emplace_back(&memory_->area(lcore).up);
    down_.emplace(&memory_->area(0).down);
    receives_left_.assign(lcores_, kUpSlots);
    if (!send_hello(socket_.get(), own_hello(lcores_))) return fail("the dataplane closed the connection");
    condition_ = Condition::connected;
  }

  void fail(std::string why) {
    condition_ = Condition::over;
    error_ = std::move(why);
  }

  // A dataplane that died may have left events: they are read before the connection is over.
  [[nodiscard]] bool drained() const noexcept {
    for (const auto& ring : up_)
      if (!ring.empty()) return false;
    return true;
  }

  Descriptor socket_;
  std::unique_ptr<SharedMemory> memory_;
  std::vector<RingConsumer<UpRing>> up_;  // by lcore
  std::vector<uint32_t> receives_left_;   // by lcore
  std::optional<RingProducer<DownRing>> down_;
  Condition condition_ = Condition::greeting;
  std::string error_;
  unsigned lcores_ = 0;
  unsigned next_ = 0;
  uint32_t pid_ = 0;
  bool news_ = false;
  bool bells_waiting_ = false;
  bool gone_ = false;
};

MiredEnd::MiredEnd(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
MiredEnd::~MiredEnd() = default;

Result<std::unique_ptr<MiredEnd>> MiredEnd::connect(const std::string& socket_path) {
  Result<Descriptor> socket = connect_to(socket_path, SOCK_SEQPACKET);
  if (!socket) return Error{socket.error()};
  return std::unique_ptr<MiredEnd>(new MiredEnd(std::make_unique<Impl>(std::move(socket).value())));
}

int MiredEnd::fd() const noexcept { return impl_->fd(); }
MiredEnd::Condition MiredEnd::service() { return impl_->service(); }
unsigned MiredEnd::lcores() const noexcept { return impl_->lcores(); }
uint32_t MiredEnd::dataplane_pid() const noexcept { return impl_->dataplane_pid(); }
bool MiredEnd::send(const Down& message) { return impl_->send(message); }
std::optional<Up> MiredEnd::receive() { return impl_->receive(); }
const std::string& MiredEnd::error() const noexcept { return impl_->error(); }

}  // namespace mire::mailbox
