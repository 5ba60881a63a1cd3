#include "dataplane/lcore/worker.h"

#include <fmt/format.h>
#include <poll.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_ring.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>

namespace mire::lcore {
namespace {

constexpr unsigned kEmptyTurnsBeforeSleep = 64;
constexpr Duration kLongestSleep = milliseconds{10};
constexpr unsigned kShortestNapUs = 50, kLongestNapUs = 200;  // where there is no socket to wait on
constexpr unsigned kHandOverSlots = 1024;

Side side_of(const rte_mbuf* packet) noexcept { return static_cast<Side>(packet->port); }

}  // namespace

Worker::Worker(const WorkerOptions& options)
    : options_(options),
      transmit_(options.ports),
      pipeline_(options.pipeline, *this, sink_),
      fragments_(options.fragments, *this) {
  wake_fd_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  sockets_ = options.ports[0].socket >= 0 && options.ports[1].socket >= 0;
  if (options_.wire != nullptr) epoch_ = options_.wire->bypass_epoch();
}

Worker::~Worker() {
  for (rte_ring* ring : from_) {
    if (ring == nullptr) continue;
    void* packet = nullptr;
    while (rte_ring_sc_dequeue(ring, &packet) == 0) rte_pktmbuf_free(static_cast<rte_mbuf*>(packet));
    std::free(ring);
  }
  if (wake_fd_ >= 0) close(wake_fd_);
}

Status Worker::connect(const std::vector<Worker*>& all) {
  const ssize_t size = rte_ring_get_memsize(kHandOverSlots);
  for (Worker* to : all) {
    to->all_ = all;
    to->told_.assign(all.size(), false);
    to->from_.assign(all.size(), nullptr);
    for (size_t from = 0; from < all.size(); ++from) {
      if (all[from] == to) continue;
      // From our own memory: DPDK has room for 2,560 named zones, and 64 lcores need 4,032 rings.
      auto* ring = static_cast<rte_ring*>(std::aligned_alloc(RTE_CACHE_LINE_SIZE, static_cast<size_t>(size)));
      if (ring == nullptr || rte_ring_init(ring, "hand over", kHandOverSlots, RING_F_SP_ENQ | RING_F_SC_DEQ) != 0) {
        std::free(ring);
        return Error{fmt::format("no memory for the rings between {} lcores", all.size())};
      }
      to->from_[from] = ring;
    }
  }
  return success();
}

// --- the packet's walk -----------------------------------------------------------------------------------------------

size_t Worker::poll(Time now) {
  now_ = now;
  const uint64_t ms = to_ms(now);
  if (options_.wire != nullptr) {
    if (ms != beaten_ms_) {
      beaten_ms_ = ms;
      options_.wire->beat(options_.ports[0].queue, now);
    }
    if (const uint64_t epoch = options_.wire->bypass_epoch(); epoch != epoch_) {
      epoch_ = epoch;
      counters_.bypassed.add();
      pipeline_.bypassed();
    }
  }
  Command command;
  while (commands_.pop(command)) obey(command);
  sources_.serve(pipeline_, now);
  if (missed_.load(std::memory_order_relaxed)) [[unlikely]] {
    missed_.store(false, std::memory_order_relaxed);
    pipeline_.went_past();
  }

  if (ms != expired_ms_) {
    expired_ms_ = ms;
    pipeline_.expire(now);
    fragments_.expire(now);
  }
  const size_t received = receive(Side::wan) + receive(Side::lan) + take_handed_over();
  transmit_.flush();
  for (size_t other = 0; other < told_.size(); ++other) {
    if (told_[other]) all_[other]->wake();
    told_[other] = false;
  }
  return received;
}

size_t Worker::receive(Side from) {
  const WorkerPort& port = options_.ports[static_cast<size_t>(from)];
  std::array<rte_mbuf*, kBurst> packets;
  const uint16_t count = rte_eth_rx_burst(port.id, port.queue, packets.data(), kBurst);
  if (count == 0) return 0;
  for (uint16_t i = 0; i < count; ++i) rte_prefetch0(rte_pktmbuf_mtod(packets[i], void*));
  for (uint16_t i = 0; i < count; ++i) admit(packets[i], from);
  process();
  counters_.received[static_cast<size_t>(from)].add(count);
  return count;
}

size_t Worker::take_handed_over() {
  size_t total = 0;
  for (rte_ring* ring : from_) {
    if (ring == nullptr) continue;
    std::array<void*, kBurst> packets;
    const unsigned count = rte_ring_sc_dequeue_burst(ring, packets.data(), kBurst, nullptr);
    for (unsigned i = 0; i < count; ++i) {
      auto* packet = static_cast<rte_mbuf*>(packets[i]);
      add(packet, side_of(packet));
    }
    if (count != 0) process();
    total += count;
  }
  return total;
}

// To the lcore that it belongs to.
void Worker::admit(rte_mbuf* packet, Side from) {
  if (packet->nb_segs > 1 && rte_pktmbuf_linearize(packet) != 0) [[unlikely]] {
    counters_.scattered.add();
    forward(packet, from);
    return;
  }
  if (options_.lcores > 1) {
    const auto client =
        client_of({.data = rte_pktmbuf_mtod(packet, uint8_t*), .length = rte_pktmbuf_data_len(packet), .from = from});
    if (client) {
      const unsigned owner = owner_of(*client, options_.lcores, options_.owner_seed);
      if (owner != options_.index) {
        hand_over(packet, from, owner);
        return;
      }
    }
  }
  add(packet, from);
}

void Worker::hand_over(rte_mbuf* packet, Side from, unsigned owner) {
  packet->port = static_cast<uint16_t>(from);
  if (rte_ring_sp_enqueue(all_[owner]->from_[options_.index], packet) != 0) [[unlikely]] {
    counters_.hand_over_full.add();
    all_[owner]->missed_.store(true, std::memory_order_relaxed);
    forward(packet, from);
    return;
  }
  counters_.handed_over.add();
  told_[owner] = true;
}

void Worker::add(rte_mbuf* packet, Side from) {
  if (fragments_.take(packet, from, now_)) [[unlikely]]
    return;
  burst_.frames[burst_.count++] = {.data = rte_pktmbuf_mtod(packet, uint8_t*),
                                   .length = rte_pktmbuf_data_len(packet),
                                   .from = from,
                                   .fate = Fate::forward,
                                   .owner = packet};
  if (burst_.count == kBurst) process();
}

void Worker::process() {
  if (burst_.count == 0) return;
  pipeline_.process(burst_, now_);
  push_decided();
  burst_.count = burst_.decided = pushed_ = 0;
}

void Worker::push_decided() {
  for (; pushed_ < burst_.decided; ++pushed_) {
    const FrameRef& frame = burst_.frames[pushed_];
    auto* packet = static_cast<rte_mbuf*>(frame.owner);
    switch (frame.fate) {
      case Fate::forward:
        packet->data_len = frame.length;
        packet->pkt_len = frame.length;
        transmit_.push(other(frame.from), packet);
        break;
      case Fate::drop: rte_pktmbuf_free(packet); break;
    }
  }
}

std::span<uint8_t> Worker::reserve(Side to, size_t length) { return transmit_.reserve(to, length); }

void Worker::commit(size_t length) {
  push_decided();
  transmit_.commit(length);
}

// What needs no judgment, behind the frames that came before it: order counts within a flow.
void Worker::forward(rte_mbuf* packet, Side from) {
  process();
  transmit_.push(other(from), packet);
}

// The frames that came before it are judged first here too.
bool Worker::judge(std::span<uint8_t> frame, Side from) {
  process();
  Burst one;
  one.count = 1;
  one.frames[0] = {.data = frame.data(), .length = static_cast<uint16_t>(frame.size()), .from = from};
  pipeline_.process(one, now_);
  return one.frames[0].fate == Fate::forward && one.frames[0].length == frame.size();
}

// --- commands --------------------------------------------------------------------------------------------------------

bool Worker::tell(const Command& command) {
  if (!commands_.push(command)) return false;
  wake();
  return true;
}

void Worker::obey(const Command& command) {
  switch (command.kind) {
    case Command::Kind::use:
      pipeline_.use(command.settings);
      in_use_.store(command.settings, std::memory_order_release);
      break;
    case Command::Kind::release_all:
      pipeline_.release_all(now_);
      transmit_.flush();
      break;
    case Command::Kind::stop: stop_ = true; break;
  }
  done_.fetch_add(1, std::memory_order_release);
}

// --- the loop and its sleep ------------------------------------------------------------------------------------------

void Worker::run() {
  prctl(PR_SET_TIMERSLACK, 1000UL);  // ns: a release is due at its millisecond
  unsigned empty = 0;
  while (!stop_) {
    if (poll(MonotonicClock::now()) != 0) {
      empty = 0;
      nap_us_ = 0;
    } else if (++empty >= kEmptyTurnsBeforeSleep) {
      sleep(now_);
    }
  }
}

Duration Worker::sleep_time(Time now) const {
  const auto deadline = pipeline_.next_deadline(now);
  return deadline ? std::clamp(*deadline - now, Duration{0}, kLongestSleep) : kLongestSleep;
}

void Worker::sleep(Time now) {
  Duration most = sleep_time(now);
  if (most <= Duration{0}) return;
  counters_.sleeps.add();
  if (!sockets_) {
    nap_us_ = nap_us_ == 0 ? kShortestNapUs : std::min(2 * nap_us_, kLongestNapUs);
    most = std::min<Duration>(most, std::chrono::microseconds{nap_us_});
  }
  timespec time{};
  time.tv_nsec = most.count();
  // Who gives us work looks at asleep_ after it has put the work where work_waits() looks after asleep_ is set: one of
  // the two sees the other.
  asleep_.store(true, std::memory_order_seq_cst);
  if (!work_waits()) {
    std::array<pollfd, 3> fds{
        {{wake_fd_, POLLIN, 0}, {options_.ports[0].socket, POLLIN, 0}, {options_.ports[1].socket, POLLIN, 0}}};
    ppoll(fds.data(), sockets_ ? 3 : 1, &time, nullptr);
    if ((fds[0].revents & POLLIN) != 0) {
      counters_.woken.add();
      uint64_t rung = 0;
      [[maybe_unused]] const auto n = read(wake_fd_, &rung, sizeof rung);
    }
  }
  asleep_.store(false, std::memory_order_relaxed);
}

bool Worker::work_waits() const noexcept {
  return commands_.read_available() != 0 || std::any_of(from_.begin(), from_.end(), [](const rte_ring* r) {
           return r != nullptr && rte_ring_empty(r) == 0;
         });
}

void Worker::wake() noexcept {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (!asleep_.load(std::memory_order_relaxed)) return;
  const uint64_t one = 1;
  [[maybe_unused]] const auto n = write(wake_fd_, &one, sizeof one);
}

}  // namespace mire::lcore
