// A frame becomes headers: plain IPv4, one VLAN tag, IPv6; and what checking a segment's checksums adds.
#include <benchmark/benchmark.h>

#include <array>
#include <vector>

#include "dataplane/wire/craft.h"

namespace mire::bench {
namespace {

constexpr size_t kFrames = 64;

enum class Kind { plain, vlan, ipv6 };

std::vector<std::vector<uint8_t>> frames(Kind kind, size_t payload) {
  const std::vector<uint8_t> text(payload, 'x');
  std::vector<std::vector<uint8_t>> all;
  for (size_t i = 0; i < kFrames; ++i) {
    wire::Segment s;
    s.link.length = 14;
    size_t type = 12;
    if (kind == Kind::vlan) {
      wire::store16(&s.link.bytes[12], 0x8100);
      wire::store16(&s.link.bytes[14], 100);
      type = 16;
      s.link.length = 18;
    }
    wire::store16(&s.link.bytes[type], kind == Kind::ipv6 ? 0x86dd : 0x0800);
    const char* client = kind == Kind::ipv6 ? "2001:db8::1" : "198.18.0.1";
    const char* server = kind == Kind::ipv6 ? "2001:db8::25" : "198.19.0.25";
    s.source = *wire::parse_address(client);
    s.destination = *wire::parse_address(server);
    s.source_port = static_cast<uint16_t>(40'000 + i);
    s.destination_port = 25;
    s.flags = wire::kAck;
    s.timestamps = wire::Timestamps{1, 2};
    s.payload = text;
    std::vector<uint8_t> f(wire::crafted_size(s));
    f.resize(wire::craft(s, f));
    all.push_back(std::move(f));
  }
  return all;
}

void parse(benchmark::State& state, Kind kind) {
  const auto all = frames(kind, 0);
  for (auto _ : state)
    for (const auto& f : all) {
      wire::Headers h = wire::parse(f);
      benchmark::DoNotOptimize(h);
    }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kFrames));
}

void checksum(benchmark::State& state, size_t payload) {
  const auto all = frames(Kind::plain, payload);
  std::vector<wire::Headers> headers;
  for (const auto& f : all) headers.push_back(wire::parse(f));
  for (auto _ : state)
    for (size_t i = 0; i < kFrames; ++i) benchmark::DoNotOptimize(wire::checksums_valid(all[i], headers[i]));
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kFrames));
}

BENCHMARK_CAPTURE(parse, plain, Kind::plain);
BENCHMARK_CAPTURE(parse, vlan, Kind::vlan);
BENCHMARK_CAPTURE(parse, ipv6, Kind::ipv6);
BENCHMARK_CAPTURE(checksum, plain_empty, size_t{0});
BENCHMARK_CAPTURE(checksum, plain_1400_bytes, size_t{1400});

}  // namespace
}  // namespace mire::bench
