#include "controlplane/learning/lesson.h"

#include <algorithm>

#include "dataplane/policy/policy.h"
#include "dataplane/smtp/early.h"

namespace mire::learning {
namespace {

using policy::Reason;
using policy::SourceClass;
using reputation::Kind;

// The flow is over with it.
bool ends_flow(const mailbox::FlowEvent& e) noexcept {
  switch (e.verdict) {
    case policy::Verdict::reset:
    case policy::Verdict::finish:
    case policy::Verdict::reply: return true;
    case policy::Verdict::pass:
      return e.reason == Reason::delivered || e.reason == Reason::closing || e.reason == Reason::no_data;
    case policy::Verdict::hold:
    case policy::Verdict::release:
    case policy::Verdict::drop:
    case policy::Verdict::count:
    case policy::Verdict::answer:
    case policy::Verdict::dial:
    case policy::Verdict::join: return false;
  }
  return false;
}

// Before a proven handshake nothing is charged to a source. Who is blocked is refused without one.
bool unproven(Reason r) noexcept {
  return r == Reason::blocked || r == Reason::blocked_rejected || r == Reason::trapped || r == Reason::blocked_observed;
}

bool withheld(SourceClass c) noexcept { return c == SourceClass::unknown || c == SourceClass::suspect; }

bool is_early_talk(Reason r) noexcept {
  return r == Reason::early_talk || r == Reason::early_talk_rejected || r == Reason::early_talk_counted ||
         r == Reason::early_talk_observed;
}

}  // namespace

Lesson lesson_of(const mailbox::FlowEvent& e, bool observing) noexcept {
  Lesson l;
  if (e.source_class == SourceClass::exempt || unproven(e.reason)) return l;
  const auto learn = [&](Kind kind, double amount) { l.room[l.observed++] = {e.client, kind, amount}; };
  l.connection = ends_flow(e);
  if (is_early_talk(e.reason)) {
    const size_t length = std::min<size_t>(e.bytes_length, e.first_bytes.size());
    if (policy::demotes(e.source_class, smtp::other_protocol(std::span(e.first_bytes).first(length))))
      learn(Kind::early_talk, 1);
  } else if (e.reason == Reason::unsynchronised_pipelining) {
    learn(Kind::pipelining, 1);
  } else if (e.reason == Reason::gave_up) {
    learn(Kind::gave_up, 1);
  } else if (l.connection && (e.reason == Reason::delivered || e.reason == Reason::closing)) {
    if (e.accepted > 0) learn(Kind::accepted, e.accepted);
    if (withheld(e.source_class) && !observing) learn(Kind::patience, 1);
  }
  l.penalty = std::chrono::seconds{(std::min<uint64_t>(e.penalty_ms, UINT32_MAX) + 999) / 1000};
  l.offences = e.offences;
  return l;
}

}  // namespace mire::learning
