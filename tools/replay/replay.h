// replay.h - a capture through the dataplane's own rooms: what would have become of each flow, and why.
//
// The pipeline runs in observe mode, because a capture answers nothing: its clients saw the greeting when the server
// sent it. So early talk is a lower bound (a hold would have caught more), and penalties do not carry from one flow to
// the next.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "dataplane/lcore/pipeline.h"

namespace mire::replay {

// One flow's line.
struct Outcome {
  Time begun;
  wire::Address client;
  wire::Address server;
  uint16_t port = 0;
  uint64_t vlan = 0;
  policy::SourceClass source_class = policy::SourceClass::unknown;
  policy::Verdict verdict = policy::Verdict::pass;  // what enforcement would have done first that matters
  policy::Reason reason = policy::Reason::handshake;
  policy::HoldRange syn_ack{};
  policy::HoldRange greeting{};
  uint32_t accepted = 0;  // messages that the server accepted all the same
  bool unsynchronised = false;
  policy::Reason end = policy::Reason::handshake;  // how it went on; handshake: the capture does not say
  std::string first_bytes;                         // of an early talker
};

struct Totals {
  uint64_t frames = 0;
  uint64_t cut = 0;        // frames that the capture shortened: not judged
  uint64_t fragments = 0;  // not reassembled here
  uint64_t not_smtp = 0;   // nothing to do with port 25
  uint64_t unprotected = 0;
};

class Replay final : public lcore::Transmitter, public lcore::EventSink {
 public:
  // Takes a copy of the settings with observe set.
  Replay(const source::Settings&, uint64_t seed);

  void frame(std::vector<uint8_t> bytes, Time, bool cut);
  // Lets time pass until every flow has ended; then outcomes() is final, in order of beginning.
  void finish();

  [[nodiscard]] const std::vector<Outcome>& outcomes() const noexcept { return outcomes_; }
  [[nodiscard]] const Totals& totals() const noexcept { return totals_; }
  [[nodiscard]] const lcore::Counters& counters() const noexcept { return pipeline_.counters(); }

  std::span<uint8_t> reserve(lcore::Side, size_t) override { return {}; }
  void commit(size_t) override {}
  bool offer(const mailbox::FlowEvent&) override;

 private:
  using FlowKey = std::tuple<wire::Address, uint16_t, wire::Address, uint64_t>;
  Outcome& outcome_of(const FlowKey&, Time, bool begins);

  source::Settings settings_;
  lcore::Pipeline pipeline_;
  std::vector<Outcome> outcomes_;
  std::map<FlowKey, size_t> latest_;
  Totals totals_;
  Time now_{};
};

}  // namespace mire::replay
