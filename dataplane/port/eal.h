// eal.h - starts DPDK's environment, once a process, and says in one line why it could not.
//
// In memory only: no hugepage file is left behind by a kill -9, and instances with a prefix of their own live side by
// side. Privileges and memory are checked before, because EAL's own words are many and rarely name the cause. Knows no
// ports.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dataplane/base/result.h"

namespace mire::port {

struct EalOptions {
  std::string file_prefix;         // of the telemetry socket's folder; empty: mire-PID
  unsigned workers = 1;            // EAL lcores 1 to workers; lcore 0 is the control thread
  std::vector<std::string> vdevs;  // with their arguments
  std::vector<std::string> pci;    // addresses; none: the bus is left alone
  uint64_t memory_bytes = 0;       // what the pools will need, without EAL's own
  bool no_huge = false;            // do not even look for hugepages
};

struct EalFacts {
  bool hugepages = false;
  std::string file_prefix;
  std::string note;  // one line for the operator, or empty
};

// While one lives, everything that libraries print is kept instead of shown.
class LogCapture {
 public:
  LogCapture();
  ~LogCapture();
  LogCapture(const LogCapture&) = delete;
  LogCapture& operator=(const LogCapture&) = delete;
  // The line that most likely names the cause of a failure; empty if none looks like one.
  [[nodiscard]] std::string cause() const;

 private:
  int memory_ = -1;
  int kept_stdout_ = -1;
  int kept_stderr_ = -1;
  void* stream_ = nullptr;
};

// Call once. Worker lcores share CPUs if there are fewer CPUs than workers.
Result<EalFacts> start_eal(const EalOptions&);
// The last deed of a process, its ports closed: leaves no folder behind. DPDK's memory and threads end with the
// process.
void stop_eal() noexcept;

// CPUs that this process may use.
[[nodiscard]] std::vector<unsigned> usable_cpus();

// The cause among many lines of log: exposed for tests.
[[nodiscard]] std::string likely_cause(const std::string& log);

}  // namespace mire::port
