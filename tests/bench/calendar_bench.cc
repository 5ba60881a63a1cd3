// Timers: armed at random up to 30 s ahead while N are armed, and ended with their flow touched.
#include <benchmark/benchmark.h>
#include <time.h>

#include <memory>
#include <random>
#include <vector>

#include "dataplane/flow/calendar.h"
#include "dataplane/flow/flow_table.h"

namespace mire::bench {
namespace {

constexpr uint64_t kLongestMs = 30'000;
constexpr uint64_t kNow = 1'000'000;

double cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

// N timers armed evenly over 30 s, and as many flows whose places in their table have nothing to do with the deadlines.
struct Armed {
  explicit Armed(uint32_t n) : calendar(n), flows(n, 64, 64, 1), chance(1) {
    calendar.start(kNow);
    for (uint32_t i = 0; i < n; ++i) {
      flow::FlowId id;
      id.client = wire::Address::v4(wire::be32{i});
      id.server = 1;
      const flow::Handle h = flows.insert(id, flows.probe(id));
      if (h != flow::kNoFlow) armed += calendar.arm(h, kNow + 1 + chance() % kLongestMs);
    }
  }
  flow::Calendar calendar;
  flow::FlowTable flows;
  std::mt19937_64 chance;
  uint64_t armed = 0;
  uint64_t touched = 0;
};

Armed& armed_of(uint32_t n) {
  static uint32_t size = 0;
  static std::unique_ptr<Armed> all;
  if (size != n) {
    all.reset();
    all = std::make_unique<Armed>(n);
    size = n;
  }
  return *all;
}

// One millisecond after the other: what is due is ended with its flow touched, then armed anew (timed apart).
void calendar(benchmark::State& state, bool time_arming) {
  Armed& a = armed_of(static_cast<uint32_t>(state.range(0)));
  std::vector<uint32_t> due;
  std::vector<uint64_t> when;
  uint64_t ended = 0;
  for (auto _ : state) {
    due.clear();
    const double begun = cpu_seconds();
    const uint64_t until = a.calendar.now_ms() + 100;
    a.calendar.expire(
        until,
        [&](uint32_t h, uint64_t) {
          due.push_back(h);
          if (a.flows.used(h)) a.touched += ++a.flows[h].word_a;
        },
        [&](uint32_t h) { a.flows.prefetch_at(h); });
    const double expired = cpu_seconds();
    when.resize(due.size());
    for (auto& ms : when) ms = until + 1 + a.chance() % kLongestMs;
    const double drawn = cpu_seconds();
    for (size_t i = 0; i < due.size(); ++i) benchmark::DoNotOptimize(a.calendar.arm(due[i], when[i]));
    const double armed = cpu_seconds();
    state.SetIterationTime(time_arming ? armed - drawn : expired - begun);
    ended += due.size();
  }
  state.SetItemsProcessed(static_cast<int64_t>(ended));
  state.counters["bytes_per_timer"] = static_cast<double>(a.calendar.bytes()) / static_cast<double>(state.range(0));
}

void sizes(benchmark::internal::Benchmark* b) {
  b->Arg(10'000)->Arg(1'000'000)->Arg(10'000'000)->UseManualTime()->Unit(benchmark::kMicrosecond);
}
BENCHMARK_CAPTURE(calendar, arm, true)->Apply(sizes);
BENCHMARK_CAPTURE(calendar, expire, false)->Apply(sizes);

}  // namespace
}  // namespace mire::bench
