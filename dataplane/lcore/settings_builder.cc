#include "dataplane/lcore/settings_builder.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <type_traits>
#include <utility>

#include "dataplane/base/keyed_hash.h"
#include "dataplane/smtp/greeting.h"

namespace mire::lcore {
namespace {

uint64_t sum_of(const wire::Address& address, uint8_t length) {
  static const KeyedHash kHash{1};
  return kHash.of(address) * (length + 1u);
}

}  // namespace

std::optional<SettingsBuilder::Outcome> SettingsBuilder::take(const mailbox::Down& message, Time now) {
  if (const auto* b = std::get_if<mailbox::Begin>(&message)) {
    begin(*b);
    return {};
  }
  if (const auto* c = std::get_if<mailbox::Commit>(&message)) return commit(*c);
  if (!draft_) return {};  // a straggler of a configuration whose beginning we did not see: its commit is refused
  ++messages_;
  if (!refusal_.empty()) return {};  // refused already: fill no memory
  std::visit(
      [&](const auto& m) {
        using Message = std::decay_t<decltype(m)>;
        if constexpr (std::is_same_v<Message, mailbox::EarlyHello> || std::is_same_v<Message, mailbox::Penalty>) {
          add(m, now);
        } else if constexpr (!std::is_same_v<Message, mailbox::Begin> && !std::is_same_v<Message, mailbox::Commit>) {
          add(m);
        }
      },
      message);
  return {};
}

void SettingsBuilder::reset() noexcept { *this = SettingsBuilder{}; }

void SettingsBuilder::begin(const mailbox::Begin& b) {
  reset();  // a begin without commit before it: its author gave up on that one
  draft_ = std::make_unique<source::Settings>();
  draft_->generation = b.generation;
}

void SettingsBuilder::refuse(std::string why) {
  if (refusal_.empty()) refusal_ = std::move(why);
}

void SettingsBuilder::add(const mailbox::Global& g) {
  if (std::exchange(global_seen_, true)) return refuse("global settings came twice");
  draft_->observe = g.observe;
  draft_->fail_closed = g.fail_closed;
  draft_->penalty.first = milliseconds{g.penalty_first_ms};
  draft_->penalty.most = milliseconds{g.penalty_most_ms};
  draft_->trap = g.trap;
}

void SettingsBuilder::add(const mailbox::ClassTreatment& c) {
  const auto index = static_cast<size_t>(c.source_class);
  if ((treated_ & (1u << index)) != 0)
    return refuse(fmt::format("treatment of class {} came twice", policy::to_string(c.source_class)));
  treated_ |= 1u << index;
  draft_->treatments[index] = c.treatment;
}

void SettingsBuilder::add(const mailbox::Protect& p) {
  if (p.greeting.offset != 0) return add_greeting(p);
  if (draft_->protect.size() >= mailbox::kMaxProtected)
    return refuse(fmt::format("more than {} protected addresses", mailbox::kMaxProtected));
  if (!draft_->protect.insert(p.server).second)
    return refuse(fmt::format("{} is protected twice", wire::to_string(p.server)));
  protected_sum_ += sum_of(p.server, 0);
  if (p.strangers != policy::Pace{}) draft_->servers[p.server].strangers = p.strangers;
  if (p.greeting.total != 0 || greeting_open_) add_greeting(p);
}

void SettingsBuilder::add_greeting(const mailbox::Protect& p) {
  const std::string server = wire::to_string(p.server);
  const bool follows = p.greeting.offset == 0 ? !greeting_open_ : greeting_open_ && p.server == greeter_;
  if (!follows || !mailbox::append(greeting_, p.greeting))
    return refuse(fmt::format("the greeting of {} came in pieces that do not fit", server));
  greeter_ = p.server;
  greeting_open_ = greeting_.size() < p.greeting.total;
  if (greeting_open_) return;
  const std::span<const uint8_t> bytes{reinterpret_cast<const uint8_t*>(greeting_.data()), greeting_.size()};
  const auto scan = smtp::scan_greeting(bytes);
  if (scan.result != smtp::GreetingResult::ready || scan.end != bytes.size())
    return refuse(fmt::format("the greeting of {} is none", server));
  draft_->servers[p.server] = {p.strangers, std::exchange(greeting_, {})};
}

void SettingsBuilder::add(const mailbox::ClassPrefix& c) {
  if (++prefixes_ > mailbox::kMaxClassPrefixes)
    return refuse(fmt::format("more than {} prefixes in classes", mailbox::kMaxClassPrefixes));
  const size_t before = draft_->classes.size();
  draft_->classes.set(c.prefix, c.source_class);
  if (draft_->classes.size() == before)
    return refuse(fmt::format("prefix {} was given a class twice", wire::to_string(c.prefix)));
  (c.source_class == policy::SourceClass::exempt ? exempt_sum_ : other_sum_) +=
      sum_of(c.prefix.address, c.prefix.length);
}

void SettingsBuilder::add(const mailbox::EarlyHello& e, Time now) {
  if (draft_->early_hello_until.size() >= mailbox::kMaxEarlyHellos)
    return refuse(fmt::format("more than {} servers that offered PIPECONNECT", mailbox::kMaxEarlyHellos));
  draft_->early_hello_until[e.server] = now + seconds{e.remaining_seconds};
}

void SettingsBuilder::add(const mailbox::Penalty& p, Time now) {
  if (draft_->penalties.size() >= mailbox::kMaxPenalties)
    return refuse(fmt::format("more than {} penalties", mailbox::kMaxPenalties));
  const Time offence = std::max(Time{}, now - seconds{p.since_seconds});
  draft_->penalties[p.source] = {now + seconds{p.remaining_seconds}, offence, p.offences};
}

void SettingsBuilder::add(const mailbox::TextPart& t) {
  Draft& draft = texts_[t.which];
  const bool teaser = t.which >= smtp::kOwnReplies;
  const size_t index = teaser ? t.which - smtp::kOwnReplies : t.which;
  const std::string name = teaser
                               ? fmt::format("teaser of {}", policy::to_string(static_cast<policy::SourceClass>(index)))
                               : fmt::format("text {}", smtp::to_string(static_cast<smtp::OwnReply>(index)));
  if (draft.whole) return refuse(fmt::format("{} came twice", name));
  if (!mailbox::append(draft.text, t.piece)) return refuse(fmt::format("{} came in pieces that do not fit", name));
  draft.begun = true;
  draft.whole = draft.text.size() == t.piece.total;
  if (!draft.whole) return;
  const auto why = teaser ? smtp::why_no_teaser(draft.text) : smtp::why_unfit(draft.text);
  if (!why.empty()) return refuse(fmt::format("{}: {}", name, why));
  (teaser ? draft_->teasers[index] : draft_->texts[index]) = std::move(draft.text);
}

// What is no greeting, or lacks a piece, is left out: the server teaches it anew.
void SettingsBuilder::add(const mailbox::Profile& p) {
  std::optional<std::string> greeting = profile_.take(p);
  if (!greeting) return;
  const std::span<const uint8_t> bytes{reinterpret_cast<const uint8_t*>(greeting->data()), greeting->size()};
  const auto scan = smtp::scan_greeting(bytes);
  if (scan.result != smtp::GreetingResult::ready || scan.end != bytes.size()) return;
  if (draft_->profiles.size() >= mailbox::kMaxProfiles)
    return refuse(fmt::format("more than {} servers' profiles", mailbox::kMaxProfiles));
  draft_->profiles[{p.server, p.vlan}] = {p.offer, p.largest_segment, std::move(*greeting)};
}

SettingsBuilder::Outcome SettingsBuilder::commit(const mailbox::Commit& c) {
  Outcome outcome{c.generation, nullptr, {}};
  if (!draft_) {
    outcome.refusal = "commit without begin";
    return outcome;
  }
  if (draft_->generation != c.generation)
    refuse(fmt::format("begun as generation {}, committed as {}", draft_->generation, c.generation));
  if (messages_ != c.messages) refuse(fmt::format("{} messages came, {} were sent", messages_, c.messages));
  for (const Draft& text : texts_)
    if (text.begun && !text.whole) refuse("a text has no end");
  for (size_t i = 0; draft_ && i < policy::kClasses; ++i)
    if (draft_->treatments[i].teaser == draft_->teasers[i].empty())
      refuse("a teaser without its text, or a text without");
  if (!global_seen_) refuse("the global settings are missing");
  if (greeting_open_) refuse(fmt::format("the greeting of {} lacks its end", wire::to_string(greeter_)));
  // What lies within an exempt prefix and is listed itself is judged, and was not if it was not listed.
  if (draft_) draft_->judges = protected_sum_ + (exempt_sum_ == 0 ? 0 : exempt_sum_ + other_sum_);
  outcome.refusal = std::exchange(refusal_, {});
  if (outcome.refusal.empty()) outcome.settings = std::move(draft_);
  reset();
  return outcome;
}

}  // namespace mire::lcore
