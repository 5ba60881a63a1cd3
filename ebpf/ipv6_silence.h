// ipv6_silence.h - a port says nothing of its own: no router solicitations, no neighbour or group reports.
#pragma once

#include <string>
#include <vector>

#include "dataplane/base/result.h"

namespace mire::ebpf {

struct Silenced {
  bool was_on = false;
  std::vector<std::string>
      addresses;  // "ADDRESS/LENGTH", those that somebody gave it: the kernel forgets them meanwhile
};
Result<Silenced> silence_ipv6(const std::string& port);
Status unsilence_ipv6(const std::string& port, const std::vector<std::string>& addresses);

}  // namespace mire::ebpf
