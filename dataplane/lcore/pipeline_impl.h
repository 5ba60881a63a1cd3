// pipeline_impl.h - the pipeline's inside: its rooms, and the steps of the walk. Private to lcore/.
//
// pipeline.cc conducts the burst; client_side.cc and server_side.cc turn a segment into an event, ask the policy and do
// what it says; flow_life.cc keeps records consistent when states change; replies.cc crafts; timers.cc ends holds and
// forgets; strays.cc sees to segments that belong to no flow; profiles.cc learns, recalls and tells what servers teach.
#pragma once

#include <random>
#include <utility>
#include <vector>

#include "dataplane/base/interner.h"
#include "dataplane/defer/cookie.h"
#include "dataplane/defer/server_profile.h"
#include "dataplane/flow/calendar.h"
#include "dataplane/flow/classify.h"
#include "dataplane/flow/departed.h"
#include "dataplane/flow/flow_table.h"
#include "dataplane/hold/banner_pool.h"
#include "dataplane/lcore/pipeline.h"
#include "dataplane/policy/policy.h"
#include "dataplane/smtp/dialogue.h"
#include "dataplane/source/rate_sketch.h"
#include "dataplane/source/source_table.h"
#include "dataplane/wire/craft.h"
#include "dataplane/wire/options.h"
#include "dataplane/wire/quotation.h"
#include "dataplane/wire/translate.h"

namespace mire::lcore {

// A protected server on one VLAN stack; flows carry its number.
struct Endpoint {
  wire::Address address;
  uint64_t vlan = 0;
  friend bool operator==(const Endpoint&, const Endpoint&) noexcept = default;
};
static_assert(sizeof(Endpoint) == 24);

// Link headers of both directions, as bytes without padding so that they can be interned.
struct LinkPath {
  wire::LinkHeader to_server;
  wire::LinkHeader to_client;
  friend bool operator==(const LinkPath&, const LinkPath&) noexcept = default;
};
static_assert(std::has_unique_object_representations_v<LinkPath>);

struct DialogueRecord {
  smtp::Dialogue dialogue;
  wire::SeqNo client_origin;  // sequence numbers from which the dialogue's offsets count
  wire::SeqNo server_origin;
  uint32_t next = 0;           // free list, or the queue of dials
  bool greeting_open = false;  // the client spoke before the greeting: server_origin is not known yet

  // Of a flow that we met ourselves:
  wire::Translation translation;
  bool queued = false;                // dialling: its turn has not come
  bool answered = false;              // dialling: the server's SYN-ACK has come
  flow::Handle flow = flow::kNoFlow;  // dialling: whose it is; kNoFlow: it left the queue before its turn
  uint32_t words = 0;                 // dialling: the client's first words (hold/ number)
  uint32_t greeting = 0;              // dialling: what the server's greeting has been so far (hold/ number)
  wire::SeqNo greeted_to;             // dialling: behind the greeting that we sent
  wire::SeqNo server_isn;             // dialling: the server's own
  wire::SeqNo server_next;            // dialling: its next byte
  uint32_t server_clock = 0;          // dialling: its latest TSval
};

// Dials to one server that wait for their turn, oldest first; dialogue numbers.
struct DialQueue {
  uint32_t first = 0;
  uint32_t last = 0;
};

// One frame of the burst, as the stages fill it.
struct Column {
  enum class Role : uint8_t { none, client, server };
  wire::Headers headers;
  flow::FlowId id;  // valid if the role is not none and the endpoint is known
  flow::FlowTable::Probe probe;
  Role role = Role::none;
  flow::Handle handle = flow::kNoFlow;  // as it was when the burst was looked up; kNoFlow if it is not known
  source::SourceTable::Probe source;    // valid if it asks for its source
  uint64_t deadline_ms = 0;             // of the hold that it will probably begin
};

// Some columns of the burst, in their order.
class Picks {
 public:
  void clear() noexcept { count_ = 0; }
  void add(size_t column) noexcept { at_[count_++] = static_cast<uint8_t>(column); }
  [[nodiscard]] const uint8_t* begin() const noexcept { return at_.data(); }
  [[nodiscard]] const uint8_t* end() const noexcept { return at_.data() + count_; }

