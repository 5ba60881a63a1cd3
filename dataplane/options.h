// options.h - the command line of mire-dataplane as a value. Knows neither DPDK nor the kernel.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/base/result.h"
#include "dataplane/port/port_spec.h"

namespace mire {

struct Options {
  port::PortSpec wan;
  port::PortSpec lan;
  std::string socket;
  unsigned lcores = 0;        // 0: one for each receive queue, or one
  uint32_t flows = 1u << 20;  // of IPv4, of all lcores together
  std::optional<uint64_t> seed;
  std::string file_prefix;
  bool no_huge = false;
  std::vector<std::string> vdevs;
  bool help = false;
  bool version = false;
};

[[nodiscard]] Result<Options> parse_options(const std::vector<std::string>& words);
[[nodiscard]] const char* usage() noexcept;

}  // namespace mire
