// pipeline.h - the one place that sees a whole burst and calls the rooms in order.
//
// Purpose: a packet's walk, parse -> lookup -> decide -> act, over bursts of up to 64, with one cache miss overlapped
// by the next. Assumes: one thread; time never runs backwards between calls; the settings outlive their use (see
// use()). Allocates at construction only. No system call, lock, exception or log inside.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "dataplane/base/time.h"
#include "dataplane/lcore/frame.h"
#include "dataplane/lcore/keeper.h"
#include "dataplane/mailbox/flow_event.h"
#include "dataplane/mailbox/layout.h"
#include "dataplane/policy/types.h"
#include "dataplane/source/settings.h"

namespace mire::lcore {

// Sizes are fixed at start. Memory for N flows: docs/performance.md.
struct PipelineSizes {
  uint32_t flows_v4 = 1u << 20;  // flows at 85 % fill
  uint32_t flows_v6 = 1u << 18;
  uint32_t sources = 1u << 18;  // sources with live flows or a running penalty
  uint32_t dialogues = 1u << 16;
  uint32_t servers = 4096;  // server address and VLAN stack; at most 65,535
  uint32_t paths = 16384;   // link-layer headers; at most 65,535
  uint32_t banner_bytes = 8u << 20;
  uint32_t departed = 1u << 20;  // flows forgotten in a quarter of an hour, for `joined reset`: 3 bytes each, twice
};

struct PipelineOptions {
  PipelineSizes sizes;
  uint64_t seed = 0;  // hash keys and holds; the same seed gives the same holds
  defer::CookieKey
      cookie_key{};    // of the numbers that strangers are met with: secret; its predecessor's, if that left one
  uint8_t lcore = 0;   // written into events
  uint8_t lcores = 1;  // of the dataplane: they share what is meant for a server, or for the whole box
  uint16_t largest_frame = 0;              // bytes that a port can hand us; MSS is clamped to fit; 0: no clamp
  uint32_t replies_per_second = 10'000;    // bound on replies to unproven sources
  uint32_t meetings_per_second = 200'000;  // bound on SYNs answered in a server's name
  uint32_t repeats_per_second = 100;       // bound on SYN-ACKs of ours that are repeated
  uint32_t strays_told_per_second = 10;    // events about segments that belong to no flow
  uint32_t crowd = 1000;                   // strangers greeted and silent beyond which they have 10 s instead of 50
  Keeper* keeper = nullptr;                // of flows that outlive the process; nullptr: none does
  bool defers = true;                      // false: withhold defer means banner (a capture has no server to dial)
};

// What enforcement would have done to proven flows, and how many of those went on to deliver mail that the server
// accepted: what an operator wants to see before enforcement begins.
struct WouldHave {
  uint64_t reset = 0;
  uint64_t reset_delivered = 0;
  uint64_t blocked = 0;
  uint64_t blocked_delivered = 0;
};

// Counters that only this lcore writes; readers elsewhere see each number whole, though not all of one instant.
struct Counters {
  std::array<uint64_t, policy::kReasons> reasons{};
  std::array<uint64_t, policy::kVerdicts> verdicts{};
  std::array<uint64_t, 2> frames_in{};  // by Side
  std::array<uint64_t, 2> bytes_in{};
  std::array<uint64_t, 2> dropped{};              // of frames_in, those that were not forwarded
  std::array<uint64_t, 2> crafted{};              // frames of our own, by Side they left by
  std::array<uint64_t, policy::kStates> flows{};  // gauge: flows in each state
  std::array<std::array<uint64_t, 2>, policy::kClasses>
      opened{};              // proven flows by class and family (0: IPv4, 1: IPv6)
  WouldHave would_have;      // observe mode
  uint64_t events_lost = 0;  // flow events for which there was no room
  uint64_t late_ms_max = 0;  // worst lateness of a release
  uint64_t hold_ms_sum = 0;  // of all releases
  uint64_t releases = 0;
};

// Takes what the pipeline has to tell.
class EventSink {
 public:
  virtual ~EventSink() = default;
  // False: no room; it counts events_lost and goes on.
  virtual bool offer(const mailbox::FlowEvent&) = 0;
  // What a server has taught us, in pieces: all of them or none. False: no room; it is told again later. Who keeps
  // nothing needs none of it.
  virtual bool tell(std::span<const mailbox::Profile>) { return true; }
};

// What is known of one source on this lcore, for `/mire/sources,ADDRESS`.
struct SourceView {
  policy::SourceClass source_class = policy::SourceClass::unknown;  // with a running penalty taken into account
  uint32_t live_flows = 0;
  uint32_t opened_this_minute = 0;
  uint32_t offences = 0;
  Duration penalty_left{};
};

// How much of the rooms is in use. When no flow is left nothing is, but what was learned of servers. Walks the rooms:
// for tests.
struct RoomsInUse {
  uint32_t flows = 0;
  uint32_t paths = 0;
  uint32_t parked = 0;     // greetings, first words and replies of our own that flows hold
  uint32_t dialogues = 0;  // with those of flows that left the queue of dials before their turn
  uint32_t dials = 0;      // not yet greeted
};

class Pipeline {
 public:
  Pipeline(const PipelineOptions&, Transmitter&, EventSink&);
  ~Pipeline();
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;

  // From now on these settings; returns what was used before (nullptr at first), which may be freed once this returns.
  // Until the first call everything passes unjudged (reason not_configured).
  const source::Settings* use(const source::Settings*);

  // Judges every frame of the burst: sets fates and lengths, edits bytes, sends frames of our own.
  void process(Burst&, Time now);

  // Ends every hold that is due. Call at least once a millisecond while anything is held.
  void expire(Time now);

  // When expire() next has work, if anything is armed: how long an idle lcore may sleep.
  [[nodiscard]] std::optional<Time> next_deadline(Time now) const;

  // Carries on a flow that a dataplane before us had met. Before the first burst.
  void restore(const defer::Survivor&, Time now);

  // Frames went past us: every flow that is not yet talking becomes joined, its hold cancelled.
  void bypassed();

  // A frame of ours was forwarded by somebody else, unjudged: there may be flows that we know nothing of.
  void went_past();

  // Ends all holds now (SIGTERM, request bypass): parked greetings and SYN-ACKs go out.
  void release_all(Time now);

  [[nodiscard]] const Counters& counters() const noexcept;
  [[nodiscard]] std::optional<SourceView> find_source(const wire::Address& client, Time now) const;
  [[nodiscard]] RoomsInUse rooms_in_use() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// Which of `lcores` lcores a client's flows belong to: keyed by `seed`, by the client's address alone (/64 for IPv6),
// so that a source's limits need no lock. The same on every lcore of one dataplane.
[[nodiscard]] unsigned owner_of(const wire::Address& client, unsigned lcores, uint64_t seed) noexcept;

// The client's address of a frame (source on the wan side, destination on the lan side), if it is TCP with port 25
// or a fragment of TCP; of an ICMP error about TCP with port 25 the quoted one's; nullopt for what has no owner and may
// be forwarded by whoever got it.
[[nodiscard]] std::optional<wire::Address> client_of(const FrameRef&) noexcept;

}  // namespace mire::lcore
