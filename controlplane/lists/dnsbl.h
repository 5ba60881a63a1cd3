// dnsbl.h - what DNSBL and DNSWL zones say of an address: asked from its proven handshake on, so that it costs no time.
//
// RFC 5782. All zones are asked at once; what each says is kept for its TTL. An answer that comes too late for this
// connection serves the next one. A zone that does not answer, answers with an error code (127.255.255/24), or from
// outside 127/8 says nothing at all: a failure never harms a source, and a zone that fails again and again is put
// aside. Bounded: sources kept, questions a second. Refuses to know what a weight is worth.
// IPv6: a source is a /64 (wire::source_of); asked is the address that came first.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "controlplane/lists/dns.h"
#include "controlplane/lists/settings.h"

namespace mire::lists {

// One rule that an answer met.
struct DnsblHit {
  std::string zone;
  wire::Address answer;
  double weight = 0;
  friend bool operator==(const DnsblHit&, const DnsblHit&) = default;
};

// All that the zones say of a source now.
struct Standing {
  double weight = 0;  // the sum of the hits
  std::vector<DnsblHit> hits;
  std::chrono::seconds good_for{};  // until the first of the hits is over, rounded up
  uint32_t zones_known = 0;         // zones whose answer is not older than its TTL
  uint32_t zones = 0;               // zones that there are
  bool asking = false;              // an answer is awaited
  [[nodiscard]] bool complete() const noexcept { return zones_known == zones; }
  friend bool operator==(const Standing&, const Standing&) = default;
};

// 192.0.2.1 -> "1.2.0.192.ZONE"; 2001:db8::1 -> "1.0.…8.b.d.0.1.0.0.2.ZONE" (RFC 5782 2.1, 2.4).
[[nodiscard]] std::string dnsbl_name(const wire::Address&, std::string_view zone);

// What one zone's answer is worth.
enum class ZoneWord : uint8_t { listed, not_listed, error_code, outside, trouble };
[[nodiscard]] ZoneWord zone_word(const DnsAnswer&) noexcept;
[[nodiscard]] bool counts(const Zone&, const wire::Address& answer) noexcept;

struct ZoneStatus {
  std::string name;
  uint64_t asked = 0;
  uint64_t listed = 0;
  uint64_t not_listed = 0;
  uint64_t error_codes = 0;  // 127.255.255/24: usually a public resolver, or too many questions
  uint64_t outside = 0;      // answers beyond 127/8
  uint64_t timeouts = 0;
  uint64_t failed = 0;
  bool aside = false;
  std::string last_trouble;
};

struct DnsblCounters {
  uint64_t wanted = 0;       // look-ups of sources
  uint64_t from_cache = 0;   // complete without a question
  uint64_t asked = 0;        // questions
  uint64_t over_budget = 0;  // questions not asked: too many this second
  uint64_t aside = 0;        // questions not asked: the zone is put aside
  uint64_t evicted = 0;      // sources that gave way in a full cache
};

class Dnsbl {
 public:
  // Called whenever a hit comes in, and when no more answers are awaited.
  using Heard = std::function<void(const wire::Address& source, const Standing&)>;

  Dnsbl(DnsSource&, Clock, Heard);
  ~Dnsbl();
  Dnsbl(const Dnsbl&) = delete;
  Dnsbl& operator=(const Dnsbl&) = delete;

  // What is known stays for zones that stay.
  void configure(std::vector<Zone>, uint32_t per_second, uint32_t most_sources);

  // Asks what is not known; the answers come to Heard. What is known already is returned.
  Standing want(const wire::Address& client);
  // Asks nothing.
  [[nodiscard]] Standing standing(const wire::Address& client) const;

  [[nodiscard]] std::vector<ZoneStatus> zones() const;
  [[nodiscard]] const DnsblCounters& counters() const noexcept;
  [[nodiscard]] size_t sources() const noexcept;

 private:
  struct State;  // answers that come after us find it gone
  std::shared_ptr<State> state_;
};

}  // namespace mire::lists
