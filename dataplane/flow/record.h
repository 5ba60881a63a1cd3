// record.h - what is kept of one flow: 32 bytes of state behind a key of 8 (IPv4) or 20 (IPv6).
//
// The same four words mean different things in different states, and no state needs more than four: the accessors below
// are the only way in, and each asserts nothing but costs nothing. Numbers are host byte order.
#pragma once

#include <bit>
#include <cstdint>

#include "dataplane/base/bucket_table.h"
#include "dataplane/policy/types.h"
#include "dataplane/wire/seq.h"

namespace mire::flow {

// Server address and VLAN stack are one small number (Endpoint in lcore/): port 25 and TCP are implied.
struct KeyV4 {
  uint32_t client = 0;  // as on the wire
  uint16_t port = 0;    // client's
  uint16_t server = 0;  // endpoint number
  friend bool operator==(const KeyV4&, const KeyV4&) noexcept = default;
};
struct KeyV6 {
  uint32_t client[4] = {};  // as on the wire
  uint16_t port = 0;
  uint16_t server = 0;
  friend bool operator==(const KeyV6&, const KeyV6&) noexcept = default;
};

// The SYN-ACK while it is parked: what it takes to build it again.
struct ParkedSynAck {
  uint16_t mss = 0;          // 0: no MSS option
  uint8_t window_scale = 0;  // kNoScale: no option
  uint8_t bits = 0;
  static constexpr uint8_t kNoScale = 0xff;
  static constexpr uint8_t kSack = 1;  // SACK permitted
  static constexpr uint8_t kEce = 2;   // ECN-setup SYN-ACK (RFC 3168 6.1.1)
  // met .. dialling, where it is what the client offered: which of the server's offers it was answered with.
  static constexpr uint8_t kGeneration = 0xf0;
};
static_assert(sizeof(ParkedSynAck) == 4);

enum Flag : uint8_t {
  kProven = 0x01,      // the handshake's ACK was seen: the source is counted
  kTimestamps = 0x02,  // both ends use them (RFC 7323)
  kEndKnown = 0x04,    // the greeting's end is known: end()
  kWouldReset = 0x08,  // observe mode: enforcement would have reset it
  kServerFin = 0x10,   // a FIN of the server is parked behind the greeting, or has passed
  kReadWhole = 0x10,   // deferred, invited: the client has acknowledged whole what went out
  kReported = 0x20,    // an event that ends the flow was sent already
  kSpoke = 0x40,       // some payload of the client passed
  kForgiven = 0x80,    // greeting unread: it began with an EHLO that PIPECONNECT had invited
  kClientFin = 0x80,   // closing: a FIN of the client has passed
};

// The last two share a bit because no state knows both: Pipeline takes kForgiven off where its states end.
[[nodiscard]] constexpr bool knows_forgiven(policy::State s) noexcept {
  using policy::State;
  return s == State::syn_ack_sent || s == State::waiting || s == State::banner_held || s == State::due ||
         s == State::greeted || s == State::met || s == State::deferred || s == State::invited;
}
[[nodiscard]] constexpr bool knows_client_fin(policy::State s) noexcept { return s == policy::State::closing; }
static_assert(kForgiven == kClientFin && [] {
  for (size_t s = 0; s < policy::kStates; ++s)
    if (knows_forgiven(static_cast<policy::State>(s)) && knows_client_fin(static_cast<policy::State>(s))) return false;
  return true;
}());

struct State32 {
  wire::SeqNo client_isn;
  wire::SeqNo server_isn;
  uint32_t word_a = 0;
  uint32_t word_b = 0;
  uint32_t word_c = 0;
  uint16_t half_a = 0;
  uint16_t half_b = 0;
  uint16_t path = 0;     // number of the link headers of both directions
  uint16_t hold_ms = 0;  // drawn
  policy::State state = policy::State::none;
  policy::SourceClass source_class = policy::SourceClass::unknown;
  uint8_t flags = 0;
  uint8_t epoch = 0;  // bypass epoch in which it was begun

  [[nodiscard]] bool has(Flag f) const noexcept { return (flags & f) != 0; }
  void set(Flag f, bool on = true) noexcept { flags = static_cast<uint8_t>(on ? flags | f : flags & ~f); }

  // First byte that the client may send, and first byte of the greeting (G in the design).
  [[nodiscard]] wire::SeqNo client_first() const noexcept { return client_isn + 1; }
  [[nodiscard]] wire::SeqNo server_first() const noexcept { return server_isn + 1; }

  // Until the greeting is out: the server's latest timestamps (syn_ack_held .. banner_held).
  uint32_t& server_tsval() noexcept { return word_a; }
  uint32_t& server_tsecr() noexcept { return word_b; }
  [[nodiscard]] uint32_t server_tsval() const noexcept { return word_a; }
  [[nodiscard]] uint32_t server_tsecr() const noexcept { return word_b; }

  // From then on (due, greeted, talking): next byte that the server will send towards the client, as forwarded (F),
  // and in due and greeted the end of the greeting (B) if kEndKnown, in talking the next byte of the client.
  [[nodiscard]] wire::SeqNo server_next() const noexcept { return {word_a}; }
  void set_server_next(wire::SeqNo n) noexcept { word_a = n.value; }
  [[nodiscard]] wire::SeqNo greeting_end() const noexcept { return {word_b}; }
  void set_greeting_end(wire::SeqNo n) noexcept { word_b = n.value; }
  [[nodiscard]] wire::SeqNo client_next() const noexcept { return {word_b}; }
  void set_client_next(wire::SeqNo n) noexcept { word_b = n.value; }

