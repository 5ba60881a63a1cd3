// telemetry.h - the dataplane's numbers for dpdk-telemetry.py and mired: /mire/stats, /mire/flows,
// /mire/sources,ADDRESS and /mire/interfaces.
//
// What is said is made here as plain rows, and handed to rte_telemetry by one small function: so tests read rows.
// Reading costs the lcores nothing but a question about a source, which its own lcore answers between two bursts.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "dataplane/base/result.h"
#include "dataplane/lcore/worker.h"
#include "ebpf/wire_state.h"

namespace mire::lcore {

using Value = std::variant<uint64_t, std::string>;
using Rows = std::vector<std::pair<std::string, Value>>;

struct Report {
  Rows rows;
  std::vector<std::pair<std::string, Rows>> sections;
};

struct TelemetrySubject {
  std::vector<Worker*> workers;
  std::array<std::string, 2> port_names;  // by Side
  std::array<uint16_t, 2> port_ids{};
  const ebpf::WireState* wire = nullptr;
  uint64_t seed = 0;  // as for owner_of
};

// `total`, and `lcore_N` for each (up to 8; more: by /mire/stats,N). Only what is not zero: reasons by their names,
// verdicts as verdict_NAME.
[[nodiscard]] Report report_stats(const TelemetrySubject&, const std::string& parameter);
[[nodiscard]] Report report_flows(const TelemetrySubject&);
// Waits up to 100 ms for the lcore's answer.
[[nodiscard]] Report report_source(const TelemetrySubject&, const std::string& address);
[[nodiscard]] Report report_interfaces(const TelemetrySubject&);

// Registers the commands. Once a process, after EAL; the subject must live until withdraw_telemetry().
Status offer_telemetry(const TelemetrySubject&);
// The commands answer nothing from now on, and no answer is under way.
void withdraw_telemetry();

}  // namespace mire::lcore
