// script.h - dialogues as tests write them: who says what, and how much of the server's bytes each client segment
// acknowledges.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/smtp/dialogue.h"

namespace mire::smtp::test {

inline std::span<const uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

struct Turn {
  enum class From : uint8_t { client, server } from;
  std::string text;
  uint32_t unread = 0;  // client: how many of the server's bytes so far it does not acknowledge
};

inline Turn C(std::string text) { return {Turn::From::client, std::move(text), 0}; }
inline Turn C_unread(uint32_t unread, std::string text) { return {Turn::From::client, std::move(text), unread}; }
inline Turn S(std::string text) { return {Turn::From::server, std::move(text), 0}; }

using Script = std::vector<Turn>;

// Lengths of the pieces that a text is cut into.
using Cut = std::function<std::vector<size_t>(size_t length)>;

inline std::vector<size_t> whole(size_t length) { return {length}; }
inline std::vector<size_t> byte_by_byte(size_t length) { return std::vector<size_t>(length, 1); }
inline Cut two_pieces(size_t first) {
  return [first](size_t length) {
    return length <= first ? std::vector<size_t>{length} : std::vector<size_t>{first, length - first};
  };
}
inline Cut random_pieces(std::mt19937& random) {
  return [&random](size_t length) {
    std::vector<size_t> pieces;
    while (length != 0) {
      const size_t most = std::min<size_t>(length, random() % 4 == 0 ? 200 : 12);
      pieces.push_back(random() % most + 1);
      length -= pieces.back();
    }
    return pieces;
  };
}

struct Outcome {
  Findings findings;       // of all calls; the parts, which depend on the cut, left out
  size_t keyword_end = 0;  // of the first, in the server's bytes; 0: none was found
  uint64_t ehlo_bytes = 0;
  Opaque opaque = Opaque::no;
  std::vector<uint32_t> totals;
  bool awaits_ehlo_reply = false;

  friend bool operator==(const Outcome&, const Outcome&) = default;
};

inline Outcome play(const Script& script, const Cut& cut = whole) {
  Dialogue dialogue;
  Outcome outcome;
  uint32_t said = 0;  // by the server
  for (const Turn& turn : script) {
    std::span<const uint8_t> rest = bytes_of(turn.text);
    for (const size_t piece : cut(rest.size())) {
      if (turn.from == Turn::From::client) {
        dialogue.client(rest.first(piece), said - turn.unread, outcome.findings);
      } else {
        dialogue.server(rest.first(piece), outcome.findings);
        const Part keyword = outcome.findings.keyword;
        if (keyword.length != 0 && outcome.keyword_end == 0)
          outcome.keyword_end = said + keyword.begin + keyword.length;
        outcome.ehlo_bytes += outcome.findings.ehlo.length;
        said += static_cast<uint32_t>(piece);
      }
      rest = rest.subspan(piece);
    }
  }
  outcome.findings.ehlo_reply = false;
  outcome.findings.ehlo = outcome.findings.keyword = {};
  outcome.opaque = dialogue.opaque();
  outcome.totals = {dialogue.unsynchronised(), dialogue.accepted(),    dialogue.unknown_recipients(),
                    dialogue.refusals(),       dialogue.null_sender(), dialogue.client_bytes(),
                    dialogue.server_bytes()};
  outcome.awaits_ehlo_reply = dialogue.awaits_ehlo_reply();
  return outcome;
}

}  // namespace mire::smtp::test