 private:
  std::array<uint8_t, kBurst> at_;
  size_t count_ = 0;
};

// Chance drawn ahead: a burst can see where its holds will end, and ask for the calendar's lines before it gets there.
class Lots {
 public:
  explicit Lots(uint64_t seed) : chance_(seed) {
    for (auto& lot : ahead_) lot = static_cast<uint32_t>(chance_() >> 32);
  }
  [[nodiscard]] uint32_t draw() noexcept {
    uint32_t& place = ahead_[at_++ % ahead_.size()];
    return std::exchange(place, static_cast<uint32_t>(chance_() >> 32));
  }
  // What the draw after the next n will give, n < kBurst.
  [[nodiscard]] uint32_t peek(unsigned n) const noexcept { return ahead_[(at_ + n) % ahead_.size()]; }

 private:
  std::mt19937_64 chance_;
  std::array<uint32_t, kBurst> ahead_{};
  unsigned at_ = 0;
};

// No deadline of a flow that we meet is longer than this (forget_if_silent() tells late from early by it).
inline constexpr uint32_t kLongestWaitMs = 40'000;

inline constexpr uint16_t kLeastMss = 536;  // RFC 9293 3.7.1, where a SYN names none

// When an unanswered dial is looked after, in ms after the time before: SYNs after 0, 1 and 3 s, given up after 10.
inline constexpr std::array<uint16_t, 3> kDialSteps = {1000, 2000, 7000};

inline constexpr uint16_t kOwnWindow = 65535;  // where we speak for a server that we know nothing of

class Pipeline::Impl {
 public:
  Impl(const PipelineOptions&, Transmitter&, EventSink&);

  const source::Settings* use(const source::Settings*);
  void process(Burst&, Time now);
  void expire(Time now);
  [[nodiscard]] std::optional<Time> next_deadline() const;
  void restore(const defer::Survivor&, Time now);
  void bypassed();
  void went_past();
  void release_all(Time now);
  [[nodiscard]] const Counters& counters() const noexcept { return counters_; }
  [[nodiscard]] std::optional<SourceView> find_source(const wire::Address&, Time now) const;
  [[nodiscard]] RoomsInUse rooms_in_use() const;

 private:
  using Event = policy::Event;
  using Reason = policy::Reason;
  using State = policy::State;
  using Step = policy::Step;
  using SourceClass = policy::SourceClass;
  using Handle = flow::Handle;
  using SeqNo = wire::SeqNo;

  struct ServerFacts {
    Time early_hello_until{};
    bool is_protected = false;
    defer::ServerProfile profile{};
    DialQueue dials{};
    std::optional<policy::Pace> strangers{};  // its own pace
    uint32_t told = 0;                        // the profile's revision that was reported last; 0: none
    Time tell_after{};                        // and when the next one may be
    std::array<uint32_t, 2> seen{};           // by Side: second of the latest segment of a flow, and one; 0: none
  };

  // pipeline.cc: the stages
  void begin_turn(Time now);
  [[nodiscard]] ServerFacts facts_of(const wire::Address& server) const;
  void parse(Burst&);
  void look_up();
  [[nodiscard]] bool foresee(Column&, unsigned& holds, unsigned& begun);
  [[nodiscard]] Handle flow_of(const Column&) const;
  void act(FrameRef&, Column&);

  [[nodiscard]] bool goes_on(const Column&) const;

  // client_side.cc
  void on_client(FrameRef&, Column&);
  void on_passing_client(FrameRef&, Column&, Handle);
  [[nodiscard]] bool admit(FrameRef&, const Column&, SourceClass, const Step&);
  [[nodiscard]] std::optional<Reason> limit_of(const wire::Address& client, const policy::Treatment&) const;
  [[nodiscard]] std::optional<Reason> limit_of_proof(const wire::Address& client, const flow::State32&,
                                                     const Step&) const;
  void refuse_beyond_limit(FrameRef&, const Column&, Handle, Reason);
  void new_flow(FrameRef&, Column&);
  [[nodiscard]] Event client_event(const FrameRef&, const Column&, const flow::State32&) const;
  [[nodiscard]] Event forgiven(Event, const FrameRef&, const Column&, const flow::State32&) const;
  void do_client_step(FrameRef&, Column&, Handle, Event, const Step&);
  void prove(Handle);
  void would_reset(Handle);
  void client_speech(const FrameRef&, const Column&, Handle, smtp::Findings&);
  void early_talk(const FrameRef&, const Column&, Handle, const Step&, State at);
  void edit_syn(FrameRef&, Column&, SourceClass);
  void clamp_mss(FrameRef&, const Column&);

