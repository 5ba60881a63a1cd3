// dns.h - a question to DNS and its answer as values, and whoever can be asked.
//
// Refuses to know sockets: the resolver asks servers, tests answer from a table.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/base/time.h"
#include "dataplane/wire/address.h"

namespace mire::lists {

// Read where an answer may come at any time; tests turn its hands.
using Clock = std::function<Time()>;

enum class QueryType : uint16_t { a = 1, mx = 15, txt = 16, aaaa = 28 };  // RFC 1035 3.2.2, RFC 3596

enum class DnsOutcome : uint8_t {
  answered,
  no_data,   // the name exists, without such a record
  no_name,   // NXDOMAIN
  failed,    // SERVFAIL, REFUSED, an answer that cannot be read
  timeout,   // no server answered in time
  too_many,  // not asked: too many questions on their way, or every server is put aside
};
inline constexpr size_t kDnsOutcomes = 6;
[[nodiscard]] std::string_view to_string(DnsOutcome) noexcept;

struct DnsAnswer {
  DnsOutcome outcome = DnsOutcome::failed;
  uint32_t ttl_s = 0;  // the smallest of the records; of no_data and no_name RFC 2308 5: of the SOA; 0: not said
  std::vector<wire::Address> addresses;  // a, aaaa
  std::vector<std::string> names;        // mx, best first, small letters
  std::vector<std::string> texts;        // txt: the strings of a record joined (RFC 7208 3.3)

  // RFC 7208 4.6.4 calls these void.
  [[nodiscard]] bool empty() const noexcept { return outcome == DnsOutcome::no_data || outcome == DnsOutcome::no_name; }
  // Nothing is known, and nothing may be concluded.
  [[nodiscard]] bool trouble() const noexcept { return !empty() && outcome != DnsOutcome::answered; }
};

class DnsSource {
 public:
  using Done = std::function<void(DnsAnswer)>;
  virtual ~DnsSource() = default;
  // `done` is called once, never before ask() returns, and not at all after the source is gone.
  virtual void ask(const std::string& name, QueryType, Done done) = 0;
};

// The answer in a DNS message. The caller has matched it with its question.
[[nodiscard]] DnsAnswer parse_answer(const uint8_t* message, size_t length, QueryType);

}  // namespace mire::lists
