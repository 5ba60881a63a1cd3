// region.h - one anonymous mapping for a table, on huge pages if the kernel has them. Sized at start, zero-filled,
// never grown.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

namespace mire {

class Region {
 public:
  Region() = default;
  // Throws std::bad_alloc if the kernel refuses: only while starting.
  explicit Region(size_t bytes) : bytes_(round_up(bytes)) {
    void* p = mmap(nullptr, bytes_ + kHuge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) throw std::bad_alloc{};
    mapped_ = p;
    data_ = reinterpret_cast<void*>(round_up(reinterpret_cast<uintptr_t>(p)));  // NOLINT(performance-no-int-to-ptr)
    // A table smaller than a huge page would only waste one (and fuzzers make many small ones).
    if (bytes >= kHuge) madvise(data_, bytes_, MADV_HUGEPAGE);
  }
  ~Region() {
    if (mapped_ != nullptr) munmap(mapped_, bytes_ + kHuge);
  }
  Region(Region&& o) noexcept
      : mapped_(std::exchange(o.mapped_, nullptr)), data_(std::exchange(o.data_, nullptr)), bytes_(o.bytes_) {}
  Region& operator=(Region&& o) noexcept {
    std::swap(mapped_, o.mapped_);
    std::swap(data_, o.data_);
    std::swap(bytes_, o.bytes_);
    return *this;
  }

  template <typename T>
  [[nodiscard]] T* as() const noexcept {
    return static_cast<T*>(data_);
  }
  [[nodiscard]] size_t bytes() const noexcept { return bytes_; }

 private:
  static constexpr size_t kHuge = size_t{2} << 20;
  static constexpr size_t round_up(size_t n) noexcept { return (n + kHuge - 1) & ~(kHuge - 1); }

  void* mapped_ = nullptr;
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace mire
