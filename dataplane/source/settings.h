// settings.h - one commit of the operator's, as the lcores see it: immutable, swapped by pointer.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "dataplane/base/time.h"
#include "dataplane/policy/treatment.h"
#include "dataplane/smtp/reply_text.h"
#include "dataplane/source/class_table.h"
#include "dataplane/wire/address.h"
#include "dataplane/wire/offer.h"

namespace mire::source {

struct AddressHash {
  size_t operator()(const wire::Address&) const noexcept;
};

struct PenaltyRange {
  Duration first = std::chrono::minutes{1};  // for the first offence; doubled for each further one
  Duration most = std::chrono::hours{24};
};

// A penalty from before this dataplane began.
struct KeptPenalty {
  Time until{};
  Time last_offence{};
  uint32_t offences = 0;
};

// What a server taught an earlier dataplane (defer/server_profile.h).
struct KeptProfile {
  wire::Offer offer;
  uint16_t largest_segment = 0;
  std::string greeting;
  friend bool operator==(const KeptProfile&, const KeptProfile&) = default;
};

// What the operator says of one server.
struct ServerSettings {
  policy::Pace strangers;
  std::string greeting;  // of strangers; empty: the one that the server itself sends
};

struct Settings {
  uint64_t generation = 0;   // of mired's commits; 0: built in
  bool observe = false;      // the whole box
  bool fail_closed = false;  // for the eBPF programs; the lcores do not look at it
  uint64_t judges = 0;       // another number where other flows may be judged than before
  policy::Treatments treatments = policy::default_treatments();
  PenaltyRange penalty;
  policy::TrapRate trap;
  policy::Pace strangers;                             // of servers that `servers` does not name
  std::array<std::string, smtp::kOwnReplies> texts;   // of our own replies; empty: smtp::default_text()
  std::array<std::string, policy::kClasses> teasers;  // first lines of greetings, without CR LF
  ClassTable classes;
  std::unordered_set<wire::Address, AddressHash> protect;  // empty: every lan address
  std::unordered_map<wire::Address, ServerSettings, AddressHash> servers;
  // Servers that once offered PIPECONNECT: until when (our clock) an early EHLO to them is left to repetition rather
  // than reset. A time that has passed says that the server had its days.
  std::unordered_map<wire::Address, Time, AddressHash> early_hello_until;
  // By wire::source_of(client). Asked where a lcore's own table does not say otherwise.
  std::unordered_map<wire::Address, KeptPenalty, AddressHash> penalties;

  // By server and VLAN stack. Asked where a lcore has learned nothing itself.
  std::map<std::pair<wire::Address, uint64_t>, KeptProfile> profiles;

  // The kept penalty of a client's source, if it still runs.
  [[nodiscard]] const KeptPenalty* penalty_of(const wire::Address& client, Time now) const noexcept {
    if (penalties.empty()) return nullptr;
    const auto kept = penalties.find(wire::source_of(client));
    return kept != penalties.end() && kept->second.until > now ? &kept->second : nullptr;
  }
  [[nodiscard]] bool protects(const wire::Address& server) const noexcept {
    return protect.empty() || protect.contains(server);
  }
};

}  // namespace mire::source
