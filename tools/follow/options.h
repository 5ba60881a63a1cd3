// options.h - mire-follow's command line as a value.
#pragma once

#include <string>
#include <vector>

#include "dataplane/base/result.h"
#include "dataplane/wire/address.h"

namespace mire::follow {

enum class Format : uint8_t { postfix, exim };

struct Options {
  Format format = Format::postfix;
  std::string log;  // "-": standard input
  std::string socket = "/run/mire/mired.sock";
  std::string state = "/var/lib/mire-follow";
  std::vector<wire::Prefix> ours;  // not strangers; loopback always
  bool from_start = false;
  bool print = false;  // to standard output, and nothing to mired
  bool help = false;
};

inline constexpr const char* kUsage =
    "mire-follow - reports what a mail server's log says of its clients to mired\n"
    "\n"
    "  mire-follow --postfix|--exim [OPTION]... FILE    follows FILE, through its rotations\n"
    "  mire-follow --postfix|--exim [OPTION]... -       reads standard input\n"
    "\n"
    "  --socket PATH   where mired listens (/run/mire/mired.sock)\n"
    "  --state DIR     where the position in FILE is kept (/var/lib/mire-follow)\n"
    "  --ours PREFIX   addresses that are no strangers: our own servers, filters, users; may be repeated\n"
    "  --from-start    without a position begin at FILE's beginning, not at its end\n"
    "  --print         write outcomes to standard output, a JSON line each, and tell mired nothing\n";

[[nodiscard]] Result<Options> parse_options(int argc, const char* const* argv);

}  // namespace mire::follow
