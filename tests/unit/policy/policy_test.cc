// The state machine over all states, events and classes, and the rows of docs/policy.md one by one.
#include "dataplane/policy/policy.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <string>
#include <vector>

namespace mire::policy {
namespace {

template <typename E>
std::vector<E> all(size_t n) {
  std::vector<E> v;
  for (size_t i = 0; i < n; ++i) v.push_back(static_cast<E>(i));
  return v;
}

// The default treatments and what a configuration can make of them.
std::vector<Treatment> treatments() {
  std::vector<Treatment> v;
  for (const Treatment& base : default_treatments()) {
    v.push_back(base);
    Treatment t = base;
    t.observe = true;
    v.push_back(t);
    t = base;
    t.early_talk = OnEarlyTalk::count;
    v.push_back(t);
    t = base;
    t.pipelining = OnPipelining::reset;
    t.syn = OnSyn::reset;
    v.push_back(t);
    t = base;
    t.withhold = Withhold::banner;
    t.greeting = {0, 0};
    v.push_back(t);
    t = base;
    t.withhold = Withhold::defer;
    t.greeting = {1000, 2000};
    t.early_talk = OnEarlyTalk::reject;
    v.push_back(t);
    t = base;
    t.syn = OnSyn::reject;
    v.push_back(t);
    t.syn = OnSyn::trap;
    v.push_back(t);
  }
  return v;
}

void for_all(const std::function<void(State, Event, const Treatment&, const Step&)>& f) {
  for (const State s : all<State>(kStates))
    for (const Event e : all<Event>(kEvents))
      for (const Treatment& t : treatments()) {
        const Step st = step(s, e, t);
        SCOPED_TRACE(std::string(to_string(s)) + " x " + std::string(to_string(e)));
        f(s, e, t, st);
      }
}

bool from_server(Event e) { return e >= Event::syn_ack && e <= Event::server_reset; }
bool is_syn(Event e) {
  return e == Event::syn || e == Event::syn_meetable || e == Event::syn_repeated || e == Event::syn_other;
}
// We meet the client ourselves.
bool meets(State s) { return s >= State::met && s <= State::replied; }

TEST(Policy, IsAFunctionOfItsArguments) {
  for_all([](State s, Event e, const Treatment& t, const Step& st) { EXPECT_EQ(step(s, e, t), st); });
}

TEST(Policy, NeverHoldsResetsOrDropsAFlowItJoinedMidStream) {
  for_all([](State s, Event e, const Treatment&, const Step& st) {
    if (s != State::joined || e == Event::syn_ack_other) return;
    EXPECT_EQ(st.verdict, Verdict::pass);
  });
}

TEST(Policy, ObservingEnforcesNothing) {
  for_all([](State s, Event e, const Treatment& t, const Step& st) {
    if (!t.observe) return;
    EXPECT_NE(st.verdict, Verdict::reset);
    EXPECT_TRUE(st.next != State::waiting || s == State::waiting);
    EXPECT_EQ(st.hold.max_ms, 0) << "nothing begins to be held";
    // What is parked when observing begins still ends; a tombstone and a finished flow stay what they are.
    if (s == State::none || s == State::syn_seen || s == State::due || s == State::greeted || s == State::talking) {
      EXPECT_NE(st.verdict, Verdict::hold);
      EXPECT_NE(st.verdict, Verdict::finish);
      EXPECT_NE(st.verdict, Verdict::drop) << to_string(e);
    }
  });
}

TEST(Policy, ExemptSourcesNeverGetAnEntry) {
  const Treatment exempt = default_treatments()[size_t(SourceClass::exempt)];
  for (const Event e : all<Event>(kEvents)) {
    EXPECT_EQ(step(State::none, e, exempt).next, State::none);
    EXPECT_EQ(step(State::none, e, exempt).verdict, Verdict::pass);
  }
}

TEST(Policy, AHoldBeginsWithARangeAndOnlyThere) {
  for_all([](State s, Event, const Treatment& t, const Step& st) {
    const bool begins = (st.next == State::waiting && s != State::waiting) ||
                        (st.next == State::deferred && s != State::deferred && withholds(t)) ||
                        (st.next == State::syn_ack_held && s != State::syn_ack_held) ||
                        (st.next == State::met && s == State::none && t.syn_ack.max_ms != 0);
    if (st.next == State::banner_held) {
      EXPECT_TRUE(s == State::waiting || s == State::banner_held);
    }
    EXPECT_EQ(st.hold.max_ms != 0, begins);
    if (begins) {
      EXPECT_EQ(st.hold, st.next == State::syn_ack_held || st.next == State::met ? t.syn_ack : t.greeting);
    }
  });
}

TEST(Policy, EveryHoldEndsAtItsDeadline) {
  for (const Treatment& t : treatments()) {
    EXPECT_EQ(step(State::syn_ack_held, Event::deadline, t).verdict, Verdict::release);
    EXPECT_EQ(step(State::banner_held, Event::deadline, t).verdict, Verdict::release);
    EXPECT_EQ(step(State::banner_held, Event::deadline, t).next, State::greeted);
    EXPECT_EQ(step(State::waiting, Event::deadline, t).next, State::due);
  }
}

TEST(Policy, OnlyTimeReleasesAndOnlyTheServersSegmentsAreHeld) {
  for_all([](State s, Event e, const Treatment&, const Step& st) {
    if (st.verdict == Verdict::release) {
      EXPECT_EQ(e, Event::deadline);
    }
    if (meets(s)) return;
    if (st.verdict == Verdict::hold) {
      EXPECT_TRUE(from_server(e));
    }
    if (from_server(e)) {
      EXPECT_TRUE(st.verdict == Verdict::pass || st.verdict == Verdict::hold || st.verdict == Verdict::drop);
    }
  });
}

TEST(Policy, NothingOfATombstoneOrAFinishedFlowPassesButASyn) {
  for_all([](State s, Event e, const Treatment&, const Step& st) {
    if (s != State::tombstone && s != State::finished) return;
    if (is_syn(e) || e == Event::syn_ack_other) return;
    EXPECT_NE(st.verdict, Verdict::pass);
    EXPECT_TRUE(st.next == s || (s == State::finished && e == Event::reset));
  });
}

TEST(Policy, ResetsLeadToATombstoneAndFinishesToFinished) {
  for_all([](State s, Event, const Treatment&, const Step& st) {
    if (st.verdict == Verdict::reset) {
      EXPECT_EQ(st.next, s == State::none ? State::none : State::tombstone);
    }
    if (st.verdict == Verdict::finish) {
      EXPECT_EQ(st.next, State::finished);
    }
  });
}

TEST(Policy, NothingIsEvidenceBeforeTheProof) {
  for_all([](State s, Event e, const Treatment&, const Step& st) {
    if (s != State::syn_seen && s != State::syn_ack_held) return;
    if (from_server(e)) return;
    EXPECT_NE(st.verdict, Verdict::reset);
    EXPECT_NE(st.verdict, Verdict::count);
    EXPECT_NE(st.verdict, Verdict::finish);
  });
}

TEST(Policy, NeverSendsUnprovenOrAheadBytesToTheServerWhileTheGreetingIsUnread) {
  for_all([](State s, Event e, const Treatment& t, const Step& st) {
    if (t.observe || (t.early_talk == OnEarlyTalk::count && !withholds(t))) return;
    if (s == State::greeted && e == Event::outside) {
      EXPECT_EQ(st.verdict, Verdict::drop);
    }
    const bool unread = s == State::syn_seen || s == State::syn_ack_held || s == State::syn_ack_sent ||
                        s == State::waiting || s == State::banner_held || s == State::due;
    if (unread && (e == Event::unproven || e == Event::unproven_data || e == Event::ahead || e == Event::outside)) {
      EXPECT_EQ(st.verdict, Verdict::drop);
    }
  });
}

TEST(Policy, ResetsAClientThatTalksBeforeTheBanner) {
  const Treatment t = default_treatments()[size_t(SourceClass::unknown)];
  for (const State s : {State::waiting, State::banner_held, State::due, State::greeted})
    EXPECT_EQ(step(s, Event::early, t), (Step{State::tombstone, Verdict::reset, Reason::early_talk}));
  EXPECT_EQ(step(State::syn_ack_sent, Event::proof_with_data, t),
            (Step{State::tombstone, Verdict::reset, Reason::early_talk}));
}

TEST(Policy, OnlyCountsATrustedOne) {
  const Treatment t = default_treatments()[size_t(SourceClass::trusted)];
  for (const State s : {State::due, State::greeted})
    EXPECT_EQ(step(s, Event::early, t), (Step{State::talking, Verdict::count, Reason::early_talk_counted}));
}

TEST(Policy, LeavesThePromisedEarlyHelloToRepetition) {
  const Treatment t = default_treatments()[size_t(SourceClass::unknown)];
  for (const State s : {State::waiting, State::banner_held, State::due, State::greeted})
    EXPECT_EQ(step(s, Event::early_hello, t), (Step{s, Verdict::drop, Reason::early_hello}));
  EXPECT_EQ(step(State::syn_ack_sent, Event::proof_with_hello, t),
            (Step{State::waiting, Verdict::pass, Reason::early_hello, t.greeting}));
}

TEST(Policy, AFinWhileHeldIsAnsweredAndOneAfterwardsPasses) {
  const Treatment t = default_treatments()[size_t(SourceClass::unknown)];
  for (const State s : {State::waiting, State::banner_held})
    EXPECT_EQ(step(s, Event::fin, t), (Step{State::finished, Verdict::finish, Reason::gave_up}));
  for (const State s : {State::due, State::greeted, State::talking})
    EXPECT_EQ(step(s, Event::fin, t).next, State::closing);
}

TEST(Policy, AClientsResetReachesTheServerAsOursWhereThereIsSomethingToEnforce) {
  for (const State s : {State::syn_seen, State::syn_ack_held, State::syn_ack_sent, State::waiting, State::banner_held,
                        State::due, State::greeted}) {
    EXPECT_EQ(step(s, Event::reset, default_treatments()[size_t(SourceClass::unknown)]).verdict, Verdict::drop);
    EXPECT_EQ(step(s, Event::reset, default_treatments()[size_t(SourceClass::trusted)]).verdict, Verdict::pass);
    EXPECT_EQ(step(s, Event::reset, default_treatments()[size_t(SourceClass::unknown)]).next, State::none);
  }
}

TEST(Policy, AGreetingWithAGapIsLeftToRepetitionOrNotJudged) {
  const Treatment known = default_treatments()[size_t(SourceClass::known)];
  for (const State s : {State::due, State::greeted}) {
    EXPECT_EQ(step(s, Event::greeting_gap, known), (Step{s, Verdict::drop, Reason::reordered_reply}));
    Treatment t = known;
    t.observe = true;
    EXPECT_EQ(step(s, Event::greeting_gap, t), (Step{State::talking, Verdict::pass, Reason::greeting_unjudged}));
  }
}

TEST(Policy, ARefusingServerEndsJudgementAtOnce) {
  for (const Treatment& t : treatments())
    for (const State s : {State::waiting, State::due, State::greeted})
      EXPECT_EQ(step(s, Event::greeting_refusal, t), (Step{State::talking, Verdict::pass, Reason::greeting_refused}));
}

TEST(Policy, AServersNewHandshakeBeginsEveryStateAnew) {
  for (const State s : all<State>(kStates)) {
    if (meets(s)) continue;  // the server knows nothing of it
    const auto next = step(s, Event::syn_ack_other, default_treatments()[size_t(SourceClass::unknown)]).next;
    if (s == State::syn_ack_held) {
      EXPECT_EQ(next, State::syn_ack_held) << "the newest numbers are kept";
    } else {
      EXPECT_EQ(next, State::syn_ack_sent);
    }
  }
}

TEST(Policy, UnsynchronisedPipeliningIsCountedUnlessToldToReset) {
  Treatment t = default_treatments()[size_t(SourceClass::known)];
  EXPECT_EQ(step(State::talking, Event::pipelined, t).verdict, Verdict::count);
  t.pipelining = OnPipelining::reset;
  EXPECT_EQ(step(State::talking, Event::pipelined, t).verdict, Verdict::reset);
  t.observe = true;
  EXPECT_EQ(step(State::talking, Event::pipelined, t).verdict, Verdict::count);
}

TEST(Policy, AStrayIsResetOnlyWhereItIsAskedForAndCanBeNoOlderFlow) {
  for (const bool judged : {false, true})
    for (const bool observe : {false, true})
      for (const OnJoined joined : {OnJoined::pass, OnJoined::reset})
        for (const bool perhaps_older : {false, true}) {
          Treatment t;
          t.judged = judged;
          t.observe = observe;
          t.joined = joined;
          const Step st = step_of_stray(t, perhaps_older);
          EXPECT_EQ(st.next, State::none);
          const bool meant = judged && joined == OnJoined::reset && !perhaps_older;
          EXPECT_EQ(st.verdict, !meant ? Verdict::pass : observe ? Verdict::count : Verdict::reset);
          EXPECT_EQ(st.reason, !meant ? Reason::no_entry : observe ? Reason::stray_observed : Reason::stray_reset);
        }
  for (const Treatment& t : default_treatments()) EXPECT_EQ(t.joined, OnJoined::pass);
}

TEST(Policy, ThePaceOfAServerIsSharedByAllLcores) {
  for (unsigned lcores = 1; lcores <= 64; ++lcores)
    for (const uint32_t whole : {1u, 2u, 3u, 31u, 32u, 33u, 63u, 64u, 65u, 1000u, 1'000'000u}) {
      uint32_t concurrent = 0, per_second = 0, least = UINT32_MAX, most = 0;
      for (unsigned i = 0; i < lcores; ++i) {
        const Pace mine = share_of({whole, whole}, i, lcores);
        concurrent += mine.concurrent;
        per_second += mine.per_second;
        least = std::min(least, mine.concurrent);
        most = std::max(most, mine.concurrent);
      }
      EXPECT_EQ(concurrent, std::max(whole, lcores)) << "nobody's part is none";
      EXPECT_EQ(per_second, concurrent);
      EXPECT_LE(most - least, 1u);
    }
  EXPECT_EQ(share_of({32, 0}, 3, 4), (Pace{8, 0})) << "no limit is no limit for anybody";
}

TEST(Policy, ALimitIsReachedByWhoHasAsManyFlowsAlready) {
  Treatment t;
  EXPECT_EQ(limit_reached(t, UINT32_MAX, UINT32_MAX), std::nullopt) << "0: no limit";
  t.concurrent = 2;
  t.per_minute = 3;
  EXPECT_EQ(limit_reached(t, 1, 2), std::nullopt);
  EXPECT_EQ(limit_reached(t, 2, 2), Reason::concurrent_limit);
  EXPECT_EQ(limit_reached(t, 1, 3), Reason::rate_limit);
  EXPECT_EQ(limit_reached(t, 2, 3), Reason::concurrent_limit);
}

TEST(Policy, ObservedEarlyTalkWouldHaveBeenResetOnlyWhereItIs) {
  Treatment t = default_treatments()[size_t(SourceClass::known)];
  t.observe = true;
  EXPECT_EQ(step(State::greeted, Event::early, t), (Step{State::talking, Verdict::count, Reason::early_talk_observed}));
  t.early_talk = OnEarlyTalk::count;
  EXPECT_EQ(step(State::greeted, Event::early, t), (Step{State::talking, Verdict::count, Reason::early_talk_counted}));
}

TEST(Policy, BlockedSourcesAreRefusedAtTheirSyn) {
  Treatment t = default_treatments()[size_t(SourceClass::blocked)];
  EXPECT_EQ(step(State::none, Event::syn, t), (Step{State::none, Verdict::drop, Reason::blocked}));
  t.syn = OnSyn::reset;
  EXPECT_EQ(step(State::none, Event::syn, t), (Step{State::none, Verdict::reset, Reason::blocked}));
  t.observe = true;
  EXPECT_EQ(step(State::none, Event::syn, t), (Step{State::syn_seen, Verdict::count, Reason::blocked_observed}));
}

TEST(Policy, NothingOfASourceThatIsRefusedByOurselvesReachesTheServer) {
  for_all([](State s, Event e, const Treatment& t, const Step& st) {
    if (s != State::none || !refuses_alone(t) || from_server(e) || e > Event::server_reset) return;
    if (e == Event::syn_repeated || e == Event::syn_other) return;  // of an entry
    EXPECT_NE(st.verdict, Verdict::pass);
    EXPECT_NE(st.verdict, Verdict::count);
    EXPECT_TRUE(st.next == State::none || st.verdict == Verdict::reply) << "nothing is kept before the proof";
  });
}

TEST(Policy, ABlockedSourceThatIsRejectedGetsItsReplyWithItsProof) {
  Treatment t = default_treatments()[size_t(SourceClass::blocked)];
  t.syn = OnSyn::reject;
  EXPECT_EQ(step(State::none, Event::syn, t), (Step{State::none, Verdict::answer, Reason::met}));
  for (const Event e : {Event::proof, Event::proof_with_data, Event::proof_with_fin})
    EXPECT_EQ(step(State::none, e, t), (Step{State::replied, Verdict::reply, Reason::blocked_rejected}));
  for (const Event e : {Event::unproven, Event::unproven_data, Event::reset_inexact, Event::outside, Event::fin})
    EXPECT_EQ(step(State::none, e, t), (Step{State::none, Verdict::drop, Reason::blocked}));
  t.observe = true;
  EXPECT_EQ(step(State::none, Event::syn, t), (Step{State::syn_seen, Verdict::count, Reason::blocked_observed}));
  EXPECT_EQ(step(State::none, Event::unproven, t), (Step{State::none, Verdict::pass, Reason::no_entry}));
}

TEST(Policy, ATrappedSourceIsAnsweredWithoutARecordAndLetGoWhenItGoes) {
  Treatment t = default_treatments()[size_t(SourceClass::blocked)];
  t.syn = OnSyn::trap;
  for (const Event e : {Event::syn, Event::syn_meetable, Event::proof_with_data, Event::early, Event::nothing_new})
    EXPECT_EQ(step(State::none, e, t), (Step{State::none, Verdict::answer, Reason::trapped})) << to_string(e);
  for (const Event e : {Event::proof, Event::proof_with_fin, Event::fin})
    EXPECT_EQ(step(State::none, e, t), (Step{State::none, Verdict::drop, Reason::trapped})) << to_string(e);
  for (const Event e : {Event::reset, Event::reset_inexact, Event::unproven, Event::unproven_data, Event::outside})
    EXPECT_EQ(step(State::none, e, t), (Step{State::none, Verdict::drop, Reason::blocked})) << to_string(e);
}

TEST(Policy, AnotherProtocolNeverDemotesATrustedOrKnownSource) {
  for (const auto c : all<SourceClass>(kClasses)) {
    EXPECT_TRUE(demotes(c, false));
    EXPECT_EQ(demotes(c, true), c != SourceClass::trusted && c != SourceClass::known);
  }
}

TEST(Policy, DefaultsAreTheTableOfTheDesign) {
  const Treatments t = default_treatments();
  EXPECT_FALSE(t[size_t(SourceClass::exempt)].judged);
  EXPECT_FALSE(withholds(t[size_t(SourceClass::trusted)]));
  EXPECT_EQ(t[size_t(SourceClass::known)].early_talk, OnEarlyTalk::reset);
  EXPECT_EQ(t[size_t(SourceClass::unknown)].withhold, Withhold::defer);
  EXPECT_EQ(t[size_t(SourceClass::unknown)].greeting, (HoldRange{1000, 5000}));
  EXPECT_EQ(t[size_t(SourceClass::suspect)].withhold, Withhold::defer);
  EXPECT_EQ(t[size_t(SourceClass::suspect)].syn_ack, (HoldRange{200, 900}));
  EXPECT_EQ(t[size_t(SourceClass::suspect)].greeting, (HoldRange{5000, 15000}));
  EXPECT_EQ(t[size_t(SourceClass::blocked)].syn, OnSyn::drop);
  for (const auto& x : t) EXPECT_LE(x.greeting.max_ms + x.syn_ack.max_ms, kHoldCapMs);
}

template <typename E>
void names_are_distinct(size_t n) {
  std::set<std::string_view> seen;
  for (const E e : all<E>(n)) {
    EXPECT_NE(to_string(e), "?");
    EXPECT_FALSE(to_string(e).empty());
    EXPECT_TRUE(seen.insert(to_string(e)).second) << to_string(e);
  }
  EXPECT_EQ(to_string(static_cast<E>(n)), "?");
}

TEST(Policy, EveryWordHasAName) {
  names_are_distinct<State>(kStates);
  names_are_distinct<Event>(kEvents);
  names_are_distinct<Reason>(kReasons);
  names_are_distinct<Verdict>(kVerdicts);
  names_are_distinct<SourceClass>(kClasses);
  EXPECT_EQ(to_string(Event::deadline), "deadline");
  EXPECT_EQ(to_string(State::joined), "joined");
  EXPECT_EQ(to_string(Reason::evicted), "evicted");
  for (const auto r : all<Reason>(kReasons)) EXPECT_GT(describe(r).size(), 5u);
  for (const auto r : all<Reason>(kReasons)) EXPECT_LE(to_string(r).size(), 40u) << "smtp::kLongestReason";
}

TEST(Policy, OfAStrangerWhomWeMeetNothingReachesTheServerBeforeItsFirstCommandInTurn) {
  for_all([](State s, Event e, const Treatment&, const Step& st) {
    if (!meets(s)) return;
    if (s == State::replied && is_syn(e)) return;  // a new connection: the server's word will tell
    EXPECT_NE(st.verdict, Verdict::pass);
    EXPECT_NE(st.verdict, Verdict::count);
    if (st.verdict == Verdict::dial) {
      EXPECT_EQ(s, State::invited);
      EXPECT_TRUE(e == Event::speech || e == Event::pipelined);
    }
    if (st.verdict == Verdict::join) {
      EXPECT_EQ(s, State::dialling);
      EXPECT_EQ(e, Event::greeting_end);
    }
    EXPECT_EQ(st.next == State::talking, st.verdict == Verdict::join);
  });
}

TEST(Policy, NobodyIsMetWhoseTreatmentDoesNotDefer) {
  for_all([](State s, Event e, const Treatment& t, const Step& st) {
    if (meets(s)) return;
    const bool refused = s == State::none && refuses_alone(t);
    if (!refused) {
      EXPECT_EQ(st.next == State::met, st.verdict == Verdict::answer);
    }
    if (st.next != State::met) return;
    EXPECT_EQ(s, State::none);
    EXPECT_EQ(e, Event::syn_meetable);
    EXPECT_TRUE(t.withhold == Withhold::defer && t.judged && !t.observe && t.syn == OnSyn::pass);
  });
}

TEST(Policy, ATeaserGoesOutWithTheProofAndWhoeverSpeaksAfterItIsEarly) {
  Treatment t = default_treatments()[size_t(SourceClass::unknown)];
  t.withhold = Withhold::defer;
  EXPECT_EQ(step(State::met, Event::proof, t).reason, Reason::deferred);
  t.teaser = true;
  EXPECT_EQ(step(State::met, Event::proof, t), (Step{State::deferred, Verdict::hold, Reason::teased, t.greeting}));
  EXPECT_EQ(step(State::deferred, Event::early, t), (Step{State::tombstone, Verdict::reset, Reason::early_talk}));
}

TEST(Policy, EveryWaitOfAStrangerWhomWeMeetEnds) {
  for (const Treatment& t : treatments()) {
    EXPECT_EQ(step(State::deferred, Event::deadline, t).next, State::invited);
    EXPECT_EQ(step(State::invited, Event::waited_enough, t), (Step{State::replied, Verdict::reply, Reason::silent}));
    EXPECT_EQ(step(State::dialling, Event::waited_enough, t),
              (Step{State::replied, Verdict::reply, Reason::server_down}));
  }
}

}  // namespace
}  // namespace mire::policy
