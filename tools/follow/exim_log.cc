#include "tools/follow/exim_log.h"

#include <algorithm>
#include <array>
#include <utility>

namespace mire::follow {
namespace {

constexpr std::array<std::string_view, 8> kNoMailbox = {"unrouteable address", "unknown user",      "user unknown",
                                                        "no such user",        "no such recipient", "unknown recipient",
                                                        "mailbox not found",   "does not exist"};

// "2026-11-24 16:00:00", with fractions and a zone if so configured; behind it perhaps "[pid]".
bool take_time(Line& line) {
  Line ahead = line;
  const std::optional<std::string_view> date = ahead.take_word();
  const std::optional<std::string_view> clock = ahead.take_word();
  if (!date || date->size() != 10 || (*date)[4] != '-' || (*date)[7] != '-') return false;
  if (!clock || clock->size() < 8 || (*clock)[2] != ':') return false;
  if (ahead.rest().starts_with('+') || ahead.rest().starts_with('-'))
    if (Line zone = ahead; (zone.take("+") || zone.take("-")) && zone.take_number(9'999) && zone.take(" "))
      ahead = zone;
  if (Line pid = ahead; pid.take("[") && pid.take_number(~uint32_t{0}) && pid.take("] ")) ahead = pid;
  line = ahead;
  return true;
}

// 1abcDE-0001Fg-2h, or since Exim 4.97 1abcDE-0000000012Fg-2hij.
std::optional<std::string_view> take_message_id(Line& line) {
  Line ahead = line;
  const std::optional<std::string_view> word = ahead.take_word();
  if (!word || (word->size() != 16 && word->size() != 23)) return {};
  const auto fine = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-';
  };
  if (!std::all_of(word->begin(), word->end(), fine) || (*word)[6] != '-') return {};
  line = ahead;
  return word;
}

// "H=name (helo) [address]:port", each of the first two perhaps not there. A HELO with a blank in it is not read: who
// made it could have written the rest, too.
std::optional<Peer> take_host(Line& line) {
  if (!line.take("H=")) return {};
  if (!line.rest().starts_with('(') && !line.rest().starts_with('[') && !line.take_word()) return {};
  if (line.take("(")) {
    if (!line.take_until(" )") || !line.take(") ")) return {};
  }
  return take_bracketed(line);
}

bool holds(std::string_view text, std::string_view lower) {
  const auto same = [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b; };
  return std::search(text.begin(), text.end(), lower.begin(), lower.end(), same) != text.end();
}

// "H=… [address] X=… F=<sender> rejected RCPT <recipient>: why". "temporarily rejected" is not for good.
std::optional<Outcome> refusal(Line line) {
  const std::optional<Peer> peer = take_host(line);
  if (!peer || !line.take(" ")) return {};
  while (!line.take("rejected ")) {
    const std::optional<std::string_view> field = line.take_field();
    if (!field || field->find('=') == std::string_view::npos || field->starts_with("A=")) return {};
  }
  Outcome outcome{peer->address, peer->port, Kind::refusal, 1, {}};
  if (line.take("RCPT ")) {
    if (!line.take_path() || !line.take(":")) return outcome;
    const bool unknown = std::any_of(kNoMailbox.begin(), kNoMailbox.end(),
                                     [&](std::string_view words) { return holds(line.rest(), words); });
    if (unknown) outcome.kind = Kind::unknown_recipient;
    return outcome;
  }
  if (line.take("MAIL ") || line.take("after DATA") || line.take("DATA") || line.take("during ")) return outcome;
  return {};
}

// "<= sender H=… P=… A=…": with A= it is one of our users.
std::optional<Outcome> arrival(Line line) {
  if (!line.take_field()) return {};
  const std::optional<Peer> peer = take_host(line);
  if (!peer || (!line.empty() && !line.take(" "))) return {};
  while (const std::optional<std::string_view> field = line.take_field())
    if (field->starts_with("A=")) return {};
  return Outcome{peer->address, peer->port, Kind::accepted, 1, {}};
}

}  // namespace

std::optional<Outcome> EximLog::take(std::string_view text) {
  Line line(text);
  if (Line syslog = line; take_syslog_header(syslog))
    if (const std::optional<std::string_view> tag = take_tag(syslog); tag && tag->starts_with("exim")) line = syslog;
  (void)take_time(line);  // by syslog it need not be there
  const std::optional<std::string_view> id = take_message_id(line);
  if (line.rest().starts_with("H=")) return refusal(line);
  if (!id) return {};
  if (line.take("<= ")) return arrival(line);
  if (line.take("=> ") || line.take("-> ")) return delivery(*id, line);
  return {};
}

// "user@domain <original> R=… T=… H=host [address] …".
std::optional<Outcome> EximLog::delivery(std::string_view id, Line line) {
  const std::optional<std::string_view> to = line.take_field();
  if (!to) return {};
  while (!line.rest().starts_with("H="))
    if (!line.take_field()) return {};
  const std::optional<Peer> server = take_host(line);
  if (!server || (server->port != 0 && server->port != 25)) return {};
  Outcome outcome{server->address, 0, Kind::outbound, 1, domain_of(*to)};
  std::string delivery = std::string(id).append(" ").append(wire::to_string(server->address));
  delivery.append(" ").append(outcome.domain);
  if (std::exchange(last_delivery_, delivery) == delivery) return {};
  return outcome;
}

}  // namespace mire::follow
