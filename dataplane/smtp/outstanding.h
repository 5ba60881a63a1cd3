// outstanding.h - the commands whose replies have not come, oldest first, in 12 bytes.
//
// 16 entries of 4 bits. A row of RCPTs, which may be long in a pipelined group, takes one entry; only one row at a time
// is kept so.
#pragma once

#include <cstdint>

namespace mire::smtp {

// What a reply will answer.
enum class Awaited : uint8_t { ehlo, mail, rcpt, data, content, bdat, bdat_last, starttls, auth, turn, other };

class Outstanding {
 public:
  static constexpr unsigned kDepth = 16;

  [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
  [[nodiscard]] bool contains(Awaited) const noexcept;

  // Not when empty.
  [[nodiscard]] Awaited front() const noexcept { return at(0); }
  Awaited pop() noexcept;

  // False: no room.
  [[nodiscard]] bool push(Awaited) noexcept;

 private:
  [[nodiscard]] Awaited at(unsigned index) const noexcept {
    return static_cast<Awaited>(entries_ >> (4 * index) & 0xf);
  }

  uint64_t entries_ = 0;   // the oldest in the lowest bits
  uint16_t row_more_ = 0;  // RCPTs that the row's entry stands for, beside one
  uint8_t row_at_ = 0;     // which entry that is, while row_more_ is not 0
  uint8_t count_ = 0;
};

}  // namespace mire::smtp
