// fuzz_scanner.cc - the SMTP scanner over hostile bytes.
//
// The input is a dialogue: records of a head byte and a text. It is played twice, each record whole and cut into
// segments as the head says. Properties: no crash; the cut changes nothing in what is found; a part that is to be
// overwritten lies within the bytes of its call and spells X_PIPE_CONNECT with what went before; once opaque nothing
// more is found; a greeting once decided stays decided.
#include <algorithm>
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <tuple>

#include "dataplane/base/assert.h"
#include "dataplane/smtp/dialogue.h"
#include "dataplane/smtp/early.h"
#include "dataplane/smtp/greeting.h"

namespace {

using mire::smtp::Dialogue;
using mire::smtp::Findings;
using mire::smtp::GreetingResult;
using mire::smtp::GreetingScan;
using mire::smtp::Opaque;
using mire::smtp::Part;

// One record: who speaks, how the text is cut, how much of the server's a client has not read.
struct Record {
  bool from_client = false;
  uint8_t cut = 0;
  uint8_t unread = 0;
  std::string text;
};

const std::string kClientLines[] = {
    "EHLO c\r\n",
    "MAIL FROM:<a@b>\r\n",
    "MAIL FROM:<>\r\n",
    "RCPT TO:<b@c>\r\n",
    "DATA\r\n",
    "text\r\n",
    ".\r\n",
    "BDAT 3\r\nabc",
    "BDAT 300 LAST\r\n",
    "RSET\r\n",
    "NOOP\r\n",
    "QUIT\r\n",
    "AUTH LOGIN\r\n",
    "YQ==\r\n",
    "STARTTLS\r\n",
    "HELO c\r\n",
    "\r\n",
    "\r",
    "\n",
    "TURN\r\n",
    std::string(60, 'x'),
    std::string(127, 'x') + "\r\n",
    std::string(1000, 'x'),
};
const std::string kServerLines[] = {
    "250 ok\r\n",
    "354 go\r\n",
    "250-mx\r\n250-PIPECONNECT\r\n250 HELP\r\n",
    "550 no\r\n",
    "334 x\r\n",
    "235 ok\r\n",
    "421 bye\r\n",
    "250-part\r\n",
    "250 X_PIPE_CONNECT\r\n",
    "503 no\r\n",
    "220 go\r\n",
    "\r\n",
    "\r",
    "\n",
    "250-",
    "250 ",
    std::string(60, 'x'),
    std::string(1000, 'x'),
};

class Input {
 public:
  explicit Input(std::span<const uint8_t> bytes) : rest_(bytes) {}

  bool next(Record& record) {
    if (rest_.size() < 3) return false;
    const uint8_t head = rest_[0];
    record.from_client = (head & 1) != 0;
    record.unread = (head & 2) != 0 ? static_cast<uint8_t>(head >> 3) : 0;
    record.cut = rest_[1];
    const bool raw = (head & 4) != 0;
    const size_t length = std::min<size_t>(rest_[2], rest_.size() - 3);
    const std::span<const std::string> lines =
        record.from_client ? std::span<const std::string>(kClientLines) : kServerLines;
    record.text.clear();
    for (const uint8_t byte : rest_.subspan(3, length)) {
      if (byte < 0x80 || raw) {
        record.text += static_cast<char>(byte);
      } else {
        record.text += lines[(byte - 0x80u) % lines.size()];
      }
    }
    rest_ = rest_.subspan(3 + length);
    return true;
  }

