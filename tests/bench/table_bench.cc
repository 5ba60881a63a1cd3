// The flow table filled with its capacity (85 % of all slots): look-ups in bursts of 64 with both prefetch stages, one
// of them left out, and flows exchanged for new ones.
#include <benchmark/benchmark.h>

#include <array>
#include <memory>
#include <random>
#include <vector>

#include "dataplane/base/keyed_hash.h"
#include "dataplane/flow/calendar.h"
#include "dataplane/flow/flow_table.h"
#include "dataplane/hold/banner_pool.h"

namespace mire::bench {
namespace {

using flow::FlowId;
using flow::FlowTable;
using flow::Handle;

constexpr size_t kBurst = 64;

FlowId id_of(uint64_t n, bool ipv6) {
  uint64_t seed = n;
  const uint64_t spread = split_mix(seed);
  FlowId id;
  if (ipv6) {
    std::array<uint8_t, 16> raw{0x20, 0x01, 0x0d, 0xb8};
    std::memcpy(&raw[8], &spread, 8);
    id.client = wire::Address::v6_at(raw.data());
  } else {
    id.client = wire::Address::v4(wire::be32{static_cast<uint32_t>(n)});
  }
  id.port = static_cast<uint16_t>(spread);
  id.server = 1;
  return id;
}

// Filled once for all repetitions: flows [oldest, newest) are in it.
struct Filled {
  uint32_t flows = 0;
  bool ipv6 = false;
  std::unique_ptr<FlowTable> table;
  uint64_t oldest = 0, newest = 0;
  uint64_t refused = 0;
};

Filled& filled(benchmark::State& state, bool ipv6) {
  static Filled f;
  const auto flows = static_cast<uint32_t>(state.range(0));
  if (f.flows == flows && f.ipv6 == ipv6) return f;
  f.table.reset();
  f = {flows, ipv6, std::make_unique<FlowTable>(ipv6 ? 64 : flows, ipv6 ? flows : 64, 64, 1), 0, flows, 0};
  for (uint64_t n = 0; n < flows; ++n) {
    const FlowId id = id_of(n, ipv6);
    f.refused += f.table->insert(id, f.table->probe(id)) == flow::kNoFlow;
  }
  return f;
}

void report(benchmark::State& state, const Filled& f) {
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kBurst));
  const size_t bytes = f.ipv6 ? f.table->bytes_v6() : f.table->bytes_v4();
  state.counters["bytes_per_flow"] = static_cast<double>(bytes) / static_cast<double>(f.flows);
  state.counters["refused"] = static_cast<double>(f.refused);
}

enum class Stages { all, first_only, none };

void stages_after_the_first(const FlowTable& table, const std::array<FlowTable::Probe, kBurst>& probes) {
  std::array<const FlowTable::Probe*, kBurst> elsewhere;
  size_t n = 0;
  for (const auto& p : probes)
    if (table.prefetch_record(p) == flow::kNoFlow) elsewhere[n++] = &p;
  for (size_t i = 0; i < n; ++i) table.prefetch_elsewhere(*elsewhere[i]);
}

void look_up(benchmark::State& state, bool ipv6, Stages stages) {
  Filled& f = filled(state, ipv6);
  std::mt19937_64 rng(2);
  std::vector<FlowId> ids(kBurst * 1024);  // drawn ahead: what is timed is the table
  for (auto& id : ids) id = id_of(f.oldest + rng() % (f.newest - f.oldest), ipv6);
  std::array<FlowTable::Probe, kBurst> probes;
  size_t at = 0;
  uint64_t found = 0;
  for (auto _ : state) {
    const FlowId* burst = &ids[at];
    at = (at + kBurst) % ids.size();
    for (size_t i = 0; i < kBurst; ++i) probes[i] = f.table->probe(burst[i]);
    if (stages != Stages::none)
      for (const auto& p : probes) f.table->prefetch(p);
    if (stages == Stages::all) stages_after_the_first(*f.table, probes);
    for (size_t i = 0; i < kBurst; ++i) {
      const Handle h = f.table->find(burst[i], probes[i]);
      if (h == flow::kNoFlow) continue;
      ++found;
      (*f.table)[h].set_seen_second(at);
    }
  }
  report(state, f);
  state.counters["found"] = static_cast<double>(found) / static_cast<double>(state.iterations() * kBurst);
}