  // tombstone: second (of our clock) of the last answer. finished keeps the timestamps.
  [[nodiscard]] uint32_t answered_second() const noexcept { return word_a; }
  void set_answered_second(uint32_t s) noexcept { word_a = s; }

  // met .. dialling: the client's latest TSval; and what its SYN offered.
  [[nodiscard]] uint32_t client_clock() const noexcept { return word_a; }
  void set_client_clock(uint32_t tsval) noexcept { word_a = tsval; }
  [[nodiscard]] ParkedSynAck offered() const noexcept { return std::bit_cast<ParkedSynAck>(word_c); }
  void set_offered(ParkedSynAck p) noexcept { word_c = std::bit_cast<uint32_t>(p); }
  // met: how often our SYN-ACK was repeated, and when it will be next (low 16 bits of ms; 0: it was not sent yet).
  [[nodiscard]] uint32_t repeats() const noexcept { return word_b; }
  void set_repeats(uint32_t n) noexcept { word_b = n; }
  // The first one is still held, until repeat_ms().
  static constexpr uint32_t kAnswerHeld = 0xffffffff;
  [[nodiscard]] bool answer_held() const noexcept { return state == policy::State::met && word_b == kAnswerHeld; }
  [[nodiscard]] uint16_t repeat_ms() const noexcept { return hold_ms; }
  void set_repeat_ms(uint64_t ms) noexcept { hold_ms = static_cast<uint16_t>(ms); }
  // deferred: the teaser that went out (hold/ number, 0: none). invited: the greeting that went out (hold/ number).
  // dialling: dialogue number. replied: the reply (hold/ number, 0: none kept). finished: the number of our FIN.
  [[nodiscard]] uint32_t sent() const noexcept { return word_b; }
  void set_sent(uint32_t id) noexcept { word_b = id; }
  // replied: the next number of the client, as we acknowledged it. (Ours, behind our FIN, is server_next().)
  [[nodiscard]] wire::SeqNo acknowledged() const noexcept { return {word_c}; }
  void set_acknowledged(wire::SeqNo n) noexcept { word_c = n.value; }
  // invited, dialling: how often the greeting or the SYN was sent. (The hold is over and reported.)
  [[nodiscard]] uint16_t tries() const noexcept { return hold_ms; }
  void set_tries(uint16_t n) noexcept { hold_ms = n; }

  // waiting .. greeted: what of the greeting is parked or was seen (hold/ number; 0: nothing). talking: dialogue number
  // (0: none).
  [[nodiscard]] uint32_t banner() const noexcept { return word_c; }
  void set_banner(uint32_t id) noexcept { word_c = id; }
  [[nodiscard]] uint32_t dialogue() const noexcept { return word_c & ~kTranslatedBit; }
  void set_dialogue(uint32_t id, bool is_translated = false) noexcept {
    word_c = id | (is_translated ? kTranslatedBit : 0);
  }
  // talking, closing: the server counts otherwise than the client was told, by what its dialogue's record says. Told
  // here, so that the others need not look there.
  static constexpr uint32_t kTranslatedBit = 0x80000000;
  [[nodiscard]] bool translated() const noexcept {
    const bool may = state == policy::State::talking || state == policy::State::closing;
    return may && (word_c & kTranslatedBit) != 0;
  }
  [[nodiscard]] ParkedSynAck syn_ack() const noexcept { return std::bit_cast<ParkedSynAck>(word_c); }
  void set_syn_ack(ParkedSynAck p) noexcept { word_c = std::bit_cast<uint32_t>(p); }

  // The server's receive window as last advertised, unscaled; met .. dialling: the client's.
  uint16_t& window() noexcept { return half_a; }
  [[nodiscard]] uint16_t window() const noexcept { return half_a; }

  // While there is a deadline (has_deadline): its low 16 bits in ms. Else: second of the last packet.
  [[nodiscard]] uint16_t due_ms() const noexcept { return half_b; }
  void set_due_ms(uint64_t ms) noexcept { half_b = static_cast<uint16_t>(ms); }
  [[nodiscard]] uint16_t seen_second() const noexcept { return half_b; }
  void set_seen_second(uint64_t s) noexcept { half_b = static_cast<uint16_t>(s); }
};

[[nodiscard]] constexpr bool hold_runs(policy::State s) noexcept {
  return s == policy::State::syn_ack_held || s == policy::State::waiting || s == policy::State::banner_held ||
         s == policy::State::deferred;
}
// Something happens to it at a millisecond that is in the calendar.
[[nodiscard]] constexpr bool has_deadline(policy::State s) noexcept {
  return hold_runs(s) || s == policy::State::invited || s == policy::State::dialling;
}
// We meet the client ourselves, and the server knows nothing of it, or not yet enough.
[[nodiscard]] constexpr bool is_meeting(policy::State s) noexcept {
  return s == policy::State::met || s == policy::State::deferred || s == policy::State::invited ||
         s == policy::State::dialling;
}

// The client talks with us alone.
[[nodiscard]] constexpr bool talks_with_us(policy::State s) noexcept {
  return is_meeting(s) || s == policy::State::replied;
}

struct RecordV4 {
  KeyV4 key;
  State32 state;
};
struct RecordV6 {
  KeyV6 key;
  State32 state;
};

static_assert(sizeof(State32) == 32, "four words for what differs, three of them with the ISNs in one half of a line");
static_assert(sizeof(RecordV4) == 40,
              "42 bytes a slot with its tag: ten million held flows in 640 MB, docs/performance.md");
static_assert(sizeof(RecordV6) == 52, "54 bytes a slot: at most 96 B a held flow with index and calendar");

using TableV4 = BucketTable<RecordV4>;
using TableV6 = BucketTable<RecordV6>;

}  // namespace mire::flow
