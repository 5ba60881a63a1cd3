// protect_reader.h - `protect ADDRESS { … }`: what strangers are told in a server's name, and how fast they may reach
// it.
#pragma once

#include <string>

#include "controlplane/config/block.h"
#include "controlplane/config/problems.h"
#include "controlplane/config/tree.h"
#include "dataplane/policy/treatment.h"

namespace mire::config {

struct Server {
  std::string greeting;  // as it goes out, lines ended; empty: the one that the server itself sends
  policy::Pace strangers;
  friend bool operator==(const Server&, const Server&) = default;
};

[[nodiscard]] Server read_server(const Statement&, Problems&);

}  // namespace mire::config
