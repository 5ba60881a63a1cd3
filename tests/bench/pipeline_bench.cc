// The whole tarpit logic of one lcore, with N flows held all the while: what docs/performance.md promises.
//
// Time is made, not read: bursts follow each other as fast as N flows with holds of 10 to 30 s (20 s on average) and
// eight packets a flow need. A connection is a SYN, its SYN-ACK, the ACK and the greeting (10 ms apart, so that nothing
// of it is left in a cache), its release, and the client's RST. Frames are made ahead of time, eight bursts at once
// (which a cache holds, as after a receive), and only the pipeline's calls are timed (CPU time of the thread).
#include <benchmark/benchmark.h>
#include <time.h>

#include <algorithm>
#include <deque>
#include <fstream>
#include <memory>
#include <random>

#include "dataplane/base/assert.h"
#include "dataplane/lcore/pipeline.h"
#include "tests/bench/traffic.h"

namespace mire::bench {
namespace {

using lcore::Burst;
using lcore::Pipeline;
using policy::Reason;
using policy::State;

constexpr uint32_t kMeanHoldMs = 20'000;
constexpr uint64_t kStepMs = 10;  // between the packets of a handshake
constexpr size_t kAtOnce = 8;

class Counting final : public lcore::EventSink {
 public:
  bool offer(const mailbox::FlowEvent& e) override {
    benchmark::DoNotOptimize(&e);
    return true;
  }
};

double cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

lcore::PipelineOptions options_for(uint32_t flows, bool ipv6) {
  lcore::PipelineOptions o;
  o.sizes.flows_v4 = ipv6 ? 64 : flows;
  o.sizes.flows_v6 = ipv6 ? flows : 64;
  o.sizes.sources = flows / 4;
  o.sizes.dialogues = 64;
  o.sizes.servers = 64;
  o.sizes.paths = 64;
  o.sizes.banner_bytes = 1u << 20;
  o.seed = 7;
  return o;
}

struct Shape {
  size_t begun;  // connections a burst; each has four packets
  size_t kept;   // packets of held flows a burst
  size_t ended;  // RSTs of released flows a burst, if there are as many
};
constexpr Shape kMixed{8, 24, 8};         // half new connections, half packets of known ones
constexpr Shape kConnections{12, 0, 16};  // nothing but connections begun, released and ended

// The load in steady state.
class Load {
 public:
  Load(uint32_t held, bool ipv6, Shape shape)
      : held_(held),
        shape_(shape),
        before_(resident()),
        traffic_(std::max(held / 4, 1u), uint64_t{held} * 2 + 65'536, ipv6),
        pipeline_(options_for(held + held / 64 + 64, ipv6), traffic_, events_) {
    auto& unknown = settings_.treatments[static_cast<size_t>(policy::SourceClass::unknown)];
    unknown.withhold = policy::Withhold::banner;
    unknown.greeting = {10'000, 30'000};
    pipeline_.use(&settings_);
    pipeline_.expire(now_);
    burst_ns_ = static_cast<int64_t>(kMeanHoldMs * 1e6 * static_cast<double>(shape.begun) / held);
    lag_ = std::max<uint64_t>(1, kStepMs * 1'000'000 / static_cast<uint64_t>(burst_ns_)) * shape.begun;
    bursts_.resize(kAtOnce);
    // The first flows are begun over 20 s of their own time, then everything is exchanged once more.
    while (now_ < Time{seconds{1060}}) run();
  }

  // Some bursts: made, then timed. Returns the CPU seconds.
  double run() {
    traffic_.clear();
    for (Burst& b : bursts_) make(b);
    const double begun = cpu_seconds();
    for (Burst& b : bursts_) {
      now_ += Duration{burst_ns_};
      pipeline_.process(b, now_);
      pipeline_.expire(now_);
    }
    const double took = cpu_seconds() - begun;
    for (const Connection c : traffic_.take_released()) released_.push_back(c);
    packets_ = 0;
    for (const Burst& b : bursts_) packets_ += b.count;
    return took;
  }

  // Of the pipeline and of this load's own books (about a megabyte).
  [[nodiscard]] double resident_growth() const { return resident() - before_; }
  [[nodiscard]] size_t packets() const noexcept { return packets_; }
  [[nodiscard]] uint64_t released() const noexcept { return traffic_.released(); }
  [[nodiscard]] const Pipeline& pipeline() const noexcept { return pipeline_; }
  [[nodiscard]] uint64_t flows(State s) const { return pipeline_.counters().flows[static_cast<size_t>(s)]; }
  [[nodiscard]] uint64_t reason(Reason r) const { return pipeline_.counters().reasons[static_cast<size_t>(r)]; }

 private:
  void make(Burst& b) {
    b.count = 0;
    for (size_t i = 0; i < shape_.begun; ++i) {
      const Connection c = next_++;
      traffic_.begin(c);
      // Once, in the very beginning, there is nobody to answer.
      if (c > lag_) traffic_.syn_ack(b, c - lag_);
      if (c > 2 * lag_) traffic_.proof(b, c - 2 * lag_);
      if (c > 3 * lag_) traffic_.greeting(b, c - 3 * lag_);
      traffic_.syn(b, c);
    }
    for (size_t i = 0; i < shape_.ended && !released_.empty(); ++i) {
      traffic_.reset(b, released_.front());
      released_.pop_front();
    }
    for (size_t i = 0; i < shape_.kept && b.count < lcore::kBurst; ++i)
      if (const Connection c = somebody(); c != 0) traffic_.keepalive(b, c);
    std::shuffle(b.frames.begin(), b.frames.begin() + static_cast<ptrdiff_t>(b.count), chance_);
  }

  // A connection that is held, at random.
  Connection somebody() {
    const uint64_t young = 4 * lag_ + 2 * bursts_.size() * shape_.begun;
    if (next_ <= young + held_ / 2) return 0;
    const uint64_t oldest = next_ > held_ + held_ / 2 ? next_ - held_ - held_ / 2 : 1;
    for (;;) {
      const Connection c = oldest + chance_() % (next_ - young - oldest);
      if (traffic_.held(c)) return c;
    }
  }

  // Bytes of memory that the kernel has given this process.
  static double resident() {
    std::ifstream statm("/proc/self/statm");
    double total = 0, pages = 0;
    statm >> total >> pages;
    return pages * 4096;
  }

  uint32_t held_;
  Shape shape_;
  double before_;
  Counting events_;
  Traffic traffic_;
  source::Settings settings_;
  Pipeline pipeline_;
  Time now_{seconds{1000}};
  int64_t burst_ns_ = 0;
  uint64_t lag_ = 0;
  Connection next_ = 1;
  std::deque<Connection> released_;
  std::vector<Burst> bursts_;
  std::mt19937_64 chance_{1};
  size_t packets_ = 0;
};

void run(benchmark::State& state, Load& load) {
  uint64_t packets = 0;
  const uint64_t released = load.released();
  double seconds_used = 0;
  for (auto _ : state) {
    const double took = load.run();
    state.SetIterationTime(took);
    seconds_used += took;
    packets += load.packets();
  }
  const auto total = static_cast<double>(packets);
  state.counters["ns_per_packet"] = seconds_used * 1e9 / total;
  state.counters["connections_per_s"] = static_cast<double>(load.released() - released) / seconds_used;
  state.counters["held"] = static_cast<double>(load.flows(State::banner_held));
  state.counters["resident_per_held"] = load.resident_growth() / static_cast<double>(load.flows(State::banner_held));
  state.counters["unjudged"] =
      static_cast<double>(load.reason(Reason::table_full) + load.reason(Reason::calendar_full));
  state.SetItemsProcessed(static_cast<int64_t>(packets));
}

// Filling ten million flows takes a while: once for all repetitions of a benchmark.
Load& load_of(uint32_t held, bool ipv6, Shape shape) {
  struct Last {
    uint32_t held = 0;
    bool ipv6 = false;
    size_t begun = 0;
    std::unique_ptr<Load> load;
  };
  static Last last;
  if (!last.load || last.held != held || last.ipv6 != ipv6 || last.begun != shape.begun) {
    last.load.reset();
    last = {held, ipv6, shape.begun, std::make_unique<Load>(held, ipv6, shape)};
  }
  return *last.load;
}

void Pipeline_MixedV4(benchmark::State& state) {
  run(state, load_of(static_cast<uint32_t>(state.range(0)), false, kMixed));
}
void Pipeline_MixedV6(benchmark::State& state) {
  run(state, load_of(static_cast<uint32_t>(state.range(0)), true, kMixed));
}
void Pipeline_ConnectionsV4(benchmark::State& state) {
  run(state, load_of(static_cast<uint32_t>(state.range(0)), false, kConnections));
}

BENCHMARK(Pipeline_MixedV4)
    ->Arg(10'000)
    ->Arg(1'000'000)
    ->Arg(10'000'000)
    ->UseManualTime()
    ->Unit(benchmark::kMicrosecond);
BENCHMARK(Pipeline_MixedV6)->Arg(10'000)->Arg(1'000'000)->UseManualTime()->Unit(benchmark::kMicrosecond);
BENCHMARK(Pipeline_ConnectionsV4)
    ->Arg(10'000)
    ->Arg(1'000'000)
    ->Arg(10'000'000)
    ->UseManualTime()
    ->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace mire::bench