  // server_side.cc
  void on_server(FrameRef&, Column&);
  void adopt(FrameRef&, Column&);
  void on_syn_ack(FrameRef&, Column&, Handle, Event);
  void park_syn_ack(const FrameRef&, const Column&, flow::State32&);
  void on_greeting(FrameRef&, Column&, Handle);
  void pass_greeting(Handle, const wire::Headers&, std::span<const uint8_t> all, size_t end, uint16_t segment);
  void park_greeting(FrameRef&, const Column&, Handle, std::span<const uint8_t> all, uint16_t segment, const Step&);
  void do_server_step(FrameRef&, Column&, Handle, Event, const Step&);
  void server_speech(FrameRef&, const Column&, Handle);
  void learn_numbers(const FrameRef&, const wire::Headers&, flow::State32&);
  [[nodiscard]] wire::SeqNo expected_of_greeting(const flow::State32&) const;

  // profiles.cc
  void learn_greeting(uint32_t server, std::span<const uint8_t> greeting, uint16_t segment);
  void recall_profiles();
  void heed(uint32_t server);
  [[nodiscard]] policy::Pace pace_of(const ServerFacts&) const noexcept;
  void recall(uint32_t server, const source::KeptProfile&);
  [[nodiscard]] bool is_kept(uint32_t server, const source::KeptProfile*) const;
  void tell(uint32_t server);

  // handshake.cc
  [[nodiscard]] bool can_meet(const FrameRef&, const Column&, SourceClass) const;
  void meet(FrameRef&, Column&, SourceClass, policy::HoldRange);
  [[nodiscard]] Handle meet_by_cookie(const FrameRef&, Column&);
  void on_met_client(FrameRef&, Column&, Handle);
  void do_meeting_step(FrameRef&, Column&, Handle, Event, const Step&);
  [[nodiscard]] bool meet_anew(FrameRef&, Column&, Handle);
  [[nodiscard]] static wire::TcpOptions answer_to(const flow::ParkedSynAck& offered, const defer::Offer&, bool clocks);
  void answer_syn(const FrameRef&, const Column&, Handle met, uint32_t hold_ms);
  [[nodiscard]] bool hold_answer(Handle, uint32_t hold_ms);
  [[nodiscard]] bool answer_is_due_later(const flow::State32&) const;
  void release_answer(Handle);
  void repeat_syn_ack(Handle);
  void send_syn_ack(Handle);
  bool ask_again(Handle, uint32_t after_ms);
  void answer_client(const FrameRef&, const Column&, Handle, Event);
  void acknowledge_client(Handle, wire::SeqNo ack);
  void tease(Handle);
  void invite(Handle);
  [[nodiscard]] uint32_t greeting_behind(uint32_t teaser, uint32_t learned);
  void send_greeting(Handle, size_t from = 0);
  void meeting_due(Handle);
  void finish_met(Handle, const FrameRef&, const wire::Headers&);
  [[nodiscard]] uint16_t advertised(Handle) const;
  [[nodiscard]] wire::SeqNo sent_to(Handle) const;
  [[nodiscard]] uint32_t our_clock(Handle) const;
  [[nodiscard]] defer::Handshake handshake_of(Handle) const;
  void arm(Handle, uint64_t after_ms);
  [[nodiscard]] uint64_t can_be_armed(uint64_t deadline_ms) const;

  // blocked.cc
  void answer_blocked_syn(const FrameRef&, const Column&, const Step&);
  void on_refused_stray(FrameRef&, Column&, SourceClass);
  [[nodiscard]] Event stray_event(const wire::Headers&) const;
  [[nodiscard]] Event trapped_event(const wire::Headers&) const;
  [[nodiscard]] SeqNo trapped_first(const wire::Headers&) const;
  void keep_trapped(const FrameRef&, const wire::Headers&);
  void send_trapped(const wire::Segment&, size_t came);
  void reject_blocked(const FrameRef&, Column&, SourceClass, const Step&);

