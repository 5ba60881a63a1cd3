// options.h - mired's command line.
#pragma once

#include <string>

#include "dataplane/base/result.h"

namespace mire {

struct Options {
  std::string config;  // empty: built-in defaults
  std::string socket;
  std::string dataplane_socket;
  std::string state = "/var/lib/mire";
  bool check = false;
  bool help = false;
  bool version = false;
};

// MIRE_SOCKET stands in for --socket.
[[nodiscard]] Result<Options> read_options(int argc, char** argv);
[[nodiscard]] const char* usage() noexcept;

}  // namespace mire
