#include "controlplane/learning/methods.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <initializer_list>

#include "controlplane/api/params.h"

namespace mire::learning {
namespace {

namespace json = boost::json;
using reputation::Engine;
using reputation::Kind;
using reputation::WallSeconds;

constexpr int64_t kMostRanked = 1000;
constexpr double kLeastWeight = 0.01;
constexpr double kMostWeight = 100;

json::string text(std::string_view s) { return json::string(s.data(), s.size()); }
int64_t seconds_of(WallSeconds t) { return t.time_since_epoch().count(); }

Result<wire::Address> address_of(std::string_view name, const std::optional<std::string>& text) {
  if (!text) return Error{fmt::format("{}: missing; say whose, as 192.0.2.1 or 2001:db8::1", name)};
  const auto a = wire::parse_address(*text);
  if (!a) return Error{fmt::format("{}: {}: not an address; write it as 192.0.2.1 or 2001:db8::1", name, *text)};
  if (!reputation::key_of(*a))
    return Error{
        fmt::format("{}: {}: no mail comes from there; say an IPv4 address, or an IPv6 one beyond ::/8", name, *text)};
  return *a;
}

// The word's value; without a word the default, if there is one.
template <typename T>
Result<T> choice(std::string_view name, const std::optional<std::string>& word, std::optional<T> without,
                 std::initializer_list<std::pair<std::string_view, T>> words) {
  if (!word && without) return *without;
  std::string known;
  for (const auto& [w, value] : words) {
    if (word == w) return value;
    known.append(known.empty() ? "" : ", ").append(w);
  }
  if (!word) return Error{fmt::format("{}: missing; use {}", name, known)};
  return Error{fmt::format("{}: {}: not known; use {}", name, *word, known)};
}

json::array reasons_of(const reputation::Judgement& j) {
  json::array out;
  for (const reputation::Reason& r : j.reasons())
    out.push_back(json::object{
        {"kind", text(to_string(r.kind))}, {"text", text(describe(r.kind))}, {"count", r.count}, {"points", r.points}});
  return out;
}

json::array shared_of(const reputation::View& v) {
  json::array out;
  for (const reputation::View::Shared& s : v.shared)
    out.push_back(json::object{{"group", s.name.empty() ? json::value(nullptr) : json::value(text(s.name))},
                               {"prefix", wire::to_string(s.prefix)},
                               {"class", text(policy::to_string(s.source_class))}});
  return out;
}

std::string_view name_of(reputation::RateStep s) {
  switch (s) {
    case reputation::RateStep::calm: return "calm";
    case reputation::RateStep::delayed: return "delayed";
    case reputation::RateStep::suspect: return "suspect";
  }
  return "?";
}

json::object shown(const reputation::View& v, const Engine& engine, WallSeconds now) {
  const reputation::Evidence& e = v.evidence;
  const reputation::Judgement& j = v.judgement;
  const auto left = [&](uint32_t until) { return std::max<int64_t>(0, until - seconds_of(now)); };
  const bool idle = reputation::to_u32(now) > e.last_seen + 86'400;
  json::object o{{"source", wire::to_string(v.prefix)},
                 {"class", text(policy::to_string(j.source_class))},
                 {"own_class", text(policy::to_string(j.own))},
                 {"ground", text(to_string(j.ground))},
                 {"ground_text", text(describe(j.ground))},
                 {"score", j.score},
                 {"since_seconds", std::max<int64_t>(0, (now - v.since).count())},
                 {"reasons", reasons_of(j)},
                 {"connections", e.connections}};
  o["first_seen"] = e.first_seen != 0 ? json::value(e.first_seen) : json::value(nullptr);
  o["last_seen"] = e.last_seen != 0 ? json::value(e.last_seen) : json::value(nullptr);
  o["penalty"] = json::object{{"left_seconds", left(e.penalty_until)}, {"offences", e.offences}};
  o["rate"] = json::object{{"learned_per_minute", e.rate.learned},
                           {"now_per_minute", reputation::rate_now(e.rate, idle, now)},
                           {"limit_per_minute", reputation::rate_limit(e.rate.learned, engine.settings().rate)},
                           {"step", text(name_of(j.step))},
                           {"calm_in_seconds", j.step == reputation::RateStep::calm ? 0 : left(e.rate.calm_at)}};
  o["shared"] = shared_of(v);
  return o;
}

json::object by_class(const auto& counts) {
  json::object o;
  for (size_t i = 0; i < policy::kClasses; ++i)
    if (counts[i] != 0) o[text(policy::to_string(static_cast<policy::SourceClass>(i)))] = counts[i];
  return o;
}

json::object summary_of(const Engine& engine) {
  constexpr size_t kEights = 10;
  const reputation::Summary s = engine.summary();
  std::vector<reputation::Eight> eights = engine.eights();
  const auto bad = [](const reputation::Eight& e) {
    return e.by_class[static_cast<size_t>(policy::SourceClass::suspect)] +
           e.by_class[static_cast<size_t>(policy::SourceClass::blocked)];
  };
  std::stable_sort(eights.begin(), eights.end(), [&](const auto& a, const auto& b) { return bad(a) > bad(b); });
  eights.resize(std::min(eights.size(), kEights));
  json::array worst;
  for (const reputation::Eight& e : eights)
    worst.push_back(json::object{{"prefix", fmt::format("{}.0.0.0/8", e.first)}, {"classes", by_class(e.by_class)}});
  return json::object{{"sources", s.sources},
                      {"capacity", engine.settings().capacity},
                      {"classes", by_class(s.by_class)},
                      {"networks", s.networks},
                      {"groups", s.groups},
                      {"dnsbl_standings", s.standings},
                      {"class_changes", s.changes},
                      {"evicted", s.evicted},
                      {"networks_evicted", s.networks_evicted},
                      {"groups_evicted", s.groups_evicted},
                      {"not_a_source", s.no_source},
                      {"standings_full", s.standings_full},
                      {"not_restored", s.not_restored},
                      {"timers", s.timers},
                      {"worst_prefixes", std::move(worst)}};
}

// Of whom nothing is known.
reputation::View stranger(const wire::Address& client, WallSeconds now) {
  reputation::View v;
  v.prefix = {wire::source_of(client), static_cast<uint8_t>(client.is_v4() ? 32 : 64)};
  v.since = now;
  return v;
}

// The one parameter that is an address.
Result<wire::Address> only_address(const json::value& given) {
  api::Params params(given, {"address"});
  const auto text = params.text("address");
  if (const Status bad = params.status(); !bad) return Error{bad.error()};
  return address_of("address", text);
}

api::Answer show(const Engine& engine, const json::value& given, WallSeconds now) {
  const Result<wire::Address> address = only_address(given);
  if (!address) return Error{address.error()};
  const auto view = engine.view(*address, now);
  return json::value(shown(view.value_or(stranger(*address, now)), engine, now));
}

api::Answer top(const Engine& engine, const json::value& given, WallSeconds now) {
  using reputation::Order;
  api::Params params(given, {"n", "by"});
  const int64_t n = params.number("n", 1, kMostRanked).value_or(10);
  const auto word = params.text("by");
  if (const Status bad = params.status(); !bad) return Error{bad.error()};
  const Result<Order> by = choice<Order>("by", word, Order::worst,
                                         {{"worst", Order::worst}, {"best", Order::best}, {"busiest", Order::busiest}});
  if (!by) return Error{by.error()};
  json::array out;
  for (const reputation::Ranked& r : engine.top(static_cast<size_t>(n), *by, now))
    out.push_back(json::object{{"source", wire::to_string(r.prefix)},
                               {"class", text(policy::to_string(r.own))},
                               {"score", r.score},
                               {"connections", r.connections},
                               {"last_seen", seconds_of(r.last_seen)}});
  return json::value(std::move(out));
}

api::Answer report(Engine& engine, const json::value& given, WallSeconds now) {
  api::Params params(given, {"source", "verdict", "weight"});
  const auto from = params.text("source"), word = params.text("verdict");
  const double weight = params.real("weight", kLeastWeight, kMostWeight).value_or(1);
  if (const Status bad = params.status(); !bad) return Error{bad.error()};
  const Result<wire::Address> source = address_of("source", from);
  if (!source) return Error{source.error()};
  const Result<Kind> verdict = choice<Kind>("verdict", word, std::nullopt, {{"ham", Kind::ham}, {"spam", Kind::spam}});
  if (!verdict) return Error{verdict.error()};
  engine.observe({*source, *verdict, weight}, now);
  const auto view = engine.view(*source, now);
  return json::value(json::object{{"source", wire::to_string(view->prefix)},
                                  {"class", text(policy::to_string(view->judgement.source_class))},
                                  {"score", view->judgement.score}});
}

api::Answer clear(Engine& engine, const json::value& given, WallSeconds now) {
  const Result<wire::Address> address = only_address(given);
  if (!address) return Error{address.error()};
  return json::value(json::object{{"cleared", engine.clear(*address, now)}});
}

}  // namespace

void add_methods(api::Methods& methods, Engine& engine, std::function<WallSeconds()> clock,
                 std::function<void()> changed) {
  using json::value;
  methods["reputation.show"] =
      api::reads([&engine, clock](const value& given, const api::Caller&) { return show(engine, given, clock()); });
  methods["reputation.summary"] = api::reads([&engine](const value& given, const api::Caller&) -> api::Answer {
    if (const Status bad = api::Params(given, {}).status(); !bad) return Error{bad.error()};
    return value(summary_of(engine));
  });
  methods["reputation.top"] =
      api::reads([&engine, clock](const value& given, const api::Caller&) { return top(engine, given, clock()); });
  methods["reputation.clear"] = api::changes([&engine, clock, changed](const value& given, const api::Caller&) {
    api::Answer done = clear(engine, given, clock());
    changed();
    return done;
  });
  methods["report"] = api::changes([&engine, clock, changed](const value& given, const api::Caller&) {
    api::Answer done = report(engine, given, clock());
    changed();
    return done;
  });
}

}  // namespace mire::learning
