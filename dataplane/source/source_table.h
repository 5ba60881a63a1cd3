// source_table.h - what one lcore knows of its sources: live flows, rate, penalty.
//
// Purpose: limits and penalties without a lock, because all flows of a source are on one lcore. Nothing is entered
// before a handshake is proven, so forged SYNs leave no trace. Fixed size; what has neither flows nor offences gives
// way first, and a full table is counted by the caller. Assumes: one thread. Cost: one look-up a SYN and two a flow.
#pragma once

#include <cstdint>

#include "dataplane/base/bucket_table.h"
#include "dataplane/base/time.h"
#include "dataplane/source/settings.h"
#include "dataplane/wire/address.h"

namespace mire::source {

struct SourceRecord {
  wire::Address key;           // wire::source_of(client)
  uint32_t live = 0;           // proven flows
  uint32_t minute = 0;         // minute (of our clock) that `opened` counts
  uint32_t opened = 0;         // flows proven in that minute
  uint32_t penalty_until = 0;  // second (of our clock); 0: none ever
  uint32_t last_offence = 0;   // second
  uint32_t offences = 0;
};

class SourceTable {
 public:
  SourceTable(uint32_t capacity, uint64_t seed) : table_(capacity, seed) {}

  using Table = BucketTable<SourceRecord>;
  using Probe = Table::Probe;
  // For bursts, as in bucket_table.h: where a client's source lives, its tags, its record (false: it may be elsewhere).
  [[nodiscard]] Probe probe(const wire::Address& client) const noexcept {
    return table_.probe(wire::source_of(client));
  }
  void prefetch(const Probe& p) const noexcept { table_.prefetch(p); }
  [[nodiscard]] bool prefetch_record(const Probe& p) const noexcept {
    return table_.prefetch_record(p) != Table::kNone;
  }
  void prefetch_elsewhere(const Probe& p) const noexcept { table_.prefetch_elsewhere(p); }

  [[nodiscard]] const SourceRecord* find(const wire::Address& client) const noexcept;

  // A flow of the client is proven. False: no room; the flow goes on without limits or penalties.
  bool opened(const wire::Address& client, Time now) noexcept;
  void closed(const wire::Address& client) noexcept;

  // An offence: doubles the penalty (one doubling is forgotten for each day without offence). Returns how long it now
  // runs from `now` on, or zero if the source is not in the table.
  Duration offend(const wire::Address& client, const PenaltyRange&, Time now) noexcept;

  // What is known of the client's source from before this table: counts unless it has offended here since.
  void resume(const wire::Address& client, const KeptPenalty&) noexcept;

  [[nodiscard]] static bool penalised(const SourceRecord& r, Time now) noexcept {
    return r.penalty_until > second(now);
  }
  [[nodiscard]] static uint32_t opened_this_minute(const SourceRecord& r, Time now) noexcept {
    return r.minute == second(now) / 60 ? r.opened : 0;
  }
  [[nodiscard]] static uint32_t second(Time t) noexcept { return static_cast<uint32_t>(to_ms(t) / 1000); }

  // Forgets a part of those who have neither flows nor offences worth remembering.
  void sweep(Time now) noexcept;
  [[nodiscard]] uint32_t size() const noexcept { return table_.size(); }

 private:
  [[nodiscard]] static bool forgettable(const SourceRecord& r, Time now) noexcept;

  Table table_;
  uint32_t at_ = 0;
};

}  // namespace mire::source
