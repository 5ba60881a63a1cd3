// cursor.h - a cursor that only moves forward over bytes that somebody else wrote.
//
// The one place where bounds are checked: take() gives a pointer to bytes that are there, or none. It knows nothing of
// what the bytes mean, and cannot go back. Internal to wire/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace mire::wire {

class Cursor {
 public:
  explicit Cursor(std::span<const uint8_t> bytes) noexcept
      : begin_(bytes.data()), at_(begin_), end_(begin_ + bytes.size()) {}

  // The next `n` bytes, or nullptr (and no step) if fewer are left.
  [[nodiscard]] const uint8_t* take(size_t n) noexcept {
    if (n > left()) [[unlikely]] {
      return nullptr;
    }
    const uint8_t* taken = at_;
    at_ += n;
    return taken;
  }

  // From now on the bytes end at `offset`. False (and no change) if that lies beyond what is there, or behind the
  // cursor.
  [[nodiscard]] bool end_at(size_t offset) noexcept {
    if (offset < this->offset() || offset > static_cast<size_t>(end_ - begin_)) [[unlikely]] {
      return false;
    }
    end_ = begin_ + offset;
    return true;
  }

  [[nodiscard]] size_t left() const noexcept { return static_cast<size_t>(end_ - at_); }
  [[nodiscard]] uint16_t offset() const noexcept { return static_cast<uint16_t>(at_ - begin_); }

 private:
  const uint8_t* begin_;
  const uint8_t* at_;
  const uint8_t* end_;
};

}  // namespace mire::wire
