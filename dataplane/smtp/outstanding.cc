#include "dataplane/smtp/outstanding.h"

#include <limits>

#include "dataplane/base/assert.h"

namespace mire::smtp {

bool Outstanding::contains(Awaited what) const noexcept {
  for (unsigned i = 0; i < count_; ++i) {
    if (at(i) == what) return true;
  }
  return false;
}

Awaited Outstanding::pop() noexcept {
  MIRE_ASSERT(count_ != 0);
  const Awaited oldest = front();
  if (row_more_ != 0) {
    if (row_at_ == 0) {
      --row_more_;
      return oldest;
    }
    --row_at_;
  }
  entries_ >>= 4;
  --count_;
  return oldest;
}

bool Outstanding::push(Awaited what) noexcept {
  const unsigned newest = count_ - 1u;
  if (what == Awaited::rcpt && count_ != 0 && at(newest) == Awaited::rcpt && (row_more_ == 0 || row_at_ == newest) &&
      row_more_ != std::numeric_limits<uint16_t>::max()) {
    row_at_ = static_cast<uint8_t>(newest);
    ++row_more_;
    return true;
  }
  if (count_ == kDepth) return false;
  entries_ |= uint64_t{static_cast<uint8_t>(what)} << (4 * count_);
  ++count_;
  return true;
}

}  // namespace mire::smtp
