// counter.h - a number that one lcore writes and anybody reads: no lock, no bus lock, never torn.
#pragma once

#include <atomic>
#include <cstdint>

namespace mire::lcore {

class Counter {
 public:
  void add(uint64_t n = 1) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  void set(uint64_t n) noexcept { value_.store(n, std::memory_order_relaxed); }
  [[nodiscard]] uint64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

// One of the pipeline's plain counters, read from another thread: whole, though perhaps a little old.
[[nodiscard]] inline uint64_t peek(const uint64_t& counter) noexcept {
  return __atomic_load_n(&counter, __ATOMIC_RELAXED);
}

}  // namespace mire::lcore
