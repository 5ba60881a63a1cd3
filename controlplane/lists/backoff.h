// backoff.h - puts aside what fails again and again: a DNS server, a zone, a domain. And a budget of tokens a second.
//
// Pure: time is an argument. After `patience` failures in a row it is put aside for `first`, then one try decides; each
// further failure doubles the time, up to `most`.
#pragma once

#include <algorithm>
#include <cstdint>

#include "dataplane/base/time.h"

namespace mire::lists {

class Backoff {
 public:
  Backoff(uint32_t patience, Duration first, Duration most) noexcept
      : patience_(patience), first_(first), most_(most) {}

  [[nodiscard]] bool ready(Time now) const noexcept { return now >= until_; }
  [[nodiscard]] Time until() const noexcept { return until_; }
  [[nodiscard]] uint32_t failures() const noexcept { return failures_; }

  void succeeded() noexcept {
    failures_ = 0;
    until_ = {};
    pause_ = {};
    trying_ = false;
  }
  // True: it is put aside by this very failure.
  bool failed(Time now) noexcept {
    ++failures_;
    if (failures_ < patience_ || (now < until_ && !trying_)) return false;  // asked before it was put aside
    trying_ = false;
    pause_ = pause_ == Duration{} ? first_ : std::min(pause_ * 2, most_);
    until_ = now + pause_;
    return true;
  }
  // For a try after the pause: others wait until it is decided, or `wait` is over.
  void trying(Time now, Duration wait) noexcept {
    if (failures_ < patience_) return;
    until_ = now + wait;
    trying_ = true;
  }

 private:
  uint32_t patience_;
  Duration first_;
  Duration most_;
  Duration pause_{};
  Time until_{};
  uint32_t failures_ = 0;
  bool trying_ = false;
};

// `rate` tokens each `period`, and never more than `rate` at once.
class Budget {
 public:
  Budget(uint32_t rate, Duration period) noexcept : rate_(rate), period_(period), tokens_(rate) {}

  [[nodiscard]] bool take(Time now) noexcept {
    if (last_ != Time{} && now > last_)
      tokens_ = std::min<double>(
          rate_, tokens_ + static_cast<double>((now - last_).count()) * rate_ / static_cast<double>(period_.count()));
    last_ = now;
    if (tokens_ < 1) return false;
    tokens_ -= 1;
    return true;
  }

 private:
  uint32_t rate_;
  Duration period_;
  double tokens_;
  Time last_{};
};

}  // namespace mire::lists
