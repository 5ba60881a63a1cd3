// worker.h - one lcore: receives from its queue pair, lets the pipeline judge, sends. Run to completion, nothing
// shared.
//
// Purpose: the packet's walk on a live machine. A frame whose client belongs to another lcore goes there by a ring of
// the two alone. An idle lcore sleeps on its sockets until the next deadline, at most 10 ms; where there are none (a
// NIC, a virtual device) in short naps. It beats its heart so that the eBPF programs know somebody is there. Assumes:
// one thread calls poll() or run(); the control thread uses only what is marked so.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <vector>

#include "dataplane/lcore/fragments.h"
#include "dataplane/lcore/pipeline.h"
#include "dataplane/lcore/queues.h"
#include "dataplane/lcore/transmit.h"
#include "ebpf/wire_state.h"

struct rte_ring;

namespace mire::lcore {

struct WorkerOptions {
  unsigned index = 0;  // of `lcores`
  unsigned lcores = 1;
  uint64_t owner_seed = 0;          // the same on all of them
  std::array<WorkerPort, 2> ports;  // by Side
  ebpf::WireState* wire = nullptr;  // with kernel interfaces
  PipelineOptions pipeline;
  FragmentOptions fragments;
};

struct WorkerCounters {
  std::array<Counter, 2> received;  // by Side
  Counter handed_over;
  Counter hand_over_full;  // the other lcore's ring was full: forwarded unjudged
  Counter scattered;       // a frame in several buffers that could not be joined: forwarded unread
  Counter sleeps;
  Counter woken;     // sleeps that another thread ended
  Counter bypassed;  // changes of the bypass epoch
};

class Worker final : private FragmentJudge, private Transmitter {
 public:
  explicit Worker(const WorkerOptions&);
  ~Worker() override;
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Makes the rings between all lcores of a dataplane. Once, before any of them runs; all of them or none.
  static Status connect(const std::vector<Worker*>& all);

  // Before the first turn.
  void restore(const defer::Survivor& flow, Time now) { pipeline_.restore(flow, now); }

  // One turn: at most a burst from each port. How many frames came.
  size_t poll(Time now);
  // Until Command::stop.
  void run();

  // --- the control thread's side
  [[nodiscard]] EventQueue& events() noexcept { return sink_.queue(); }
  [[nodiscard]] ProfileQueue& profiles() noexcept { return sink_.profiles(); }
  // False: the queue is full, try again.
  bool tell(const Command&);
  [[nodiscard]] const source::Settings* settings_in_use() const noexcept {
    return in_use_.load(std::memory_order_acquire);
  }
  // Commands done so far.
  [[nodiscard]] uint64_t commands_done() const noexcept { return done_.load(std::memory_order_acquire); }
  [[nodiscard]] SourceSlot& sources() noexcept { return sources_; }
  [[nodiscard]] const Counters& pipeline_counters() const noexcept { return pipeline_.counters(); }
  [[nodiscard]] const TransmitCounters& transmit_counters() const noexcept { return transmit_.counters(); }
  [[nodiscard]] const FragmentCounters& fragment_counters() const noexcept { return fragments_.counters(); }
  [[nodiscard]] const WorkerCounters& counters() const noexcept { return counters_; }
  [[nodiscard]] bool sleeps_on_sockets() const noexcept { return sockets_; }

 private:
  bool judge(std::span<uint8_t> frame, Side from) override;
  void forward(rte_mbuf* packet, Side from) override;
  std::span<uint8_t> reserve(Side to, size_t length) override;
  void commit(size_t length) override;

  size_t receive(Side from);
  size_t take_handed_over();
  void admit(rte_mbuf* packet, Side from);
  void hand_over(rte_mbuf* packet, Side from, unsigned owner);
  void add(rte_mbuf* packet, Side from);
  void process();
  void push_decided();
  void obey(const Command&);
  [[nodiscard]] Duration sleep_time(Time now) const;
  void sleep(Time now);
  void wake() noexcept;
  [[nodiscard]] bool work_waits() const noexcept;

  WorkerOptions options_;
  Transmit transmit_;
  QueueSink sink_;
  Pipeline pipeline_;
  Fragments fragments_;
  Burst burst_;
  size_t pushed_ = 0;  // frames of the burst that are on their way out, or freed
  Time now_{};
  uint64_t beaten_ms_ = 0;
  uint64_t expired_ms_ = 0;
  uint64_t epoch_ = 0;
  bool stop_ = false;
  bool sockets_ = false;
  unsigned nap_us_ = 0;

  std::vector<Worker*> all_;
  std::vector<rte_ring*> from_;  // rings towards us, by lcore; nullptr for ourselves
  std::vector<bool> told_;       // lcores to be woken at the end of the turn
  int wake_fd_ = -1;
  std::atomic<bool> asleep_{false};
  std::atomic<bool> missed_{false};  // another lcore could not hand a frame over to us

  CommandQueue commands_;
  std::atomic<const source::Settings*> in_use_{nullptr};
  std::atomic<uint64_t> done_{0};
  SourceSlot sources_;
  WorkerCounters counters_;
};

}  // namespace mire::lcore
