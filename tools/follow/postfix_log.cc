#include "tools/follow/postfix_log.h"

#include <algorithm>

namespace mire::follow {
namespace {

// "name[address]:port"; a name that DNS does not know is `unknown`, and postscreen names nobody.
std::optional<Peer> take_client(Line& line) {
  if (!line.rest().starts_with('[') && !line.take_until("[ ")) return {};
  return take_bracketed(line);
}

std::optional<std::string_view> take_queue_id(Line& line) {
  Line ahead = line;
  const std::optional<std::string_view> id = ahead.take_until(":");
  const auto fine = [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); };
  if (!id || id->size() > 32 || !std::all_of(id->begin(), id->end(), fine) || !ahead.take(": ")) return {};
  line = ahead;
  return id;
}

// The enhanced codes of RFC 3463 3.2 that say that there is no such mailbox here.
bool names_no_mailbox(std::string_view code) {
  return code == "5.1.1" || code == "5.1.3" || code == "5.1.6" || code == "5.1.10";
}

// "550 5.1.1 text", "554 text", of a milter in cleanup "5.7.1 text"; nothing for what is not for good.
std::optional<Kind> kind_of(Line reply, std::string_view stage) {
  const std::string_view all = reply.rest();
  if (!all.starts_with('5')) return {};
  const std::optional<std::string_view> first = reply.take_word();
  if (!first || first->size() < 3) return {};
  if (stage != "RCPT") return Kind::refusal;
  const bool mailbox_code = *first == "550" || *first == "551" || *first == "553";
  const std::string_view second = reply.rest().substr(0, reply.rest().find(' '));
  const bool enhanced = second.size() >= 5 && second[0] == '5' && second[1] == '.';
  return mailbox_code && (!enhanced || names_no_mailbox(second)) ? Kind::unknown_recipient : Kind::refusal;
}

// "STAGE from name[address]:port: reply".
std::optional<Outcome> verdict(Line line) {
  const std::optional<std::string_view> stage = line.take_word();
  if (!stage || !line.take("from ")) return {};
  const std::optional<Peer> peer = take_client(line);
  if (!peer || !line.take(": ")) return {};
  const std::optional<Kind> kind = kind_of(line, *stage);
  if (!kind) return {};
  return Outcome{peer->address, peer->port, *kind, 1, {}};
}

std::optional<Outcome> acceptance(Line line) {
  if (!line.take("END-OF-MESSAGE from ")) return {};
  const std::optional<Peer> peer = take_client(line);
  if (!peer || !line.take(": 2")) return {};
  return Outcome{peer->address, peer->port, Kind::accepted, 1, {}};
}

// "postfix/smtpd" -> smtpd. Services for our own users have the service's name in the middle.
std::string_view program_of(std::string_view tag) {
  const size_t slash = tag.rfind('/');
  if (slash == std::string_view::npos) return {};
  for (const std::string_view own : {"/submission/", "/submissions/", "/smtps/"})
    if (tag.find(own) != std::string_view::npos) return {};
  return tag.substr(slash + 1);
}

}  // namespace

std::optional<Outcome> PostfixLog::take(std::string_view text) {
  Line line(text);
  if (!take_syslog_header(line)) return {};
  const std::optional<std::string_view> tag = take_tag(line);
  if (!tag) return {};
  const std::string_view program = program_of(*tag);
  if (program == "smtpd" || program == "postscreen") return smtpd(line);
  const std::optional<std::string_view> id = take_queue_id(line);
  if (!id) return {};
  if (program == "qmgr") return queue_manager(*id, line);
  if (program == "cleanup") return cleanup(*id, line);
  if (program == "smtp") return delivery(*id, line);
  return {};
}

std::optional<Outcome> PostfixLog::smtpd(Line line) {
  const std::optional<std::string_view> id = take_queue_id(line);
  if (!id) return {};
  if (line.take("client=")) {
    const std::optional<Peer> peer = take_client(line);
    const bool one_of_us = line.rest().find("sasl_username=") != std::string_view::npos;
    if (peer && !one_of_us && *id != "NOQUEUE") remember(*id, *peer);
    return {};
  }
  if (line.take("reject: ") || line.take("milter-reject: ") || line.take("proxy-reject: ")) return verdict(line);
  if (line.take("proxy-accept: ")) return acceptance(line);
  return {};
}

std::optional<Outcome> PostfixLog::queue_manager(std::string_view id, Line line) {
  const auto found = open_.find(std::string(id));
  if (found == open_.end()) return {};
  if (!line.take("from=")) {
    if (line.rest() == "removed") open_.erase(found);
    return {};
  }
  if (!line.rest().ends_with(" (queue active)")) return {};
  const Peer peer = found->second;
  open_.erase(found);
  return Outcome{peer.address, peer.port, Kind::accepted, 1, {}};
}

// Milters' verdicts at the end of the message, and header and body checks, which name the client in the midst of the
// stranger's text: that is taken from the queue id.
std::optional<Outcome> PostfixLog::cleanup(std::string_view id, Line line) {
  const auto found = open_.find(std::string(id));
  if (line.take("milter-reject: ")) {
    const std::optional<Outcome> outcome = verdict(line);
    if (outcome && found != open_.end()) {
      const Peer peer = found->second;
      open_.erase(found);
      return Outcome{peer.address, peer.port, outcome->kind, 1, {}};
    }
    return outcome;
  }
  if (found == open_.end() || (!line.take("reject: header ") && !line.take("reject: body "))) return {};
  const Peer peer = found->second;
  open_.erase(found);
  return Outcome{peer.address, peer.port, Kind::refusal, 1, {}};
}

// "to=<a@b>, orig_to=<c>, relay=host[address]:25, conn_use=2, delay=…, delays=…, dsn=2.0.0, status=sent (reply)".
std::optional<Outcome> PostfixLog::delivery(std::string_view id, Line line) {
  if (!line.take("to=")) return {};
  const std::optional<std::string_view> to = line.take_path();
  if (!to || !line.take(", ")) return {};
  if (line.take("orig_to=") && (!line.take_path() || !line.take(", "))) return {};
  if (!line.take("relay=")) return {};
  const std::optional<Peer> relay = take_client(line);
  if (!relay || relay->port != 25) return {};  // a filter, or a server of our own
  for (;;) {
    if (!line.take(", ")) return {};
    if (line.take("status=")) break;
    if (!line.take_until(",")) return {};
  }
  if (!line.take("sent (")) return {};
  Outcome outcome{relay->address, 0, Kind::outbound, 1, domain_of(*to)};
  std::string delivery = std::string(id).append(" ").append(wire::to_string(relay->address));
  delivery.append(" ").append(outcome.domain);
  if (std::exchange(last_delivery_, delivery) == delivery) return {};
  return outcome;
}

void PostfixLog::remember(std::string_view id, Peer peer) {
  if (!open_.insert_or_assign(std::string(id), peer).second) return;
  order_.emplace_back(id);
  while (order_.size() > kMostOpen) {
    open_.erase(order_.front());
    order_.pop_front();
  }
}

PostfixLog::Open PostfixLog::open() const { return {open_.begin(), open_.end()}; }

void PostfixLog::restore(const Open& open) {
  for (const auto& [id, peer] : open) remember(id, peer);
}

}  // namespace mire::follow
