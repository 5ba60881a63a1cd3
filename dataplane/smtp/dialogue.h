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

#include "dataplane/smtp/pipeconnect.h"

namespace mire::smtp {

enum class Verb : uint8_t {
  none,
  helo,
  ehlo,
  mail,
  rcpt,
  data,
  bdat,
  rset,
  vrfy,
  expn,
  turn,
  quit,
  noop,
  starttls,
  auth,
  other,
};

[[nodiscard]] const char* name(Verb) noexcept;

// Why a dialogue can no longer be followed.
enum class Opaque : uint8_t {
  no,             // it is followed
  given_up,       // the caller lost bytes: give_up()
  encrypted,      // STARTTLS was accepted (RFC 3207 4)
  turned,         // TURN was accepted: the roles are reversed
  unknown_turn,   // went past STARTTLS or AUTH before the reply: what these bytes are depends on it
  line_too_long,  // a command or reply line without end
  malformed,      // a reply that is none, or ends in a bare LF; a BDAT count that does not fit
  too_many,       // more commands outstanding than kOutstanding
  out_of_step,    // a reply that no command explains
};

[[nodiscard]] const char* name(Opaque) noexcept;

inline constexpr unsigned kOutstanding = 16;       // commands whose reply has not come
inline constexpr unsigned kLineBytes = 2048;       // of a command or reply line
inline constexpr unsigned kAuthLineBytes = 12288;  // of AUTH and its continuation lines: RFC 4954 4

// A part of the bytes given to one call.
struct Part {
  size_t begin = 0;
  size_t length = 0;
  friend constexpr bool operator==(const Part&, const Part&) = default;
};

// What one call found. Calls add to it, so that one Findings may collect several calls; the parts are of the last call.
struct Findings {
  // Group-ending commands (RFC 2920 3.1: EHLO, DATA, VRFY, EXPN, TURN, QUIT, NOOP; and HELO, STARTTLS, AUTH) that the
  // client went past without having acknowledged the whole reply, each counted once; and the first of them.
  uint8_t unsynchronised = 0;
  Verb passed_over = Verb::none;

  uint8_t accepted = 0;            // messages: 2xx to the final dot or to BDAT LAST
  uint8_t unknown_recipients = 0;  // 550, 551 or 553 to RCPT
  uint8_t refusals = 0;            // 5xx to MAIL, DATA, BDAT or the final dot
  bool null_sender = false;        // MAIL FROM:<>
  bool became_opaque = false;

  bool ehlo_reply = false;  // some of these bytes belong to a reply to EHLO, from the first such byte to the last:
  Part ehlo;
  Part
      keyword;  // of Exim's PIPECONNECT keyword: to be overwritten, unless its length is 0. See Dialogue::keyword_in().

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

  // The next server bytes belong to a reply to EHLO. While this is so and the keyword is to be hidden, a server segment
  // out of order should not go on: its keyword could not be found.
  [[nodiscard]] bool awaits_ehlo_reply() const noexcept;

  // Which part of `length` server bytes from offset `at` is a keyword found earlier: a segment that repeats it must be
  // overwritten as the first one was, however the server cuts it the second time.
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
  // What a reply will answer: the entries of the queue, 4 bits each.
  enum class Awaited : uint8_t { ehlo, mail, rcpt, data, content, bdat, bdat_last, starttls, auth, turn, other };
  enum class Dot : uint8_t { text, cr, line, dot, dot_cr };
  enum class ReplyState : uint8_t { code, separator, text, cr };

  uint64_t awaited_ = 0;  // the oldest in the lowest bits
  uint64_t word_ = 0;     // the line's first letters, upper case, the latest in the lowest byte
  uint32_t client_bytes_ = 0;
  uint32_t server_bytes_ = 0;
  uint32_t reply_end_ = 0;   // of the last reply to a command
  uint32_t chunk_left_ = 0;  // BDAT's octets still to come; while its line is read, the count
  uint32_t keyword_at_ = 0;
  uint16_t line_bytes_ = 0;   // of the client's line so far
  uint16_t reply_bytes_ = 0;  // of the server's line so far
  uint16_t code_ = 0;         // of the reply so far
  uint8_t awaited_count_ = 0;
  uint8_t keyword_length_ = 0;
  Verb verb_ = Verb::none;     // of the line; none until its first word is whole
  Verb barrier_ = Verb::none;  // the client's last line ended a group with it, and not a byte followed
  uint8_t argument_ = 0;       // how far the argument of MAIL or BDAT is read
  Mode mode_ = Mode::command;
  Dot dot_ = Dot::line;
  ReplyState reply_state_ = ReplyState::code;
  KeywordScanner keyword_;
  uint8_t unsynchronised_ = 0;
  uint8_t accepted_ = 0;
  uint8_t unknown_recipients_ = 0;
  uint8_t refusals_ = 0;
  Opaque opaque_ = Opaque::no;
  bool null_sender_ : 1 = false;
  bool last_cr_ : 1 = false;        // the client's last byte was a CR
  bool continued_ : 1 = false;      // the reply has had a line already
  bool final_line_ : 1 = false;     // the reply's line is its last
  bool content_early_ : 1 = false;  // content came before DATA's reply
};

static_assert(sizeof(Dialogue) <= 64, "one line of the cache for each dialogue");
static_assert(std::is_trivially_copyable_v<Dialogue>);

}  // namespace mire::smtp
