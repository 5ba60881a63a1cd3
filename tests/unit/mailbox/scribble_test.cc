// A mired gone mad: it shakes hands as it should, then writes random bytes over all of the shared memory, indices
// first, from another thread, while the dataplane's end goes on.
#include <sys/mman.h>
#include <sys/socket.h>

#include <atomic>
#include <random>

#include "dataplane/mailbox/hello.h"
#include "dataplane/mailbox/shared_memory.h"
#include "tests/unit/mailbox/support.h"

namespace mire::mailbox {
namespace {

constexpr unsigned kLcores = 2;

class MadMired {
 public:
  MadMired(const std::string& path, DataplaneEnd& dataplane, uint64_t seed)
      : socket_(connect_to(path, SOCK_SEQPACKET).value()) {
    dataplane.service();
    Hello theirs;
    Descriptor fd;
    EXPECT_EQ(receive_hello(socket_.get(), theirs, &fd), Arrived::hello);
    memory_ = SharedMemory::attach(fd.release(), theirs.lcores).value();
    EXPECT_TRUE(send_hello(socket_.get(), own_hello(theirs.lcores)));
    dataplane.service();
    EXPECT_TRUE(dataplane.connected());
    thread_ = std::thread([this, seed] { rave(seed); });
  }
  ~MadMired() {
    stop_ = true;
    thread_.join();
  }

 private:
  void rave(uint64_t seed) {
    std::mt19937_64 chance(seed);
    // Relaxed atomic stores, so that the only madness is in the values.
    auto* words = reinterpret_cast<std::atomic<uint64_t>*>(&memory_->area(0));
    const size_t count = kLcores * sizeof(LcoreArea) / 8;
    while (!stop_) {
      LcoreArea& area = memory_->area(static_cast<unsigned>(chance() % kLcores));
      switch (chance() % 6) {
        case 0: area.up.read.store(chance() >> (chance() % 64), std::memory_order_relaxed); break;
        case 1: area.down.written.store(chance() % (2 * kDownSlots), std::memory_order_relaxed); break;
        case 2: area.up.written.store(chance(), std::memory_order_relaxed); break;
        case 3: area.down.read.store(chance(), std::memory_order_relaxed); break;
        case 4: area.down.slots[0][0].store(chance() % 9, std::memory_order_relaxed); break;
        case 5: (void)::send(socket_.get(), words, chance() % 300, MSG_DONTWAIT | MSG_NOSIGNAL); break;
      }
      for (int i = 0; i < 64; ++i) words[chance() % count].store(chance(), std::memory_order_relaxed);
    }
  }

  Descriptor socket_;
  std::unique_ptr<SharedMemory> memory_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

TEST(Scribble, TheDataplaneGoesOnWhateverMiredWritesIntoTheMemory) {
  const Folder folder;
  auto dataplane = listening(folder.file("s"), kLcores);
  FlowEvent event;
  event.bytes_length = 4;
  uint64_t drops = 0;
  uint64_t offers = 0;
  for (uint64_t round = 0; round < 100; ++round) {
    const MadMired mired(folder.file("s"), *dataplane, round);
    const Time end = MonotonicClock::now() + milliseconds{50};
    while (dataplane->connected() && MonotonicClock::now() < end) {
      dataplane->offer(offers++ % kLcores, event);
      while (dataplane->take()) {
      }
      dataplane->tell_applied(round + 1);
      dataplane->service();
    }
    if (!dataplane->connected()) ++drops;
  }
  EXPECT_GT(drops, 60u) << "a mad mired is dropped, not borne";

  // And a sound one is served as if nothing had been.
  auto mired = connected(folder.file("s"), *dataplane);
  ASSERT_TRUE(mired->send(Begin{77}));
  auto down = dataplane->take();
  ASSERT_TRUE(down);
  EXPECT_EQ(std::get<Begin>(*down).generation, 77u);
  EXPECT_TRUE(dataplane->offer(0, event));
}

}  // namespace
}  // namespace mire::mailbox
