// The pure step, over every state, event and class in random order.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <random>
#include <vector>

#include "dataplane/policy/policy.h"

namespace mire::bench {
namespace {

struct Question {
  policy::State state;
  policy::Event event;
  policy::Treatment treatment;
};

std::vector<Question> questions() {
  const policy::Treatments treatments = policy::default_treatments();
  std::vector<Question> all;
  for (size_t s = 0; s < policy::kStates; ++s)
    for (size_t e = 0; e < policy::kEvents; ++e)
      for (const auto& t : treatments) all.push_back({static_cast<policy::State>(s), static_cast<policy::Event>(e), t});
  std::shuffle(all.begin(), all.end(), std::mt19937_64(1));
  return all;
}

void policy_step(benchmark::State& state) {
  const auto all = questions();
  for (auto _ : state)
    for (const auto& q : all) {
      policy::Step step = policy::step(q.state, q.event, q.treatment);
      benchmark::DoNotOptimize(step);
    }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(all.size()));
}

// What a held flow mostly sees.
void policy_step_usual(benchmark::State& state) {
  const policy::Treatments treatments = policy::default_treatments();
  const auto& t = treatments[static_cast<size_t>(policy::SourceClass::unknown)];
  for (auto _ : state) {
    policy::Step step = policy::step(policy::State::banner_held, policy::Event::nothing_new, t);
    benchmark::DoNotOptimize(step);
  }
  state.SetItemsProcessed(state.iterations());
}

BENCHMARK(policy_step)->Name("policy_step/plain");
BENCHMARK(policy_step_usual)->Name("policy_step_usual/plain");

}  // namespace
}  // namespace mire::bench
