// settings.h - what an operator may say about reputation. Plain values; config fills them from the model.
//
// The defaults, their reasons and what follows from them: docs/reputation.md. Refuses to know the file's grammar.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>

#include "controlplane/reputation/kind.h"
#include "dataplane/base/result.h"

namespace mire::reputation {

using WallSeconds = std::chrono::sys_seconds;

struct Thresholds {  // points
  double known = 10;
  double trusted = 100;
  double suspect = -30;
  double blocked = -70;
  friend bool operator==(const Thresholds&, const Thresholds&) = default;
};

struct RateSettings {
  uint32_t floor = 60;                      // connections in a minute that are never too many
  double chance = 1e-6;                     // of a false alarm in one busy minute
  uint32_t memory = 2048;                   // busy minutes that the learned rate looks back on
  uint32_t suspect_after = 5;               // anomalous minutes in a row of cool-downs; before that: only delayed
  std::chrono::seconds cool_down{10 * 60};  // after the latest anomalous connection
  friend bool operator==(const RateSettings&, const RateSettings&) = default;
};

struct Settings {
  std::chrono::seconds half_life{30 * 86'400};
  Thresholds thresholds;
  std::array<double, kKinds> weights = {
#define X(name, side, weight, text) weight,
      MIRE_KINDS(X)
#undef X
  };
  double memory = 1000;   // of each kind at most so many count; beyond that, new evidence displaces contrary evidence
  double days_known = 4;  // decayed days with mail: five days in a row, or within three weeks
  double days_trusted = 15;  // eighteen days in a row, or a month of working days
  double sure_trusted = 30;  // points of accepted messages and others' word, without which nobody is trusted
  bool outbound_trust = true;
  RateSettings rate;
  uint64_t capacity = 10'000'000;  // sources; of /48 networks an eighth of that
  friend bool operator==(const Settings&, const Settings&) = default;
};

// What the judging assumes: the order of the thresholds, the sides of the weights, sane ranges. The error names the
// setting, its value, the range.
[[nodiscard]] Status check(const Settings&);

}  // namespace mire::reputation
