#include "controlplane/report/day.h"

#include <algorithm>
#include <boost/json.hpp>

namespace mire::report {
namespace {

namespace json = boost::json;
using policy::Reason;
using policy::Verdict;

json::string_view view(std::string_view text) { return {text.data(), text.size()}; }

uint64_t number(const json::value& v) { return v.to_number<uint64_t>(); }

template <typename Enum>
std::optional<Enum> named(std::string_view name, size_t count) {
  for (size_t i = 0; i < count; ++i)
    if (policy::to_string(static_cast<Enum>(i)) == name) return static_cast<Enum>(i);
  return std::nullopt;
}

}  // namespace

bool is_stopped(const mailbox::FlowEvent& e) noexcept {
  return e.observed == 0 && (e.verdict == Verdict::drop || e.verdict == Verdict::reset || e.verdict == Verdict::reply);
}

void Day::count(const mailbox::FlowEvent& e, unsigned hour) {
  Hour& at = hours_[hour % kHours];
  ++reasons_[e.reason][static_cast<size_t>(e.source_class)];
  if (is_stopped(e)) {
    ++at.stopped;
    networks_.count(e.client);
  }
  if (e.verdict == Verdict::release) {
    ++at.held;
    ++holds_[std::min<size_t>(e.hold_ms / kHoldStepMs, kHoldSteps - 1)];
    longest_ms_ = std::max(longest_ms_, e.hold_ms);
  }
  if (e.reason == Reason::delivered) {
    ++at.delivered;
    at.messages += e.accepted;
    if (e.observed != 0) ++would_stop_delivered_;
  }
  if (e.reason == Reason::early_talk_observed || e.reason == Reason::blocked_observed) ++would_stop_;
}

uint32_t Day::hold_quantile_ms(double q) const noexcept {
  uint64_t all = 0;
  for (const uint64_t n : holds_) all += n;
  const auto want = static_cast<uint64_t>(q * static_cast<double>(all));
  uint64_t seen = 0;
  for (size_t i = 0; i < kHoldSteps; ++i)
    if ((seen += holds_[i]) > want) return static_cast<uint32_t>(i) * kHoldStepMs + kHoldStepMs / 2;
  return 0;
}

json::object Day::report(size_t networks) const {
  json::array hours;
  Hour sum;
  for (size_t i = 0; i < kHours; ++i) {
    const Hour& h = hours_[i];
    hours.push_back(json::object{
        {"hour", i}, {"stopped", h.stopped}, {"held", h.held}, {"delivered", h.delivered}, {"messages", h.messages}});
    sum.stopped += h.stopped;
    sum.held += h.held;
    sum.delivered += h.delivered;
    sum.messages += h.messages;
  }
  json::array reasons;
  ByClass classes{};
  for (const auto& [reason, by_class] : reasons_) {
    json::object of_classes;
    uint64_t count = 0;
    for (size_t c = 0; c < by_class.size(); ++c) {
      if (by_class[c] == 0) continue;
      of_classes[view(policy::to_string(static_cast<policy::SourceClass>(c)))] = by_class[c];
      classes[c] += by_class[c];
      count += by_class[c];
    }
    reasons.push_back(json::object{{"reason", view(policy::to_string(reason))},
                                   {"text", view(policy::describe(reason))},
                                   {"count", count},
                                   {"classes", std::move(of_classes)}});
  }
  std::stable_sort(reasons.begin(), reasons.end(), [](const json::value& a, const json::value& b) {
    return number(a.at("count")) > number(b.at("count"));
  });
  json::object of_classes;
  for (size_t c = 0; c < classes.size(); ++c)
    if (classes[c] != 0) of_classes[view(policy::to_string(static_cast<policy::SourceClass>(c)))] = classes[c];
  json::array top;
  for (const Network& n : networks_.top(networks))
    top.push_back(
        json::object{{"network", wire::to_string(n.prefix)}, {"stopped", n.count}, {"at_most_too_high_by", n.over}});
  return {{"stopped", sum.stopped},
          {"held", sum.held},
          {"delivered", sum.delivered},
          {"messages", sum.messages},
          {"hours", std::move(hours)},
          {"reasons", std::move(reasons)},
          {"classes", std::move(of_classes)},
          {"networks", std::move(top)},
          {"hold",
           json::object{
               {"median_ms", hold_quantile_ms(0.5)}, {"p99_ms", hold_quantile_ms(0.99)}, {"longest_ms", longest_ms_}}},
          {"observe", json::object{{"would_have_stopped", would_stop_}, {"of_these_delivered", would_stop_delivered_}}},
          {"events_lost", lost_}};
}

json::object Day::save() const {
  json::array hours;
  for (const Hour& h : hours_) hours.push_back(json::array{h.stopped, h.held, h.delivered, h.messages});
  json::object reasons;
  for (const auto& [reason, by_class] : reasons_)
    reasons[view(policy::to_string(reason))] = json::array(by_class.begin(), by_class.end());
  json::array holds(holds_.begin(), holds_.end());
  json::array networks;
  for (const Network& n : networks_.top(SIZE_MAX))
    networks.push_back(json::array{wire::to_string(n.prefix), n.count, n.over});
  return {{"hours", std::move(hours)},
          {"reasons", std::move(reasons)},
          {"holds", std::move(holds)},
          {"longest_ms", longest_ms_},
          {"networks", std::move(networks)},
          {"would_stop", would_stop_},
          {"would_stop_delivered", would_stop_delivered_},
          {"lost", lost_}};
}

Day Day::load(const json::object& o) {
  Day out;
  const json::array& hours = o.at("hours").as_array();
  for (size_t i = 0; i < std::min(hours.size(), kHours); ++i) {
    const json::array& h = hours[i].as_array();
    out.hours_[i] = {number(h.at(0)), number(h.at(1)), number(h.at(2)), number(h.at(3))};
  }
  for (const auto& [name, counts] : o.at("reasons").as_object()) {
    // One that this version does not know any more is left out.
    const auto reason = named<Reason>({name.data(), name.size()}, policy::kReasons);
    if (!reason) continue;
    ByClass& by_class = out.reasons_[*reason];
    for (size_t c = 0; c < by_class.size(); ++c) by_class[c] = number(counts.as_array().at(c));
  }
  const json::array& holds = o.at("holds").as_array();
  for (size_t i = 0; i < std::min(holds.size(), kHoldSteps); ++i) out.holds_[i] = number(holds[i]);
  out.longest_ms_ = static_cast<uint32_t>(number(o.at("longest_ms")));
  for (const json::value& n : o.at("networks").as_array()) {
    const json::array& a = n.as_array();
    const json::string& text = a.at(0).as_string();
    if (const auto prefix = wire::parse_prefix({text.data(), text.size()}))
      out.networks_.put({*prefix, number(a.at(1)), number(a.at(2))});
  }
  out.would_stop_ = number(o.at("would_stop"));
  out.would_stop_delivered_ = number(o.at("would_stop_delivered"));
  out.lost_ = number(o.at("lost"));
  return out;
}

}  // namespace mire::report
