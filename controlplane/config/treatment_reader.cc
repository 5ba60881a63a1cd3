#include "controlplane/config/treatment_reader.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "controlplane/config/values.h"
#include "dataplane/mailbox/layout.h"

namespace mire::config {
namespace {

using policy::HoldRange;
using policy::SourceClass;
using policy::Treatment;

template <typename Value>
using Choices = std::vector<std::pair<std::string_view, Value>>;

template <typename Value>
std::optional<Value> choose(const Statement& s, const Place& place, const Choices<Value>& choices, Problems& problems) {
  const Word& word = s.words[1];
  std::vector<std::string_view> names;
  for (const auto& [name, value] : choices) {
    if (name == word.text) return value;
    names.push_back(name);
  }
  problems.add(word.line, place.at(fmt::format("{} {}", s.key(), printable(word.text))), not_known(word.text, names));
  return {};
}

// One end of a hold, with its place for later complaints.
struct Bound {
  std::optional<uint32_t> ms;
  unsigned line = 0;
  std::string written;  // "greeting max 40s"
};

struct Hold {
  Bound min;
  Bound max;
};

void read_bound(const Statement& s, const Place& place, Bound& bound, Problems& problems) {
  const Word& word = s.words[1];
  bound.line = word.line;
  bound.written = place.at(fmt::format("{} {}", s.key(), printable(word.text)));
  const Result<uint64_t> ms = parse_duration_ms(word.text);
  if (!ms) return problems.add(word.line, bound.written, ms.error());
  if (ms.value() > policy::kHoldCapMs)
    return problems.add(
        word.line, bound.written,
        fmt::format("longer than the limit of {} (clients give up); try 5s", duration_text(policy::kHoldCapMs)));
  bound.ms = static_cast<uint32_t>(ms.value());
}

// Reports what is wrong with the ends together; what is not given stays as it is by default.
void apply(const Hold& hold, HoldRange& range, Problems& problems) {
  const HoldRange before = range;
  if (hold.min.ms) range.min_ms = static_cast<uint16_t>(*hold.min.ms);
  if (hold.max.ms) range.max_ms = static_cast<uint16_t>(*hold.max.ms);
  if (range.min_ms <= range.max_ms) return;
  if (hold.min.line != 0 && hold.max.line != 0) {
    if (hold.min.ms && hold.max.ms)
      problems.add(hold.min.line, hold.min.written,
                   fmt::format("longer than max {}; exchange them?", duration_text(range.max_ms)));
  } else if (hold.min.line != 0) {
    problems.add(hold.min.line, hold.min.written,
                 fmt::format("longer than max {} (the default); give max too", duration_text(before.max_ms)));
  } else {
    problems.add(hold.max.line, hold.max.written,
                 fmt::format("shorter than min {} (the default); give min too", duration_text(before.min_ms)));
  }
}

class Reader {
 public:
  Reader(Place place, SourceClass source_class, Treatment& treatment, std::string& teaser, Problems& problems)
      : place_(std::move(place)),
        is_stranger_(source_class == SourceClass::unknown || source_class == SourceClass::suspect),
        treatment_(treatment),
        teaser_(teaser),
        problems_(problems) {}

  void read(const Statement& s) {
    using Shape = Key::Shape;
    read_block(s.block, place_,
               {{"greeting", Shape::block, [this](const Statement& b) { greeting(b); }},
                {"syn-ack", Shape::block, [this](const Statement& b) { hold_block(b, syn_ack_); }},
                {"early-talk", Shape::value,
                 [this](const Statement& v) {
                   const Choices<policy::OnEarlyTalk> choices{{"reset", policy::OnEarlyTalk::reset},
                                                              {"reject", policy::OnEarlyTalk::reject},
                                                              {"count", policy::OnEarlyTalk::count}};
                   if (auto chosen = choose(v, place_, choices, problems_)) treatment_.early_talk = *chosen;
                 }},
                {"pipelining", Shape::value,
                 [this](const Statement& v) {
                   const Choices<policy::OnPipelining> choices{{"count", policy::OnPipelining::count},
                                                               {"reset", policy::OnPipelining::reset}};
                   if (auto chosen = choose(v, place_, choices, problems_)) treatment_.pipelining = *chosen;
                 }},
                {"joined", Shape::value, [this](const Statement& v) { joined(v); }},
                {"on-syn", Shape::value,
                 [this](const Statement& v) {
                   const Choices<policy::OnSyn> choices{{"pass", policy::OnSyn::pass},
                                                        {"drop", policy::OnSyn::drop},
                                                        {"reset", policy::OnSyn::reset},
                                                        {"reject", policy::OnSyn::reject},
                                                        {"trap", policy::OnSyn::trap}};
                   if (auto chosen = choose(v, place_, choices, problems_)) treatment_.syn = *chosen;
                 }},
                {"flows", Shape::block, [this](const Statement& b) { flows(b); }},
                {"observe", Shape::value,
                 [this](const Statement& v) {
                   if (auto on = read_bool(v, place_, problems_)) treatment_.observe = *on;
                 }}},
               problems_);
    finish();
  }

 private:
  void hold_block(const Statement& b, Hold& hold, std::vector<Key> more = {}) {
    const Place inside{place_.at(b.key())};
    more.push_back({"min", Key::Shape::value, [&](const Statement& v) { read_bound(v, inside, hold.min, problems_); }});
    more.push_back({"max", Key::Shape::value, [&](const Statement& v) { read_bound(v, inside, hold.max, problems_); }});
    read_block(b.block, inside, more, problems_);
  }

