// server_profile.h - what a server's own handshakes and greetings have taught us: enough to meet a stranger in its
// name.
//
// Purpose: nothing is guessed. A profile is learned from connections that pass to the server, is ready once a SYN-ACK
// and two greetings of the same length were seen, and is forgotten when the server answers a dial in another way. What
// an earlier dataplane learned may be recalled until this one knows better. Also how many dials run to it at once. It
// knows no packets; the greeting's bytes are kept by whoever calls (hold/), here is only their number. Cost: constant.
#pragma once

#include <algorithm>
#include <cstdint>

#include "dataplane/base/time.h"
#include "dataplane/policy/treatment.h"
#include "dataplane/wire/offer.h"
#include "dataplane/wire/options.h"

namespace mire::defer {

using wire::Offer;

class ServerProfile {
 public:
  // A SYN-ACK of the server passed. What a client did not offer the server does not answer: an option that is missing
  // takes nothing back.
  void saw_syn_ack(const wire::TcpOptions&, uint16_t window) noexcept;

  // A greeting of the server passed, `length` bytes, kept under the number `greeting`. Returns the number that is no
  // longer needed (the one before, or this one if it is the same), or 0.
  [[nodiscard]] uint32_t saw_greeting(uint32_t greeting, uint32_t length) noexcept;

  // What an earlier dataplane learned. False: this one has seen a greeting of its own, or found that what it knew does
  // not hold, and keeps to that; `greeting` stays the caller's.
  [[nodiscard]] bool recall(const Offer&, uint32_t greeting, uint32_t length) noexcept;

  // Is it known whole, so that it is worth telling? And a number that changes with what is known.
  [[nodiscard]] bool learned() const noexcept { return offered_ && seen_twice_ && !restored_; }
  [[nodiscard]] uint32_t revision() const noexcept { return revision_; }

  // The operator's word on how strangers are greeted; 0: none. Returns the number that is no longer needed, or 0.
  [[nodiscard]] uint32_t write(uint32_t greeting) noexcept;

  // Can strangers be met in its name?
  [[nodiscard]] bool ready() const noexcept { return offered_ && (written_ != 0 || seen_twice_) && !down_; }
  [[nodiscard]] const Offer& offer() const noexcept { return offer_; }
  [[nodiscard]] uint32_t greeting() const noexcept { return written_ != 0 ? written_ : greeting_; }
  [[nodiscard]] uint32_t learned_greeting() const noexcept { return greeting_; }

  // What a dataplane before us knew. Only for a profile that knows nothing; `greeting` as in saw_greeting().
  void restore(const Offer&, uint8_t generation, uint32_t greeting, uint32_t length) noexcept;

  // Which offer this is: a number of 4 bits that changes with what a client was promised.
  [[nodiscard]] uint8_t generation() const noexcept { return generation_; }

  // The server answers otherwise than it was learned: learn anew. Those who are held already still get the greeting.
  void forget() noexcept;

  // It refused or did not answer. Until it does, strangers' SYNs pass untouched, so that they see the truth.
  void went_down() noexcept { down_ = true; }

  // --- pacing
  [[nodiscard]] bool may_dial(const policy::Pace&, Time now) noexcept;
  void dialled(Time now) noexcept;
  void dial_ended() noexcept { dialling_ -= std::min(dialling_, 1u); }
  [[nodiscard]] uint32_t dialling() const noexcept { return dialling_; }

 private:
  Offer offer_;
  uint32_t greeting_ = 0;
  uint32_t written_ = 0;
  uint32_t length_ = 0;
  uint32_t dialling_ = 0;
  uint32_t this_second_ = 0;
  uint64_t second_ = 0;
  uint32_t revision_ = 1;
  uint8_t generation_ = 0;
  bool offered_ = false;
  bool seen_twice_ = false;
  bool down_ = false;
  bool restored_ = false;  // its greeting may be the operator's: not seen since
  bool broken_ = false;    // it has once answered otherwise than it was known
};

// Does a server's SYN-ACK keep what one of ours promised in its name? Values of clocks aside.
[[nodiscard]] bool keeps_promise(const wire::TcpOptions& answer, const wire::TcpOptions& promised) noexcept;

}  // namespace mire::defer
