// dialogue.h - one SMTP dialogue after its greeting, followed command by command.
//
// Purpose: to tell which client goes on past a command whose reply it has not read (RFC 2920 3.1), and what became of
// its recipients and messages. Assumes: each direction's bytes in order, without gap or repetition, and a client's
// command before the reply to it. It knows no packets, ports or clock, allocates nothing, and keeps 64 bytes. How the
// bytes are cut into calls changes nothing in what is found. What it cannot follow it calls opaque and never judges
// again.
//
// Offsets count bytes from the end of the greeting, each direction its own, and wrap at 2^32.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "dataplane/smtp/command_line.h"
#include "dataplane/smtp/final_dot.h"
#include "dataplane/smtp/outstanding.h"
#include "dataplane/smtp/pipeconnect.h"
#include "dataplane/smtp/reply_line.h"
#include "dataplane/smtp/verb.h"

namespace mire::smtp {

// Why a dialogue can no longer be followed.
enum class Opaque : uint8_t {
  no,              // it is followed
  given_up,        // the caller lost bytes: give_up()
  encrypted,       // STARTTLS was accepted (RFC 3207 4)
  turned,          // TURN was accepted: the roles are reversed
  passed_unknown,  // went past STARTTLS or AUTH before the reply: what follows is, depends on it
  line_too_long,   // a command or reply line without end
  malformed,       // a reply that is none, or ends in a bare LF; a BDAT count beyond 32 bits
  too_many,        // more commands outstanding than Outstanding holds
  out_of_step,     // a reply that no command explains
};

[[nodiscard]] const char* name(Opaque) noexcept;

// A part of the bytes given to one call.
struct Part {
  size_t begin = 0;
  size_t length = 0;
  friend constexpr bool operator==(const Part&, const Part&) = default;
};

// What calls found. They add to it, so that one Findings may collect several; the parts are of the last server() call.
struct Findings {
  // Group-ending commands (verb.h: ends_group) that the client went past without having acknowledged the whole reply,
  // each counted once; and the first of them.
  uint8_t unsynchronised = 0;
  Verb passed_over = Verb::none;

  uint8_t accepted = 0;            // messages: 2xx to the final dot or to BDAT LAST
  uint8_t unknown_recipients = 0;  // 550, 551 or 553 to RCPT
  uint8_t refusals = 0;      // 5xx to MAIL, DATA, BDAT or the final dot, but 503, which only repeats an earlier one
  bool null_sender = false;  // MAIL FROM:<>
  bool became_opaque = false;

  bool ehlo_reply = false;  // some of these bytes belong to a reply to EHLO, from the first such byte to the last:
  Part ehlo;
  Part
      keyword;  // of Exim's PIPECONNECT keyword, to be overwritten, unless its length is 0. See Dialogue::keyword_in().

  friend constexpr bool operator==(const Findings&, const Findings&) = default;
};

class Dialogue {
 public:
  // The client's next bytes, in a segment that acknowledges `server_bytes_acked` bytes of the server's.
  void client(std::span<const uint8_t> bytes, uint32_t server_bytes_acked, Findings&) noexcept;

  // The server's next bytes.
  void server(std::span<const uint8_t> bytes, Findings&) noexcept;

  // Bytes were lost to us, or came in an order that we cannot follow.
  void give_up() noexcept;

  [[nodiscard]] Opaque opaque() const noexcept { return opaque_; }

  // How many bytes it was given: where the next ones must begin.
  [[nodiscard]] uint32_t client_bytes() const noexcept { return client_bytes_; }
  [[nodiscard]] uint32_t server_bytes() const noexcept { return server_bytes_; }

  // A reply to EHLO has not ended. While this is so and the keyword is to be hidden, a server segment out of order
  // should not go on: its keyword could not be found.
  [[nodiscard]] bool awaits_ehlo_reply() const noexcept;

  // Which part of `length` server bytes from offset `at` is a keyword found earlier: a segment that repeats it must be
  // overwritten as the first one was, however the server cuts it the second time. The latest keyword is known.
  [[nodiscard]] Part keyword_in(uint32_t at, size_t length) const noexcept;

  // Totals of the whole dialogue; they stop at 255.
  [[nodiscard]] uint8_t unsynchronised() const noexcept { return unsynchronised_; }
  [[nodiscard]] uint8_t accepted() const noexcept { return accepted_; }
  [[nodiscard]] uint8_t unknown_recipients() const noexcept { return unknown_recipients_; }
  [[nodiscard]] uint8_t refusals() const noexcept { return refusals_; }
  [[nodiscard]] bool null_sender() const noexcept { return null_sender_; }  // of the latest MAIL

 private:
  // What the client's next byte is.
  enum class Mode : uint8_t {
    command,    // of a command line
    challenge,  // of the answer to a 334 (RFC 4954 4)
    content,    // of a message, up to the final dot (RFC 5321 4.1.1.4)
    chunk,      // of BDAT's octets (RFC 3030 2)
  };

  [[nodiscard]] bool followed() const noexcept { return opaque_ == Opaque::no; }
  void become(Opaque, Findings&) noexcept;
  void pass_barrier(uint32_t server_bytes_acked, Findings&) noexcept;
  size_t take_line(std::span<const uint8_t> bytes, Findings&) noexcept;
  void command(Findings&) noexcept;
  void await(Awaited, Findings&) noexcept;
  [[nodiscard]] bool reads_ehlo_reply() const noexcept;
  void hide_keyword(uint32_t start, Part where, Findings&) noexcept;
  void reply(uint16_t code, uint32_t end, Findings&) noexcept;
  void data_reply(uint16_t code, Findings&) noexcept;

  Outstanding outstanding_;
  CommandLine line_;
  uint32_t client_bytes_ = 0;
  uint32_t server_bytes_ = 0;
  uint32_t reply_end_ = 0;  // of the last reply to a command
  uint32_t keyword_at_ = 0;
  ReplyLine reply_line_;
  Verb barrier_ = Verb::none;  // the client's last line was this, ended a group, and not a byte followed
  Mode mode_ : 4 = Mode::command;
  bool null_sender_ : 1 = false;
  FinalDot final_dot_;
  KeywordScanner keyword_;
  uint8_t keyword_length_ = 0;
  uint8_t unsynchronised_ = 0;
  uint8_t accepted_ = 0;
  uint8_t unknown_recipients_ = 0;
  uint8_t refusals_ = 0;
  Opaque opaque_ = Opaque::no;
};

static_assert(sizeof(Dialogue) <= 64, "one cache line a dialogue");
static_assert(std::is_trivially_copyable_v<Dialogue>);

}  // namespace mire::smtp
