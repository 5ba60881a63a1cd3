#include "controlplane/learning/methods.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <initializer_list>

namespace mire::learning {
namespace {

namespace json = boost::json;
using reputation::Engine;
using reputation::Kind;
using reputation::WallSeconds;

constexpr int64_t kMostRanked = 1000;
constexpr double kMostWeight = 100;

json::string text(std::string_view s) { return json::string(s.data(), s.size()); }
int64_t seconds_of(WallSeconds t) { return t.time_since_epoch().count(); }

// Nothing but these, so that a mistyped name is not taken for a default.
Status only(const json::value& params, std::initializer_list<std::string_view> names) {
  std::string known = names.size() == 0 ? "none" : "";
  for (const std::string_view name : names) known.append(known.empty() ? "" : ", ").append(name);
  const json::object* o = params.if_object();
  if (o == nullptr) return Error{fmt::format("params: not an object; its names are {}", known)};
  for (const auto& member : *o) {
    const std::string_view name(member.key().data(), member.key().size());
    if (std::find(names.begin(), names.end(), name) == names.end())
      return Error{fmt::format("{}: not known; use {}", name, known)};
  }
  return success();
}

Result<wire::Address> address_in(const json::value& params, const char* name) {
  const json::value* v = params.as_object().if_contains(name);
  if (v == nullptr) return Error{fmt::format("{}: missing; say whose, as 192.0.2.1 or 2001:db8::1", name)};
  const json::string* s = v->if_string();
  const auto a = s != nullptr ? wire::parse_address({s->data(), s->size()}) : std::nullopt;
  if (!a)
    return Error{fmt::format("{} {}: not an address; write it as 192.0.2.1 or 2001:db8::1", name, json::serialize(*v))};
  if (!reputation::key_of(*a))
    return Error{fmt::format("{} {}: not an address that mail comes from; IPv4, or IPv6 beyond 0::/8", name,
                             json::serialize(*v))};
  return *a;
}

Result<double> number_in(const json::value& params, const char* name, double without, double low, double high) {
  const json::value* v = params.as_object().if_contains(name);
  if (v == nullptr) return without;
  boost::system::error_code none;
  const auto n = v->to_number<double>(none);
  if (none || !(n >= low && n <= high))
    return Error{fmt::format("{} {}: not a number between {} and {}", name, json::serialize(*v), low, high)};
  return n;
}

template <typename T>
Result<T> word_in(const json::value& params, const char* name, std::optional<T> without,
                  std::initializer_list<std::pair<std::string_view, T>> words) {
  std::string known;
  for (const auto& [word, value] : words) known += fmt::format("{}{}", known.empty() ? "" : ", ", word);
  const json::value* v = params.as_object().if_contains(name);
  if (v == nullptr && without) return *without;
  if (v == nullptr) return Error{fmt::format("{}: missing; use {}", name, known)};
  if (const json::string* s = v->if_string())
    for (const auto& [word, value] : words)
      if (word == std::string_view(s->data(), s->size())) return value;
  return Error{fmt::format("{} {}: not known; use {}", name, json::serialize(*v), known)};
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

api::Answer show(const Engine& engine, const json::value& params, WallSeconds now) {
  if (Status bad = only(params, {"address"}); !bad) return Error{bad.error()};
  const Result<wire::Address> address = address_in(params, "address");
  if (!address) return Error{address.error()};
  const auto view = engine.view(*address, now);
  return json::value(shown(view.value_or(stranger(*address, now)), engine, now));
}

api::Answer top(const Engine& engine, const json::value& params, WallSeconds now) {
  using reputation::Order;
  if (Status bad = only(params, {"n", "by"}); !bad) return Error{bad.error()};
  const Result<double> n = number_in(params, "n", 10, 1, kMostRanked);
  if (!n) return Error{n.error()};
  const Result<Order> by = word_in<Order>(
      params, "by", Order::worst, {{"worst", Order::worst}, {"best", Order::best}, {"busiest", Order::busiest}});
  if (!by) return Error{by.error()};
  json::array out;
  for (const reputation::Ranked& r : engine.top(static_cast<size_t>(*n), *by, now))
    out.push_back(json::object{{"source", wire::to_string(r.prefix)},
                               {"class", text(policy::to_string(r.own))},
                               {"score", r.score},
                               {"connections", r.connections},
                               {"last_seen", seconds_of(r.last_seen)}});
  return json::value(std::move(out));
}

api::Answer report(Engine& engine, const json::value& params, WallSeconds now) {
  if (Status bad = only(params, {"source", "verdict", "weight"}); !bad) return Error{bad.error()};
  const Result<wire::Address> source = address_in(params, "source");
  if (!source) return Error{source.error()};
  const Result<Kind> verdict =
      word_in<Kind>(params, "verdict", std::nullopt, {{"ham", Kind::ham}, {"spam", Kind::spam}});
  if (!verdict) return Error{verdict.error()};
  const Result<double> weight = number_in(params, "weight", 1, 0.01, kMostWeight);
  if (!weight) return Error{weight.error()};
  engine.observe({*source, *verdict, *weight}, now);
  const auto view = engine.view(*source, now);
  return json::value(json::object{{"source", wire::to_string(view->prefix)},
                                  {"class", text(policy::to_string(view->judgement.source_class))},
                                  {"score", view->judgement.score}});
}

}  // namespace

void add_methods(api::Methods& methods, Engine& engine, std::function<WallSeconds()> clock,
                 std::function<void()> changed) {
  methods["reputation.show"] = api::reads(
      [&engine, clock](const json::value& params, const api::Caller&) { return show(engine, params, clock()); });
  methods["reputation.summary"] = api::reads([&engine](const json::value& params, const api::Caller&) -> api::Answer {
    if (Status bad = only(params, {}); !bad) return Error{bad.error()};
    return json::value(summary_of(engine));
  });
  methods["reputation.top"] = api::reads(
      [&engine, clock](const json::value& params, const api::Caller&) { return top(engine, params, clock()); });
  methods["reputation.clear"] =
      api::changes([&engine, clock, changed](const json::value& params, const api::Caller&) -> api::Answer {
        if (Status bad = only(params, {"address"}); !bad) return Error{bad.error()};
        const Result<wire::Address> address = address_in(params, "address");
        if (!address) return Error{address.error()};
        const bool there = engine.clear(*address, clock());
        changed();
        return json::value(json::object{{"cleared", there}});
      });
  methods["report"] =
      api::changes([&engine, clock, changed](const json::value& params, const api::Caller&) -> api::Answer {
        api::Answer done = report(engine, params, clock());
        changed();
        return done;
      });
}

}  // namespace mire::learning
