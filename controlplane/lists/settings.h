// settings.h - what an operator says about lists: feeds, DNS servers, DNSBL zones, domains whose SPF is trusted.
//
// Plain values with their defaults; config fills them from the model. Refuses to know the configuration's grammar.
// Durations are seconds or milliseconds as their type says; addresses are in network byte order (wire/address.h).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/base/result.h"
#include "dataplane/policy/types.h"
#include "dataplane/wire/address.h"

namespace mire::lists {

// plain: an address or prefix a line. drop: `prefix ; SBLid`. json: DROP version 2, a JSON object a line. crowdsec: a
// JSON list of decisions. fail2ban: what `fail2ban-client get JAIL banip` and `status JAIL` print.
enum class FeedFormat : uint8_t { plain, drop, json, crowdsec, fail2ban };
inline constexpr size_t kFeedFormats = 5;
[[nodiscard]] std::string_view to_string(FeedFormat) noexcept;
[[nodiscard]] std::optional<FeedFormat> feed_format(std::string_view name) noexcept;

struct Feed {
  std::string name;
  std::string file;
  FeedFormat format = FeedFormat::plain;
  policy::SourceClass source_class = policy::SourceClass::blocked;
  friend bool operator==(const Feed&, const Feed&) = default;
};

// Which answers of a zone count. A range of 127/8, or any of some bits: `127.0.0.2`, `127.0.0.2-11`,
// `127.0.0.2-127.0.0.11`, `127.0.1.0/24`, `&0.0.0.12` (bits 4 or 8 are set). Numbers are in host byte order.
struct AnswerFilter {
  uint32_t low = 0;
  uint32_t high = 0;
  uint32_t bits = 0;  // not 0: low and high mean nothing
  friend bool operator==(const AnswerFilter&, const AnswerFilter&) = default;
};
// The error says why and what to do.
[[nodiscard]] Result<AnswerFilter> parse_answer_filter(std::string_view);
[[nodiscard]] std::string to_string(const AnswerFilter&);

// One rule; a zone may be named by several rules with filters of their own and is asked once.
struct Zone {
  std::string name;                   // zen.example
  double weight = 1;                  // negative: an allow list (DNSWL)
  std::vector<AnswerFilter> answers;  // none: each address of 127/8 but 127.0.0.1
  friend bool operator==(const Zone&, const Zone&) = default;
};

// A domain whose SPF record names the senders of one provider.
struct Domain {
  std::string name;                                 // gmail.com
  std::optional<policy::SourceClass> source_class;  // `class trusted { domain gmail.com; }`
  std::string group;                                // `group NAME { domain D; }`; `class … domain D`: D itself
  friend bool operator==(const Domain&, const Domain&) = default;
};

struct DnsServer {
  wire::Address address;
  uint16_t port = 53;
  friend bool operator==(const DnsServer&, const DnsServer&) = default;
};

struct Dns {
  std::vector<DnsServer> servers;           // none: the machine's (/etc/resolv.conf)
  std::chrono::milliseconds timeout{2000};  // for one try; a question is tried twice
  size_t outstanding = 512;                 // questions on their way
  friend bool operator==(const Dns&, const Dns&) = default;
};

struct Settings {
  std::vector<Feed> feeds;  // earlier ones give an entry its name when several hold it
  std::vector<Zone> zones;
  std::vector<Domain> domains;
  Dns dns;
  uint32_t dnsbl_per_second = 500;    // DNS questions of all zones together
  uint32_t dnsbl_cache = 200'000;     // sources
  bool outbound_trust = true;         // SPF of the recipients' domains
  uint32_t outbound_per_minute = 30;  // domains looked up, each with up to 10 look-ups and their addresses
  uint32_t outbound_domains = 4'096;  // kept
  friend bool operator==(const Settings&, const Settings&) = default;
};

// A name that may be asked of DNS: labels of 1 to 63 letters, digits, '-' and '_', at most 253 bytes, at least one dot.
[[nodiscard]] bool is_domain(std::string_view) noexcept;

}  // namespace mire::lists