  void greeting(const Statement& b) {
    const Place inside{place_.at(b.key())};
    hold_block(b, greeting_,
               {{"withhold", Key::Shape::value,
                 [&](const Statement& v) {
                   withhold_line_ = v.line();
                   const Choices<policy::Withhold> choices{{"defer", policy::Withhold::defer},
                                                           {"banner", policy::Withhold::banner},
                                                           {"none", policy::Withhold::none}};
                   withhold_ = choose(v, inside, choices, problems_);
                 }},
                {"teaser", Key::Shape::value, [&](const Statement& v) {
                   const std::string& line = v.words[1].text;
                   if (const auto why = smtp::why_no_teaser(line); !why.empty())
                     return problems_.add(v.line(), inside.at("teaser " + printable(line)), std::string(why));
                   teaser_ = line;
                   teaser_line_ = v.line();
                   treatment_.teaser = true;
                 }}});
  }

  // Segments of flows that nobody has seen begin: only strangers' are worth a reset.
  void joined(const Statement& v) {
    const Choices<policy::OnJoined> choices{{"pass", policy::OnJoined::pass}, {"reset", policy::OnJoined::reset}};
    const auto chosen = choose(v, place_, choices, problems_);
    if (!chosen) return;
    treatment_.joined = *chosen;
    if (*chosen == policy::OnJoined::reset && !is_stranger_)
      problems_.add(v.line(), place_.at("joined reset"), "only for unknown and suspect sources; remove it");
  }

  void flows(const Statement& b) {
    const Place inside{place_.at(b.key())};
    const auto limit = [&](uint32_t& out) {
      return [this, &inside, &out](const Statement& v) {
        const Result<uint32_t> number = parse_number(v.words[1].text, 1, mailbox::kFlowLimitCap);
        if (number) {
          out = number.value();
        } else {
          problems_.add(v.line(), inside.at(fmt::format("{} {}", v.key(), printable(v.words[1].text))), number.error());
        }
      };
    };
    read_block(b.block, inside,
               {{"concurrent", Key::Shape::value, limit(treatment_.concurrent)},
                {"per-minute", Key::Shape::value, limit(treatment_.per_minute)}},
               problems_);
  }

  // What only the settings together show.
  void finish() {
    apply(syn_ack_, treatment_.syn_ack, problems_);
    apply_withhold();
    if (teaser_line_ != 0 && treatment_.withhold != policy::Withhold::defer)
      problems_.add(teaser_line_, place_.at("greeting teaser"),
                    "only with withhold defer; add it, or remove the teaser");
    const uint32_t together = uint32_t{treatment_.syn_ack.max_ms} + treatment_.greeting.max_ms;
    if (together <= policy::kHoldCapMs) return;
    const bool greeting_said = greeting_.max.line != 0;
    const Bound& blamed = greeting_said ? greeting_.max : syn_ack_.max;
    const uint16_t other = greeting_said ? treatment_.syn_ack.max_ms : treatment_.greeting.max_ms;
    problems_.add(blamed.line, blamed.written,
                  fmt::format("together with {} max {} longer than the limit of {} (clients give up); try {}",
                              greeting_said ? "syn-ack" : "greeting", duration_text(other),
                              duration_text(policy::kHoldCapMs), duration_text(policy::kHoldCapMs - other)));
  }

  void apply_withhold() {
    const bool nothing_said = greeting_.min.line == 0 && greeting_.max.line == 0;
    if (withhold_) treatment_.withhold = *withhold_;
    if (withhold_line_ != 0 && !withhold_) return;  // reported already
    if (treatment_.withhold == policy::Withhold::none) {
      if (withhold_) treatment_.greeting = {};
      if (nothing_said) return;
      const Bound& bound = greeting_.max.line != 0 ? greeting_.max : greeting_.min;
      return problems_.add(bound.line, bound.written,
                           withhold_ ? "no effect with withhold none; remove one of the two"
                                     : "this class's greeting is not withheld; add withhold banner;");
    }
    apply(greeting_, treatment_.greeting, problems_);
    if (treatment_.greeting.max_ms == 0 && greeting_.max.line == 0)
      problems_.add(withhold_line_, place_.at("greeting withhold banner"),
                    "for how long is not said; add min 1s; max 5s;");
  }

  Place place_;
  bool is_stranger_;
  Treatment& treatment_;
  std::string& teaser_;
  Problems& problems_;
  unsigned teaser_line_ = 0;
  Hold syn_ack_;
  Hold greeting_;
  std::optional<policy::Withhold> withhold_;
  unsigned withhold_line_ = 0;
};

}  // namespace

std::optional<SourceClass> read_class(const Word& word, std::string_view setting, Problems& problems) {
  std::array<std::string_view, policy::kClasses> names;
  for (size_t i = 0; i < policy::kClasses; ++i) {
    names[i] = policy::to_string(static_cast<SourceClass>(i));
    if (names[i] == word.text) return static_cast<SourceClass>(i);
  }
  problems.add(word.line, fmt::format("{} {}", setting, printable(word.text)), not_known(word.text, names));
  return {};
}

std::optional<bool> read_bool(const Statement& s, const Place& place, Problems& problems) {
  return choose(s, place, Choices<bool>{{"true", true}, {"false", false}}, problems);
}

void read_treatment(const Statement& s, policy::Treatments& treatments,
                    std::array<std::string, policy::kClasses>& teasers, Problems& problems) {
  const std::optional<SourceClass> source_class = read_class(s.words[1], "treatment", problems);
  if (!source_class) return;
  if (*source_class == SourceClass::exempt)
    return problems.add(s.line(), "treatment exempt",
                        "exempt sources are never judged; give the treatment to trusted, or remove it");
  const auto index = static_cast<size_t>(*source_class);
  Reader(Place{"treatment " + s.words[1].text}, *source_class, treatments[index], teasers[index], problems).read(s);
}

}  // namespace mire::config
