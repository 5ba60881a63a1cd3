#include "controlplane/options.h"

#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <string_view>

#include "dataplane/mailbox/layout.h"

namespace mire {
namespace {
constexpr const char* kDefaultOwnSocket = "/run/mire/mired.sock";
}

const char* usage() noexcept {
  return "usage: mired [--config FILE] [--check] [--socket PATH] [--dataplane-socket PATH] [--state DIR]\n"
         "  --config FILE            settings; without it the built-in defaults\n"
         "  --check                  only say whether FILE is valid\n"
         "  --socket PATH            where tools reach mired (or MIRE_SOCKET; default /run/mire/mired.sock)\n"
         "  --dataplane-socket PATH  where mire-dataplane listens (default /run/mire/dataplane.sock)\n"
         "  --state DIR              what outlives mired (default /var/lib/mire)\n"
         "  --help, --version\n"
         "signals: SIGHUP reads FILE again and reopens the log; SIGTERM and SIGINT end\n";
}

Result<Options> read_options(int argc, char** argv) {
  Options o;
  const char* from_environment = std::getenv("MIRE_SOCKET");
  o.socket = from_environment != nullptr && *from_environment != '\0' ? from_environment : kDefaultOwnSocket;
  o.dataplane_socket = mailbox::kDefaultSocket;
  struct Valued {
    std::string_view name;
    std::string* value;
  };
  const std::array valued{Valued{"--config", &o.config}, Valued{"--socket", &o.socket},
                          Valued{"--dataplane-socket", &o.dataplane_socket}, Valued{"--state", &o.state}};
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    const size_t equals = word.find('=');
    const Valued* option = nullptr;
    for (const Valued& v : valued)
      if (v.name == word.substr(0, equals)) option = &v;
    if (option != nullptr) {
      if (equals == std::string_view::npos && i + 1 >= argc)
        return Error{fmt::format("{}: has no value; see mired --help", option->name)};
      *option->value = equals == std::string_view::npos ? argv[++i] : std::string(word.substr(equals + 1));
      if (option->value->empty()) return Error{fmt::format("{}: the value is empty; see mired --help", option->name)};
    } else if (word == "--check") {
      o.check = true;
    } else if (word == "--help" || word == "-h") {
      o.help = true;
    } else if (word == "--version") {
      o.version = true;
    } else {
      return Error{fmt::format("{}: not known; see mired --help", word)};
    }
  }
  if (o.check && o.config.empty()) return Error{"--check: no file to check; name it with --config"};
  return o;
}

}  // namespace mire
