#include "dataplane/source/source_table.h"

#include <algorithm>

namespace mire::source {
namespace {
constexpr uint32_t kDay = 86'400;
}

const SourceRecord* SourceTable::find(const wire::Address& client) const noexcept {
  const wire::Address key = wire::source_of(client);
  const uint32_t i = table_.find(key, table_.probe(key));
  return i == Table::kNone ? nullptr : &table_[i];
}

bool SourceTable::forgettable(const SourceRecord& r, Time now) noexcept {
  const uint32_t s = second(now);
  return r.live == 0 && r.penalty_until <= s && (r.offences == 0 || s - r.last_offence >= r.offences * kDay) &&
         r.minute != s / 60;
}

bool SourceTable::opened(const wire::Address& client, Time now) noexcept {
  const wire::Address key = wire::source_of(client);
  const auto probe = table_.probe(key);
  uint32_t i = table_.find(key, probe);
  if (i == Table::kNone) i = table_.insert(key, probe);
  if (i == Table::kNone) {
    // First one that nobody would miss, then one that only has an old offence or this minute's count.
    uint32_t victim = Table::kNone;
    table_.for_candidates(probe, [&](uint32_t c) {
      if (!table_.used(c) || table_[c].live != 0 || penalised(table_[c], now)) return;
      if (victim == Table::kNone || table_[c].offences < table_[victim].offences) victim = c;
    });
    if (victim == Table::kNone) return false;
    table_.erase(victim);
    i = table_.insert(key, probe);
    MIRE_ASSERT(i != Table::kNone);
  }
  SourceRecord& r = table_[i];
  ++r.live;
  const uint32_t minute = second(now) / 60;
  r.opened = r.minute == minute ? r.opened + 1 : 1;
  r.minute = minute;
  return true;
}

void SourceTable::closed(const wire::Address& client) noexcept {
  const wire::Address key = wire::source_of(client);
  const uint32_t i = table_.find(key, table_.probe(key));
  // A source that found no room when this flow opened may have been entered since: never below zero.
  if (i != Table::kNone && table_[i].live != 0) --table_[i].live;
}

Duration SourceTable::offend(const wire::Address& client, const PenaltyRange& range, Time now) noexcept {
  const wire::Address key = wire::source_of(client);
  const uint32_t i = table_.find(key, table_.probe(key));
  if (i == Table::kNone) return {};
  SourceRecord& r = table_[i];
  const uint32_t s = second(now);
  if (r.offences != 0) r.offences -= std::min(r.offences, (s - r.last_offence) / kDay);
  r.last_offence = s;
  const uint32_t doublings = std::min(r.offences, 30u);
  if (r.offences != UINT32_MAX) ++r.offences;
  const int64_t first = range.first / seconds{1}, most = range.most / seconds{1};
  const int64_t penalty = std::min(first << doublings, most);
  r.penalty_until = std::max(r.penalty_until, s + static_cast<uint32_t>(penalty));
  return seconds{r.penalty_until - s};
}

void SourceTable::resume(const wire::Address& client, const KeptPenalty& kept) noexcept {
  const wire::Address key = wire::source_of(client);
  const uint32_t i = table_.find(key, table_.probe(key));
  if (i == Table::kNone || table_[i].offences != 0) return;
  SourceRecord& r = table_[i];
  r.offences = kept.offences;
  r.last_offence = second(kept.last_offence);
  r.penalty_until = second(kept.until);
}

void SourceTable::sweep(Time now) noexcept {
  at_ = table_.sweep(at_, table_.buckets() / 1024 + 1, [&](uint32_t i) {
    if (forgettable(table_[i], now)) table_.erase(i);
  });
}

}  // namespace mire::source