 private:
  std::span<const uint8_t> rest_;
};

struct Outcome {
  Findings findings;
  Opaque opaque = Opaque::no;
  std::tuple<uint8_t, uint8_t, uint8_t, uint8_t, bool, uint32_t, uint32_t> totals;
  bool awaits_ehlo_reply = false;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

void check_parts(const Dialogue& dialogue, std::span<const uint8_t> piece, uint32_t at, const Findings& findings,
                 const std::string& said) {
  const Part ehlo = findings.ehlo, keyword = findings.keyword;
  MIRE_ASSERT(ehlo.begin + ehlo.length <= piece.size());
  MIRE_ASSERT(findings.ehlo_reply == (ehlo.length != 0));
  MIRE_ASSERT(keyword.begin + keyword.length <= piece.size());
  if (keyword.length == 0) return;
  MIRE_ASSERT(keyword.begin >= ehlo.begin);
  MIRE_ASSERT(dialogue.keyword_in(at, piece.size()) == keyword);
  std::string before = said.substr(0, said.size() - piece.size() + keyword.begin + keyword.length);
  std::transform(before.begin(), before.end(), before.begin(),
                 [](char c) { return static_cast<char>(std::toupper(static_cast<unsigned char>(c))); });
  MIRE_ASSERT(before.ends_with("PIPECONNECT") || before.ends_with("PIPE_CONNECT"));
}

Outcome play(std::span<const uint8_t> bytes, bool cut) {
  Dialogue dialogue;
  Outcome outcome;
  std::string said;  // by the server
  Input input(bytes);
  for (Record record{}; input.next(record);) {
    std::span<const uint8_t> rest{reinterpret_cast<const uint8_t*>(record.text.data()), record.text.size()};
    uint32_t chance = record.cut;
    while (!rest.empty()) {
      size_t length = rest.size();
      if (cut) {
        chance = chance * 1103515245u + 12345u;
        length = std::min<size_t>(rest.size(),
                                  record.cut % 3 == 0 ? 1 : (chance >> 16) % (record.cut % 3 == 1 ? 40 : 400) + 1);
      }
      const auto piece = rest.first(length);
      rest = rest.subspan(length);
      const Findings before = outcome.findings;
      const bool followed = dialogue.opaque() == Opaque::no;
      if (record.from_client) {
        dialogue.client(piece, static_cast<uint32_t>(said.size()) - record.unread, outcome.findings);
      } else {
        const auto at = static_cast<uint32_t>(said.size());
        said.append(piece.begin(), piece.end());
        dialogue.server(piece, outcome.findings);
        check_parts(dialogue, piece, at, outcome.findings, said);
      }
      Findings& found = outcome.findings;
      found.ehlo_reply = false;
      found.ehlo = found.keyword = {};
      MIRE_ASSERT(followed || found == before);
    }
  }
  outcome.opaque = dialogue.opaque();
  outcome.totals = {dialogue.unsynchronised(), dialogue.accepted(),    dialogue.unknown_recipients(),
                    dialogue.refusals(),       dialogue.null_sender(), dialogue.client_bytes(),
                    dialogue.server_bytes()};
  outcome.awaits_ehlo_reply = dialogue.awaits_ehlo_reply();
  return outcome;
}

void check_greeting(std::span<const uint8_t> bytes) {
  const GreetingScan whole = mire::smtp::scan_greeting(bytes);
  MIRE_ASSERT(whole.end <= bytes.size());
  GreetingScan before{GreetingResult::incomplete, 0};
  const size_t shown = std::min<size_t>(bytes.size(), 200);
  for (size_t n = 0; n <= shown; ++n) {
    const GreetingScan now = mire::smtp::scan_greeting(bytes.first(n));
    if (before.result != GreetingResult::incomplete) MIRE_ASSERT(now.result == before.result);
    if (before.result == GreetingResult::ready) MIRE_ASSERT(now.end == before.end);
    before = now;
  }
  if (before.result != GreetingResult::incomplete) MIRE_ASSERT(whole.result == before.result);
  MIRE_ASSERT(!(mire::smtp::is_hello(bytes) && mire::smtp::other_protocol(bytes)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const uint8_t> bytes{data, size};
  check_greeting(bytes);
  MIRE_ASSERT(play(bytes, false) == play(bytes, true));
  return 0;
}
