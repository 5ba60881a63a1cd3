#include <array>

#include "dataplane/policy/policy.h"

namespace mire::policy {
namespace {

constexpr std::array<std::string_view, kReasons> kReasonNames = {
#define X(name, text) #name,
    MIRE_REASONS(X)
#undef X
};
constexpr std::array<std::string_view, kReasons> kReasonTexts = {
#define X(name, text) text,
    MIRE_REASONS(X)
#undef X
};
constexpr std::array<std::string_view, kClasses> kClassNames = {"exempt",  "trusted", "known",
                                                                "unknown", "suspect", "blocked"};
constexpr std::array<std::string_view, kStates> kStateNames = {
    "none",    "syn_seen", "syn_ack_held", "syn_ack_sent", "waiting", "banner_held", "due",     "greeted",  "talking",
    "closing", "finished", "tombstone",    "joined",       "met",     "deferred",    "invited", "dialling", "replied"};
constexpr std::array<std::string_view, kVerdicts> kVerdictNames = {
    "pass", "hold", "release", "drop", "reset", "finish", "count", "answer", "dial", "join", "reply"};
constexpr std::array<std::string_view, kEvents> kEventNames = {"syn",
                                                               "syn_meetable",
                                                               "syn_repeated",
                                                               "syn_other",
                                                               "proof",
                                                               "proof_with_data",
                                                               "proof_with_hello",
                                                               "proof_with_fin",
                                                               "unproven",
                                                               "unproven_data",
                                                               "nothing_new",
                                                               "early",
                                                               "early_hello",
                                                               "speech",
                                                               "pipelined",
                                                               "ahead",
                                                               "outside",
                                                               "fin",
                                                               "reset",
                                                               "reset_inexact",
                                                               "syn_ack",
                                                               "syn_ack_repeated",
                                                               "syn_ack_other",
                                                               "greeting_part",
                                                               "greeting_end",
                                                               "greeting_refusal",
                                                               "greeting_unreadable",
                                                               "server_repeat",
                                                               "server_nothing_new",
                                                               "greeting_gap",
                                                               "server_data",
                                                               "server_fin",
                                                               "server_reset",
                                                               "deadline",
                                                               "waited_enough"};

template <size_t N, typename E>
constexpr std::string_view pick(const std::array<std::string_view, N>& names, E value) noexcept {
  const auto i = static_cast<size_t>(value);
  return i < N ? names[i] : std::string_view{"?"};
}

}  // namespace

std::string_view to_string(Reason r) noexcept { return pick(kReasonNames, r); }
std::string_view describe(Reason r) noexcept { return pick(kReasonTexts, r); }
std::string_view to_string(SourceClass c) noexcept { return pick(kClassNames, c); }
std::string_view to_string(State s) noexcept { return pick(kStateNames, s); }
std::string_view to_string(Verdict v) noexcept { return pick(kVerdictNames, v); }
std::string_view to_string(Event e) noexcept { return pick(kEventNames, e); }

}  // namespace mire::policy
