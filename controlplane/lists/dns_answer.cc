// A DNS message becomes an answer, by the C library's own reader of messages.
#include <arpa/nameser.h>
#include <resolv.h>

#include <algorithm>
#include <array>
#include <limits>

#include "controlplane/lists/dns.h"

namespace mire::lists {
namespace {

constexpr std::array<std::string_view, kDnsOutcomes> kNames = {"answered", "no_data", "no_name",
                                                               "failed",   "timeout", "too_many"};
constexpr size_t kMostRecords = 256;  // of one answer; more serve nobody
constexpr size_t kLongestText = 8'192;

struct Records {
  std::vector<std::pair<uint16_t, std::string>> exchanges;
  uint32_t ttl = std::numeric_limits<uint32_t>::max();
  bool any = false;
};

void take_text(const ns_rr& rr, DnsAnswer& into) {
  std::string text;
  const uint8_t* p = ns_rr_rdata(rr);
  for (size_t left = ns_rr_rdlen(rr); left > 0;) {
    const size_t length = std::min<size_t>(*p, left - 1);
    text.append(reinterpret_cast<const char*>(p + 1), length);
    p += length + 1;
    left -= length + 1;
  }
  if (text.size() <= kLongestText) into.texts.push_back(std::move(text));
}

void take_exchange(const ns_msg& message, const ns_rr& rr, Records& records) {
  char name[NS_MAXDNAME];
  if (ns_rr_rdlen(rr) < 3) return;
  const uint8_t* p = ns_rr_rdata(rr);
  if (ns_name_uncompress(ns_msg_base(message), ns_msg_end(message), p + 2, name, sizeof name) < 0) return;
  std::string lower(name);
  for (char& c : lower) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  records.exchanges.emplace_back(ns_get16(p), std::move(lower));
}

// RFC 2308 5: a negative answer lives as long as the smaller of the SOA's TTL and its last field.
uint32_t negative_ttl(ns_msg& message) {
  for (int i = 0; i < ns_msg_count(message, ns_s_ns); ++i) {
    ns_rr rr;
    if (ns_parserr(&message, ns_s_ns, i, &rr) != 0) return 0;
    if (ns_rr_type(rr) != ns_t_soa || ns_rr_rdlen(rr) < 4) continue;
    const uint8_t* last = ns_rr_rdata(rr) + ns_rr_rdlen(rr) - 4;
    return std::min<uint32_t>(ns_rr_ttl(rr), static_cast<uint32_t>(ns_get32(last)));
  }
  return 0;
}

}  // namespace

std::string_view to_string(DnsOutcome outcome) noexcept { return kNames[static_cast<size_t>(outcome)]; }

DnsAnswer parse_answer(const uint8_t* bytes, size_t length, QueryType type) {
  DnsAnswer answer;
  ns_msg message;
  if (length > 65'535 || ns_initparse(bytes, static_cast<int>(length), &message) != 0) return answer;
  const auto code = ns_msg_getflag(message, ns_f_rcode);
  if (code != ns_r_noerror && code != ns_r_nxdomain) return answer;
  Records records;
  for (int i = 0; i < ns_msg_count(message, ns_s_an); ++i) {
    ns_rr rr;
    if (ns_parserr(&message, ns_s_an, i, &rr) != 0) return {};
    records.ttl = std::min<uint32_t>(records.ttl, ns_rr_ttl(rr));  // of the aliases on the way, too
    if (ns_rr_class(rr) != ns_c_in || ns_rr_type(rr) != static_cast<int>(type)) continue;
    if (answer.addresses.size() + answer.texts.size() + records.exchanges.size() >= kMostRecords) break;
    records.any = true;
    switch (type) {
      case QueryType::a:
        if (ns_rr_rdlen(rr) == 4) answer.addresses.push_back(wire::Address::v4_at(ns_rr_rdata(rr)));
        break;
      case QueryType::aaaa:
        if (ns_rr_rdlen(rr) == 16) answer.addresses.push_back(wire::Address::v6_at(ns_rr_rdata(rr)));
        break;
      case QueryType::mx: take_exchange(message, rr, records); break;
      case QueryType::txt: take_text(rr, answer); break;
    }
  }
  if (records.any) {
    std::sort(records.exchanges.begin(), records.exchanges.end());
    for (auto& [preference, name] : records.exchanges) answer.names.push_back(std::move(name));
    answer.outcome = DnsOutcome::answered;
    answer.ttl_s = records.ttl;
    return answer;
  }
  answer.outcome = code == ns_r_nxdomain ? DnsOutcome::no_name : DnsOutcome::no_data;
  answer.ttl_s = negative_ttl(message);
  return answer;
}

}  // namespace mire::lists
