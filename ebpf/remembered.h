// remembered.h - what two ports were before they became a wire: a small text file in /run/mire that outlives processes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/base/result.h"
#include "ebpf/wire_state.h"

namespace mire::ebpf {

struct RememberedPort {
  std::string name;
  uint32_t ifindex = 0;
  short flags_set = 0;  // interface flags that we set
  bool made_clsact = false;
  bool silenced_ipv6 = false;
  std::vector<std::string> ipv6_addresses;
  std::vector<std::string> switched_off;  // offloads
};

struct Remembered {
  RememberedPort wan;
  RememberedPort lan;

  static std::optional<Remembered> read(const PortNames&);
  [[nodiscard]] Status write(const PortNames&) const;
  static void forget(const PortNames&);
};

}  // namespace mire::ebpf
