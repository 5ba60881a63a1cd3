// input.h - what a fuzz target is fed: choices from the front, and frames that end where their memory ends.
//
// Properties are MIRE_ASSERTs: what breaks one is our mistake, and libFuzzer keeps the input.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace mire::fuzz {

// The input from its front: small choices first, and what is left.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : left_(data, size) {}

  // 0 once the input is used up.
  uint8_t byte() {
    if (left_.empty()) {
      return 0;
    }
    const uint8_t b = left_[0];
    left_ = left_.subspan(1);
    return b;
  }
  uint16_t word() {
    const unsigned high = byte();
    return static_cast<uint16_t>(high << 8 | byte());
  }
  // The next `n` bytes, or as many as there are.
  std::span<const uint8_t> bytes(size_t n) {
    const std::span<const uint8_t> taken = left_.first(n < left_.size() ? n : left_.size());
    left_ = left_.subspan(taken.size());
    return taken;
  }
  [[nodiscard]] std::span<const uint8_t> rest() const { return left_; }
  [[nodiscard]] bool empty() const { return left_.empty(); }

 private:
  std::span<const uint8_t> left_;
};

// A copy that ends where its allocation ends: what reads or writes further is caught by AddressSanitizer.
class Exact {
 public:
  explicit Exact(std::span<const uint8_t> bytes) : bytes_(new uint8_t[bytes.size()]), size_(bytes.size()) {
    for (size_t i = 0; i < size_; ++i) {
      bytes_[i] = bytes[i];
    }
  }
  [[nodiscard]] std::span<uint8_t> span() const { return {bytes_.get(), size_}; }

 private:
  std::unique_ptr<uint8_t[]> bytes_;
  size_t size_;
};

}  // namespace mire::fuzz
