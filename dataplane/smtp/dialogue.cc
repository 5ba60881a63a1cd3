#include "dataplane/smtp/dialogue.h"

#include <algorithm>

namespace mire::smtp {
namespace {

constexpr uint8_t kMost = 255;

void count(uint8_t& total, uint8_t& found) {
  if (total != kMost) ++total;
  if (found != kMost) ++found;
}

// a lies beyond b in a sequence that wraps.
constexpr bool beyond(uint32_t a, uint32_t b) { return static_cast<int32_t>(a - b) > 0; }

// RFC 5321 4.2.1: the first digit tells.
constexpr bool is_success(uint16_t code) { return code / 100 == 2; }
constexpr bool is_intermediate(uint16_t code) { return code / 100 == 3; }
constexpr bool is_refusal(uint16_t code) { return code / 100 == 5 && code != 503; }
constexpr bool is_unknown_recipient(uint16_t code) { return code == 550 || code == 551 || code == 553; }

Awaited awaited_by(Verb verb, bool last) {
  switch (verb) {
    case Verb::ehlo: return Awaited::ehlo;
    case Verb::mail: return Awaited::mail;
    case Verb::rcpt: return Awaited::rcpt;
    case Verb::data: return Awaited::data;
    case Verb::bdat: return last ? Awaited::bdat_last : Awaited::bdat;
    case Verb::turn: return Awaited::turn;
    case Verb::starttls: return Awaited::starttls;
    case Verb::auth: return Awaited::auth;
    case Verb::none:
    case Verb::helo:
    case Verb::rset:
    case Verb::vrfy:
    case Verb::expn:
    case Verb::quit:
    case Verb::noop:
    case Verb::other: return Awaited::other;
  }
  return Awaited::other;
}

}  // namespace

const char* name(Opaque why) noexcept {
  switch (why) {
    case Opaque::no: return "followed";
    case Opaque::given_up: return "bytes were lost";
    case Opaque::encrypted: return "encrypted";
    case Opaque::turned: return "roles reversed";
    case Opaque::passed_unknown: return "went past STARTTLS or AUTH";
    case Opaque::line_too_long: return "line too long";
    case Opaque::malformed: return "malformed";
    case Opaque::too_many: return "too many commands outstanding";
    case Opaque::out_of_step: return "a reply that no command explains";
  }
  return "?";
}

void Dialogue::give_up() noexcept {
  if (followed()) opaque_ = Opaque::given_up;
}

void Dialogue::become(Opaque why, Findings& findings) noexcept {
  opaque_ = why;
  findings.became_opaque = true;
}

// ------------------------------------------------------------------------------------------------------ the client

void Dialogue::client(std::span<const uint8_t> bytes, uint32_t server_bytes_acked, Findings& findings) noexcept {
  client_bytes_ += static_cast<uint32_t>(bytes.size());
  while (!bytes.empty() && followed()) {
    if (barrier_ != Verb::none) {
      pass_barrier(server_bytes_acked, findings);
      continue;  // the mode may have changed
    }
    size_t taken = 0;
    switch (mode_) {
      case Mode::command:
      case Mode::challenge: taken = take_line(bytes, findings); break;
      case Mode::content: {
        const FinalDot::Scan scan = final_dot_.scan(bytes);
        taken = scan.taken;
        if (!scan.ended) break;
        mode_ = Mode::command;
        await(Awaited::content, findings);  // what follows may be pipelined: RFC 2920 3.1
        break;
      }
      case Mode::chunk: {
        const auto octets = static_cast<uint32_t>(std::min<size_t>(bytes.size(), line_.octets_left()));
        line_.pass_octets(octets);
        taken = octets;
        if (line_.octets_left() != 0) break;
        mode_ = Mode::command;
        line_.begin();
        break;
      }
    }
    bytes = bytes.subspan(taken);
  }
}

// The client goes on behind a command that ended a group. That command is its latest, so its reply has come if and only
// if none is outstanding, and was then the last reply.
void Dialogue::pass_barrier(uint32_t server_bytes_acked, Findings& findings) noexcept {
  const Verb passed = barrier_;
  barrier_ = Verb::none;
  const bool unanswered = !outstanding_.empty();
  if (!unanswered && !beyond(reply_end_, server_bytes_acked)) return;

  if (findings.passed_over == Verb::none) findings.passed_over = passed;
  count(unsynchronised_, findings.unsynchronised);
  if (!unanswered) return;
  if (passed == Verb::data) {  // it expects a 354; data_reply() sees whether it was right
    mode_ = Mode::content;
    final_dot_.begin();
  }
  if (passed == Verb::starttls || passed == Verb::auth) become(Opaque::passed_unknown, findings);
}

size_t Dialogue::take_line(std::span<const uint8_t> bytes, Findings& findings) noexcept {
  const CommandLine::Read read = line_.read(bytes);
  switch (read.progress) {
    case CommandLine::Progress::more: break;
    case CommandLine::Progress::whole: command(findings); break;
    case CommandLine::Progress::too_long: become(Opaque::line_too_long, findings); break;
    case CommandLine::Progress::bad_count: become(Opaque::malformed, findings); break;
  }
  return read.taken;
}

void Dialogue::command(Findings& findings) noexcept {
  const Verb verb = line_.verb();
  await(awaited_by(verb, line_.last()), findings);
  if (ends_group(verb)) barrier_ = verb;
  if (verb == Verb::mail) {
    null_sender_ = line_.null_path();
    findings.null_sender |= null_sender_;
  }
  // RFC 3030 2: the octets follow at once, and come whatever the reply will be.
  const bool octets_follow = verb == Verb::bdat && line_.octets_left() != 0;
  mode_ = octets_follow ? Mode::chunk : Mode::command;
  if (!octets_follow) line_.begin();
}

void Dialogue::await(Awaited what, Findings& findings) noexcept {
  if (!outstanding_.push(what)) become(Opaque::too_many, findings);
}

// ------------------------------------------------------------------------------------------------------ the server

void Dialogue::server(std::span<const uint8_t> bytes, Findings& findings) noexcept {
  findings.ehlo_reply = false;
  findings.ehlo = findings.keyword = {};
  const uint32_t start = server_bytes_;
  server_bytes_ += static_cast<uint32_t>(bytes.size());

  size_t reply_begin = 0;  // of the reply that is read, as far as it lies in these bytes
  size_t text_begin = 0;   // of its line's text, alike
  const auto note_ehlo_reply = [&](size_t end) {
    if (!reads_ehlo_reply() || end == reply_begin) return;
    if (!findings.ehlo_reply) findings.ehlo.begin = reply_begin;
    findings.ehlo.length = end - findings.ehlo.begin;
    findings.ehlo_reply = true;
  };

  for (size_t i = 0; i < bytes.size() && followed(); ++i) {
    if (!keyword_.active()) i += reply_line_.skip_text(bytes.subspan(i));
    if (keyword_.next(bytes[i])) hide_keyword(start, {text_begin, i + 1 - text_begin}, findings);
    switch (reply_line_.next(bytes[i])) {
      case ReplyLine::Step::inside: break;
      case ReplyLine::Step::text_begins:
        text_begin = i + 1;
        // The first line names the server: RFC 5321 4.1.1.1.
        if (reads_ehlo_reply() && reply_line_.continued() && is_success(reply_line_.code())) keyword_.begin_line();
        break;
      case ReplyLine::Step::line_over: break;
      case ReplyLine::Step::reply_over:
        note_ehlo_reply(i + 1);
        reply(reply_line_.code(), start + static_cast<uint32_t>(i + 1), findings);
        reply_line_.begin();
        reply_begin = i + 1;
        break;
      case ReplyLine::Step::too_long: become(Opaque::line_too_long, findings); break;
      case ReplyLine::Step::malformed: become(Opaque::malformed, findings); break;
    }
  }
  if (followed()) note_ehlo_reply(bytes.size());
}

bool Dialogue::reads_ehlo_reply() const noexcept {
  return !outstanding_.empty() && outstanding_.front() == Awaited::ehlo;
}

bool Dialogue::awaits_ehlo_reply() const noexcept { return followed() && outstanding_.contains(Awaited::ehlo); }

void Dialogue::hide_keyword(uint32_t start, Part where, Findings& findings) noexcept {
  if (findings.keyword.length != 0) return;  // a second one in the same bytes: no server does
  findings.keyword = where;
  keyword_at_ = start + static_cast<uint32_t>(where.begin);
  keyword_length_ = static_cast<uint8_t>(where.length);
}

Part Dialogue::keyword_in(uint32_t at, size_t length) const noexcept {
  const int64_t first = static_cast<int32_t>(keyword_at_ - at);
  const int64_t begin = std::max<int64_t>(first, 0);
  const int64_t end = std::min<int64_t>(first + keyword_length_, static_cast<int64_t>(length));
  if (end <= begin) return {};
  return {static_cast<size_t>(begin), static_cast<size_t>(end - begin)};
}

void Dialogue::reply(uint16_t code, uint32_t end, Findings& findings) noexcept {
  if (outstanding_.empty()) {
    // A server may say 421 at any time (RFC 5321 3.8), and give up amid content; it closes then.
    const bool gives_up = code == 421 || (mode_ == Mode::content && code >= 400);
    if (!gives_up) become(Opaque::out_of_step, findings);
    return;
  }
  reply_end_ = end;
  const Awaited answered = outstanding_.pop();
  switch (answered) {
    case Awaited::data: return data_reply(code, findings);
    case Awaited::auth:
      if (!is_intermediate(code)) return;
      mode_ = Mode::challenge;
      line_.begin_challenge();
      return;
    case Awaited::starttls:
      if (is_success(code)) return become(Opaque::encrypted, findings);
      break;
    case Awaited::turn:
      if (is_success(code)) return become(Opaque::turned, findings);
      break;
    case Awaited::rcpt:
      if (is_unknown_recipient(code)) count(unknown_recipients_, findings.unknown_recipients);
      break;
    case Awaited::content:
    case Awaited::bdat_last:
      if (is_success(code)) count(accepted_, findings.accepted);
      if (is_refusal(code)) count(refusals_, findings.refusals);
      break;
    case Awaited::mail:
    case Awaited::bdat:
      if (is_refusal(code)) count(refusals_, findings.refusals);
      break;
    case Awaited::ehlo:
    case Awaited::other: break;
  }
  // Only DATA and AUTH know an intermediate reply; an extension that has one sends we know not what next.
  if (is_intermediate(code)) become(Opaque::out_of_step, findings);
}

void Dialogue::data_reply(uint16_t code, Findings& findings) noexcept {
  // Content came already, unless DATA is still the client's last word.
  const bool content_came = barrier_ != Verb::data || !outstanding_.empty();
  if (is_refusal(code)) count(refusals_, findings.refusals);
  if (content_came) {
    // Then the server reads as commands what we read as content.
    if (!is_intermediate(code)) become(Opaque::out_of_step, findings);
    return;
  }
  if (!is_intermediate(code)) return;
  mode_ = Mode::content;
  final_dot_.begin();
}

}  // namespace mire::smtp
