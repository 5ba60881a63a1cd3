// main.cc - mired: reads the settings, hands them to the dataplane, writes down what it reports.
#include <fmt/format.h>

#include <csignal>
#include <cstdio>
#include <exception>

#include "controlplane/config/config.h"
#include "controlplane/log/flow_log.h"
#include "controlplane/mired.h"
#include "controlplane/options.h"

namespace {

int check(const std::string& file) {
  const mire::config::Outcome outcome = mire::config::load(file);
  for (const std::string& error : outcome.errors) fmt::print(stderr, "{}\n", error);
  if (!outcome.config) return 1;
  const mire::config::Config& c = *outcome.config;
  if (const mire::Status status = mire::log::check_path(c.log_file); !status) {
    fmt::print(stderr, "{}\n", status.error());
    return 1;
  }
  fmt::print("{}: valid; wan {}, lan {}, fail-mode {}\n", file, c.wan.empty() ? "-" : c.wan,
             c.lan.empty() ? "-" : c.lan, c.fail_closed ? "closed" : "open");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const mire::Result<mire::Options> options = mire::read_options(argc, argv);
  if (!options) {
    mire::say(options.error());
    return 2;
  }
  if (options.value().help) return std::fputs(mire::usage(), stdout) < 0 ? 1 : 0;
  if (options.value().version) return std::puts("mired " MIRE_VERSION) < 0 ? 1 : 0;
  if (options.value().check) return check(options.value().config);
  std::signal(SIGPIPE, SIG_IGN);  // a reader of the log that went away is a lost line, not our end
  try {
    return mire::Mired(options.value()).run();
  } catch (const std::exception& e) {  // out of memory or of descriptors at the start
    mire::say(fmt::format("cannot go on: {}; check the limits of memory and open files", e.what()));
    return 1;
  }
}
