// offloads.h - offloads of an interface, by the names that `ethtool -k` knows (kernel spelling: "rx-gro").
#pragma once

#include <string>
#include <vector>

#include "dataplane/base/result.h"

namespace mire::ebpf {

// Switches off those of `names` that are on and can be switched; returns which these were.
Result<std::vector<std::string>> switch_off(const std::string& port, const std::vector<std::string>& names);
Status switch_on(const std::string& port, const std::vector<std::string>& names);

// Receive queues in use; 1 if the interface does not say.
[[nodiscard]] uint32_t receive_queues(const std::string& port);

}  // namespace mire::ebpf
