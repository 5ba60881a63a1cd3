#include "dataplane/defer/server_profile.h"

#include <utility>

namespace mire::defer {

void ServerProfile::saw_syn_ack(const wire::TcpOptions& o, uint16_t window) noexcept {
  down_ = false;
  offered_ = true;
  const Offer before = offer_;
  offer_.window = window;
  // A server may name another one to each route: the least of them keeps every promise.
  if (o.has_mss) offer_.mss = offer_.mss == 0 ? o.mss : std::min(offer_.mss, o.mss);
  if (o.has_window_scale) {
    offer_.has_window_scale = true;
    offer_.window_scale = o.window_scale;
  }
  offer_.sack = offer_.sack || o.sack_permitted;
  offer_.timestamps = offer_.timestamps || o.has_timestamps;
  if (offer_ != before) ++revision_;
  Offer same_window = before;
  same_window.window = window;
  if (offer_ != same_window) generation_ = (generation_ + 1) & 15;
}

uint32_t ServerProfile::saw_greeting(uint32_t greeting, uint32_t length) noexcept {
  seen_twice_ = length_ == length;  // a date in it may differ, its length does not
  length_ = length;
  restored_ = false;
  if (greeting != greeting_) ++revision_;
  return std::exchange(greeting_, greeting);
}

bool ServerProfile::recall(const Offer& offer, uint32_t greeting, uint32_t length) noexcept {
  if (greeting_ != 0 || broken_) return false;
  if (offer != offer_) generation_ = (generation_ + 1) & 15;
  offer_ = offer;
  greeting_ = greeting;
  length_ = length;
  offered_ = seen_twice_ = true;
  ++revision_;
  return true;
}

uint32_t ServerProfile::write(uint32_t greeting) noexcept {
  const uint32_t before = std::exchange(written_, greeting);
  if (greeting != 0 || greeting_ != 0) return before;
  greeting_ = before;  // whoever is held already still needs one
  return 0;
}

void ServerProfile::restore(const Offer& offer, uint8_t generation, uint32_t greeting, uint32_t length) noexcept {
  offer_ = offer;
  generation_ = generation & 15;
  greeting_ = greeting;
  length_ = length;
  offered_ = seen_twice_ = restored_ = true;
}

void ServerProfile::forget() noexcept {
  offered_ = seen_twice_ = false;
  broken_ = true;
  offer_ = {};
  length_ = 0;
  generation_ = (generation_ + 1) & 15;
}

bool ServerProfile::may_dial(const policy::Pace& pace, Time now) noexcept {
  const uint64_t second = to_ms(now) / 1000;
  if (second != second_) {
    second_ = second;
    this_second_ = 0;
  }
  if (dialling_ >= pace.concurrent) return false;
  return pace.per_second == 0 || this_second_ < pace.per_second;
}

void ServerProfile::dialled(Time now) noexcept {
  const uint64_t second = to_ms(now) / 1000;
  if (second != second_) {
    second_ = second;
    this_second_ = 0;
  }
  ++this_second_;
  ++dialling_;
}

bool keeps_promise(const wire::TcpOptions& answer, const wire::TcpOptions& promised) noexcept {
  constexpr uint16_t kUnnamed = 536;  // RFC 9293 3.7.1
  const bool scale = answer.has_window_scale == promised.has_window_scale &&
                     (!promised.has_window_scale || answer.window_scale == promised.window_scale);
  const bool mss = !promised.has_mss || (answer.has_mss ? answer.mss : kUnnamed) >= promised.mss;
  return scale && mss && answer.sack_permitted == promised.sack_permitted &&
         answer.has_timestamps == promised.has_timestamps;
}

}  // namespace mire::defer