  // strays.cc
  void saw(uint32_t server, Side from);
  void depart(const flow::FlowId&);
  [[nodiscard]] bool may_be_older(const Column&) const;
  void on_stray(FrameRef&, Column&);
  void refuse_stray(const FrameRef&, const wire::Headers&);
  void tell_of_stray(const Column&, SourceClass, const Step&);

  // errors.cc
  void on_error(FrameRef&, const Column&, const wire::Quotation&);

  // own_reply.cc
  void reply(Handle, const wire::Headers* answered, Reason, std::span<const uint8_t> text = {});
  void send_reply(Handle, const FrameRef&, const wire::Headers&);
  [[nodiscard]] wire::Segment reply_segment(Handle, std::span<const uint8_t> text) const;
  [[nodiscard]] std::span<const uint8_t> worded(Reason, const wire::Address& client,
                                                std::array<uint8_t, smtp::kLongestReply>& room) const;

  // dialling.cc
  [[nodiscard]] bool keep_words(const FrameRef&, const Column&, Handle);
  void begin_dial(Handle);
  void dial(Handle);
  void send_syn(Handle);
  void dial_next(uint16_t server);
  void end_dial(Handle);
  void give_up_dial(Handle);
  void on_met_server(FrameRef&, Column&, Handle);
  void on_dialled(FrameRef&, Column&, Handle);
  void acknowledge_server(Handle);
  [[nodiscard]] Event take_syn_ack(const FrameRef&, const Column&, Handle);
  [[nodiscard]] Event read_dialled_greeting(const FrameRef&, const Column&, Handle);
  [[nodiscard]] bool wait_on(Handle);
  void join(Handle);
  [[nodiscard]] DialogueRecord& dialled(const flow::State32& s) { return dialogues_[s.sent()]; }
  [[nodiscard]] std::optional<wire::Translation> translation_of(const flow::State32&);
  [[nodiscard]] bool is_translated(const flow::State32&);

  // outliving.cc
  [[nodiscard]] bool outlives(Handle) const;
  [[nodiscard]] defer::FlowName name_of(Handle) const;
  void keep(Handle);
  void forget_kept(Handle);

  // flow_life.cc
  [[nodiscard]] uint32_t take_dialogue();
  void give_dialogue(uint32_t);
  void leash(Handle);
  [[nodiscard]] Handle create(const Column&, SourceClass, uint32_t path);
  void erase(Handle);
  void enter(Handle h, State next) {
    if (flows_[h].state != next) change(h, next);
  }
  void change(Handle, State next);
  void drop_payload_refs(Handle);
  void begin_dialogue(flow::State32&);
  [[nodiscard]] DialogueRecord* dialogue_of(const flow::State32&);
  void begin_hold(Handle, policy::HoldRange);
  [[nodiscard]] static uint32_t hold_of(policy::HoldRange, uint32_t lot) noexcept;
  [[nodiscard]] uint64_t deadline_after(uint32_t hold_ms) const noexcept;
  void end_report(Handle);
  void saw_fin(Handle, flow::Flag whose);
  [[nodiscard]] uint32_t ran_ms(const flow::State32&) const;
  void leave_sources(Handle);
  // False: the flow is gone.
  [[nodiscard]] bool obey_epoch(Handle h) {
    if (flows_[h].epoch == epoch_) [[likely]]
      return true;
    distrust(h);
    return flows_.used(h);
  }
  void distrust(Handle);
  [[nodiscard]] SourceClass class_of(const wire::Address& client) const { return class_at(client, now_); }
  [[nodiscard]] SourceClass class_at(const wire::Address& client, Time now) const;
  [[nodiscard]] uint32_t path_of(const FrameRef&, const wire::Headers&, bool from_server);
  void see_server_path(const FrameRef&, const wire::Headers&, flow::State32&);
  [[nodiscard]] uint32_t endpoint_for(const wire::Address& server, wire::VlanStack, bool answered);