// The oldest go, as many new ones come. What the table refuses is counted.
void exchange(benchmark::State& state, bool ipv6) {
  Filled& f = filled(state, ipv6);
  std::array<FlowId, kBurst> out, in;
  std::array<FlowTable::Probe, kBurst> out_probes, in_probes;
  for (auto _ : state) {
    for (size_t i = 0; i < kBurst; ++i) {
      out[i] = id_of(f.oldest++, ipv6);
      in[i] = id_of(f.newest++, ipv6);
      out_probes[i] = f.table->probe(out[i]);
      in_probes[i] = f.table->probe(in[i]);
    }
    for (size_t i = 0; i < kBurst; ++i) {
      f.table->prefetch(out_probes[i]);
      f.table->prefetch(in_probes[i]);
    }
    stages_after_the_first(*f.table, out_probes);
    stages_after_the_first(*f.table, in_probes);
    for (size_t i = 0; i < kBurst; ++i) {
      if (const Handle h = f.table->find(out[i], out_probes[i]); h != flow::kNoFlow) f.table->erase(h);
      if (f.table->find(in[i], in_probes[i]) != flow::kNoFlow) continue;
      f.refused += f.table->insert(in[i], in_probes[i]) == flow::kNoFlow;
    }
  }
  report(state, f);
}

// Bytes for each held flow of a lcore that is made for N of them and full (85 % of all slots): no time in it.
void memory(benchmark::State& state, bool ipv6) {
  const auto n = static_cast<uint32_t>(state.range(0));
  const flow::Calendar calendar(n);
  const FlowTable flows(ipv6 ? 0 : n, ipv6 ? n : 0, n / 8, 1);
  const hold::BannerPool banners(8u << 20, 1);
  for (auto _ : state) benchmark::DoNotOptimize(&flows);
  const auto per_flow = [n](size_t bytes) { return static_cast<double>(bytes) / n; };
  const double table = per_flow(ipv6 ? flows.bytes_v6() : flows.bytes_v4()), leash = per_flow(flows.bytes_leash());
  state.counters["table"] = table;
  state.counters["leash"] = leash;
  state.counters["calendar"] = per_flow(calendar.bytes());
  state.counters["banners"] = per_flow(banners.bytes_all());
  state.counters["all"] = table + leash + per_flow(calendar.bytes()) + per_flow(banners.bytes_all());
}

void sizes(benchmark::internal::Benchmark* b) { b->Arg(10'000)->Arg(1'000'000)->Arg(10'000'000); }

BENCHMARK_CAPTURE(memory, v4, false)->Apply(sizes)->Iterations(1);
BENCHMARK_CAPTURE(memory, v6, true)->Apply(sizes)->Iterations(1);
BENCHMARK_CAPTURE(look_up, v4, false, Stages::all)->Apply(sizes);
BENCHMARK_CAPTURE(look_up, v4_first_stage_only, false, Stages::first_only)->Apply(sizes);
BENCHMARK_CAPTURE(look_up, v4_no_prefetch, false, Stages::none)->Apply(sizes);
BENCHMARK_CAPTURE(exchange, v4, false)->Apply(sizes);
BENCHMARK_CAPTURE(look_up, v6, true, Stages::all)->Arg(10'000)->Arg(1'000'000);
BENCHMARK_CAPTURE(exchange, v6, true)->Arg(10'000)->Arg(1'000'000);

}  // namespace
}  // namespace mire::bench
