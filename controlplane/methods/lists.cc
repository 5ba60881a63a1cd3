#include "controlplane/methods/lists.h"

#include <fmt/format.h>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json.hpp>

#include "controlplane/api/params.h"
#include "dataplane/policy/policy.h"

namespace mire::methods {
namespace {

namespace asio = boost::asio;
namespace json = boost::json;

using namespace lists;

constexpr std::chrono::milliseconds kBetweenLooks{20};
constexpr std::chrono::seconds kPatience{10};

json::string_view view(std::string_view text) { return {text.data(), text.size()}; }
json::value text_or_null(std::string_view text) {
  return text.empty() ? json::value(nullptr) : json::value(view(text));
}

// What is not there is nobody; what is no address is an error.
Result<std::optional<wire::Address>> address(const json::value& given) {
  api::Params params(given, {"address"});
  const std::optional<std::string> text = params.text("address");
  if (const Status s = params.status(); !s) return Error{s.error()};
  if (!text) return std::optional<wire::Address>{};
  const std::optional<wire::Address> parsed = wire::parse_address(*text);
  if (!parsed) return Error{fmt::format("address {}: no IP address; try 192.0.2.1 or 2001:db8::1", *text)};
  return parsed;
}

json::array texts(const std::vector<wire::Prefix>& prefixes) {
  json::array all;
  for (const wire::Prefix& p : prefixes) all.emplace_back(wire::to_string(p));
  return all;
}

json::object feed(const FeedStatus& status) {
  json::object o{{"name", status.feed.name},
                 {"kind", "feed"},
                 {"class", view(policy::to_string(status.feed.source_class))},
                 {"file", status.feed.file},
                 {"format", view(to_string(status.feed.format))},
                 {"prefixes", status.entries},
                 {"skipped", status.skipped},
                 {"reads", status.reads},
                 {"refusals", status.refusals},
                 {"trouble", text_or_null(status.trouble)}};
  o["written"] = status.written_at ? json::value(status.written_at->time_since_epoch().count()) : json::value(nullptr);
  return o;
}

json::object domain(const DomainStatus& status, bool with_prefixes) {
  json::object o{{"name", status.name},
                 {"kind", "domain"},
                 {"outcome", view(to_string(status.outcome))},
                 {"why", text_or_null(status.why)},
                 {"prefixes", status.prefixes.size()},
                 {"lookups", status.lookups},
                 {"void_lookups", status.void_lookups},
                 {"skipped", status.skipped},
                 {"too_wide", status.too_wide},
                 {"failures", status.failures},
                 {"next_seconds", status.next.count()}};
  o["age_seconds"] = status.age ? json::value(status.age->count()) : json::value(nullptr);
  if (status.source_class) o["class"] = view(policy::to_string(*status.source_class));
  if (with_prefixes) o["list"] = texts(status.prefixes);
  return o;
}

json::object standing(const wire::Address& who, const Standing& s) {
  json::array hits;
  for (const DnsblHit& hit : s.hits)
    hits.push_back(json::object{{"zone", hit.zone}, {"answer", wire::to_string(hit.answer)}, {"weight", hit.weight}});
  return {{"address", wire::to_string(who)}, {"weight", s.weight},
          {"hits", std::move(hits)},         {"zones", s.zones},
          {"known", s.zones_known},          {"asking", s.asking},
          {"complete", s.complete()},        {"good_for_seconds", s.good_for.count()}};
}

api::Answer lists_show(const Lists& lists, const json::value& params) {
  const Result<std::optional<wire::Address>> who = address(params);
  if (!who) return Error{who.error()};
  const ClassPrefixes& merged = lists.feeds().merged();
  if (*who) {
    json::array held;
    for (const auto& [name, prefix] : merged.lists_with(**who))
      held.push_back(json::object{{"list", name}, {"prefix", wire::to_string(prefix)}});
    json::object o{{"address", wire::to_string(**who)}, {"lists", std::move(held)}};
    const auto found = merged.find(**who);
    o["class"] = found ? json::value(view(policy::to_string(found->entry->source_class))) : json::value(nullptr);
    o["by"] = found ? json::value(*found->list) : json::value(nullptr);
    return json::value(std::move(o));
  }
  json::array all;
  for (const FeedStatus& status : lists.feeds().status()) all.push_back(feed(status));
  for (const DomainStatus& status : lists.domains().configured())
    if (status.source_class) all.push_back(domain(status, false));
  return json::value(json::object{{"lists", std::move(all)},
                                  {"published", merged.published().size()},
                                  {"in_several_lists", merged.shared()},
                                  {"conflicts", merged.conflicts()},
                                  {"reading", lists.feeds().busy()}});
}

json::value dnsbl_show(const Lists& lists) {
  json::array zones;
  for (const ZoneStatus& zone : lists.dnsbl().zones()) {
    json::array rules;
    for (const Zone& rule : lists.settings().zones) {
      if (rule.name != zone.name) continue;
      json::array answers;
      for (const AnswerFilter& filter : rule.answers) answers.emplace_back(to_string(filter));
      rules.push_back(json::object{{"weight", rule.weight}, {"answers", std::move(answers)}});
    }
    zones.push_back(json::object{{"zone", zone.name},
                                 {"rules", std::move(rules)},
                                 {"asked", zone.asked},
                                 {"listed", zone.listed},
                                 {"not_listed", zone.not_listed},
                                 {"error_codes", zone.error_codes},
                                 {"outside_127", zone.outside},
                                 {"timeouts", zone.timeouts},
                                 {"failed", zone.failed},
                                 {"aside", zone.aside},
                                 {"last_trouble", text_or_null(zone.last_trouble)}});
  }
  json::array servers;
  for (const ServerStatus& server : lists.resolver().servers())
    servers.push_back(json::object{{"server", server.server},
                                   {"asked", server.asked},
                                   {"answered", server.answered},
                                   {"timeouts", server.timeouts},
                                   {"failed", server.failed},
                                   {"aside", server.aside}});
  const DnsblCounters& c = lists.dnsbl().counters();
  json::object outcomes;
  for (size_t i = 0; i < kDnsOutcomes; ++i)
    outcomes[view(to_string(static_cast<DnsOutcome>(i)))] = lists.resolver().outcomes()[i];
  return json::object{{"zones", std::move(zones)},
                      {"servers", std::move(servers)},
                      {"sources", lists.dnsbl().sources()},
                      {"counters", json::object{{"wanted", c.wanted},
                                                {"from_cache", c.from_cache},
                                                {"asked", c.asked},
                                                {"over_budget", c.over_budget},
                                                {"aside", c.aside},
                                                {"evicted", c.evicted}}},
                      {"dns", std::move(outcomes)},
                      {"outstanding", lists.resolver().outstanding()}};
}

asio::awaitable<api::Answer> dnsbl_test(Lists& lists, json::value params) {
  const Result<std::optional<wire::Address>> who = address(params);
  if (!who) co_return Error{who.error()};
  if (!*who) co_return Error{"address: wanted; try {\"address\": \"192.0.2.1\"}"};
  Standing now = lists.proven(**who);
  asio::steady_timer timer(co_await asio::this_coro::executor);
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (now.asking && std::chrono::steady_clock::now() < end) {
    timer.expires_after(kBetweenLooks);
    co_await timer.async_wait(asio::use_awaitable);
    now = lists.dnsbl().standing(**who);
  }
  co_return json::value(standing(**who, now));
}

api::Answer groups_show(const Lists& lists, const json::value& given) {
  api::Params params(given, {"group"});
  const std::optional<std::string> wanted = params.text("group");
  if (const Status status = params.status(); !status) return Error{status.error()};
  json::array groups;
  for (const Group& group : lists.groups()) {
    if (wanted && group.name != *wanted) continue;
    json::array domains;
    for (const DomainStatus& status : lists.domains().configured())
      if (status.group == group.name) domains.push_back(domain(status, wanted != std::nullopt));
    json::object o{{"name", group.name}, {"domains", std::move(domains)}, {"prefixes", group.prefixes.size()}};
    if (wanted) o["list"] = texts(group.prefixes);
    groups.push_back(std::move(o));
  }
  if (wanted && groups.empty()) return Error{fmt::format("group {}: not known; see show groups", *wanted)};
  const DomainCounters& c = lists.domains().counters();
  return json::value(json::object{{"groups", std::move(groups)},
                                  {"recipient_domains", lists.domains().recipients().size()},
                                  {"counters", json::object{{"walks", c.walks},
                                                            {"found", c.found},
                                                            {"cut_short", c.cut_short},
                                                            {"none", c.none},
                                                            {"trouble", c.trouble},
                                                            {"too_wide", c.too_wide},
                                                            {"delivered", c.delivered},
                                                            {"not_a_domain", c.not_a_domain},
                                                            {"over_budget", c.over_budget},
                                                            {"evicted", c.evicted}}}});
}

}  // namespace

api::Methods lists_methods(Lists& lists) {
  api::Methods all{
      {"lists.show",
       api::reads([&lists](const json::value& params, const api::Caller&) { return lists_show(lists, params); })},
      {"dnsbl.show", api::reads([&lists](const json::value&, const api::Caller&) { return dnsbl_show(lists); })},
      {"groups.show",
       api::reads([&lists](const json::value& params, const api::Caller&) { return groups_show(lists, params); })}};
  all["dnsbl.test"] = {api::Right::read, [&lists](json::value params, const api::Caller&) {
                         return dnsbl_test(lists, std::move(params));
                       }};
  return all;
}

}  // namespace mire::methods