  // replies.cc
  void send(Side to, const wire::Segment&);
  [[nodiscard]] wire::Segment to_client(Handle) const;
  [[nodiscard]] wire::Segment to_server(Handle) const;
  void reset_client(Handle, wire::SeqNo);
  void reset_server(Handle, wire::SeqNo);
  void reset_both(Handle, State at, const wire::Headers&);
  [[nodiscard]] static wire::Segment back_to_sender(const FrameRef&, const wire::Headers&);
  void refuse_syn(const FrameRef&, const wire::Headers&);
  void new_second();
  [[nodiscard]] bool may_send_unproven(const wire::Segment&, size_t came);
  void send_unproven(const wire::Segment&, size_t came);
  void finish_client(Handle, const FrameRef&, const wire::Headers&);
  void answer_tombstone(Handle, const wire::Headers&, bool from_client);
  uint32_t release_greeting(Handle);
  void release_syn_ack(Handle);

  // timers.cc
  void due(Handle, uint64_t deadline_ms);
  void end_hold(Handle, Reason);
  void sweep();
  void forget_if_silent(Handle);

  void count(Reason r) noexcept { ++counters_.reasons[static_cast<size_t>(r)]; }
  void count(const Step& s) noexcept {
    count(s.reason);
    ++counters_.verdicts[static_cast<size_t>(s.verdict)];
  }
  void report(Handle, State at, policy::Verdict, Reason, uint32_t hold_ms = 0, std::span<const uint8_t> bytes = {},
              Duration penalty = {});
  void offer(const mailbox::FlowEvent&);
  [[nodiscard]] const policy::Treatment& treatment(SourceClass c) const noexcept {
    return treatments_[static_cast<size_t>(c)];
  }
  [[nodiscard]] uint64_t now_ms() const noexcept { return to_ms(now_); }
  [[nodiscard]] uint32_t now_second() const noexcept { return static_cast<uint32_t>(now_ms() / 1000); }
  [[nodiscard]] static std::span<const uint8_t> payload(const FrameRef& f, const wire::Headers& h) noexcept {
    return {f.data + h.payload, h.payload_length};
  }

  const PipelineOptions options_;
  Transmitter& out_;
  EventSink& events_;
  const source::Settings* settings_ = nullptr;
  policy::Treatments treatments_{};     // with `observe` of the whole box folded in
  bool refuses_alone_ = false;          // some class is refused by ourselves
  bool resets_strays_ = false;          // some class gets a reset for segments that belong to no flow
  std::optional<Time> watching_since_;  // we see every flow begin; nullopt: from the next turn on
  uint64_t judges_ = 0;                 // source::Settings::judges in use
  policy::TrapRate trap_{};             // this lcore's share
  Counters counters_;
  Lots lots_;
  const defer::CookieJar cookies_;
  uint64_t pressed_until_ms_ = 0;  // unproven records had to give way: strangers are met without one

  flow::FlowTable flows_;
  flow::Calendar calendar_;
  source::SourceTable sources_;
  source::RateSketch trapped_;
  flow::Departed departed_;
  hold::BannerPool banners_;
  Interner<Endpoint> endpoints_;
  Interner<LinkPath> paths_;
  std::vector<ServerFacts> known_servers_;  // by endpoint
  std::vector<DialogueRecord> dialogues_;
  uint32_t free_dialogue_ = 0;

  std::array<Column, kBurst> columns_;
  Picks smtp_;                    // columns with a role and a known server
  Picks asking_;                  // of these, those that will ask for their source
  Picks elsewhere_;               // those whose record is not in its first bucket
  std::vector<uint8_t> scratch_;  // a greeting put together
  std::array<mailbox::Profile, mailbox::kMostPieces> telling_{};
  Time now_{};
  bool started_ = false;
  bool stopping_ = false;
  uint8_t epoch_ = 0;
  uint64_t swept_ms_ = 0;
  uint64_t reply_second_ = 0;  // of the bounds on what is sent unasked
  uint32_t reply_tokens_ = 0;
  uint32_t meeting_tokens_ = 0;
  uint32_t repeat_tokens_ = 0;
  uint32_t trap_tokens_ = 0;
  uint32_t stray_event_tokens_ = 0;
};

}  // namespace mire::lcore
