// mire-bypass - closes a wire between two interfaces, opens it again, and says how it stands.
#include <fmt/format.h>

#include <cstdio>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "ebpf/bypass.h"
#include "ebpf/ports.h"
#include "ebpf/steer.h"
#include "ebpf/wire.h"
#include "ebpf/wire_state.h"

namespace {

using namespace mire;        // NOLINT(google-build-using-namespace)
using namespace mire::ebpf;  // NOLINT(google-build-using-namespace)

constexpr const char* kUsage =
    "mire-bypass up|down|status --wan IF --lan IF [--fail-mode open|closed] [--json]\n"
    "\n"
    "  up      prepares both interfaces and joins them in the kernel: every frame in by one goes out by the other.\n"
    "          --fail-mode closed drops TCP/25 while no dataplane judges it; open, the default, lets it pass\n"
    "  down    takes away what up (or a dataplane that was killed) left, and puts the interfaces back as they were\n"
    "  status  who carries the wire, and what went over it; --json for scripts\n";

struct Options {
  std::string command;
  PortNames ports;
  FailMode mode = FailMode::open;
  bool json = false;
};

Result<Options> parse_options(std::span<char*> arguments) {
  Options options;
  for (size_t i = 1; i < arguments.size(); ++i) {
    const std::string_view word = arguments[i];
    const auto value = [&]() -> Result<std::string> {
      if (i + 1 == arguments.size()) return Error{fmt::format("{} needs a value: see mire-bypass --help", word)};
      return std::string{arguments[++i]};
    };
    if (word == "--json") {
      options.json = true;
    } else if (word == "--wan" || word == "--lan") {
      auto name = value();
      if (!name) return Error{name.error()};
      (word == "--wan" ? options.ports.wan : options.ports.lan) = *name;
    } else if (word == "--fail-mode") {
      const auto mode = value();
      if (!mode) return Error{mode.error()};
      if (*mode != "open" && *mode != "closed") return Error{fmt::format("--fail-mode {}: give open or closed", *mode)};
      options.mode = *mode == "closed" ? FailMode::closed : FailMode::open;
    } else if (options.command.empty() && (word == "up" || word == "down" || word == "status")) {
      options.command = word;
    } else {
      return Error{fmt::format("unknown word '{}': see mire-bypass --help", word)};
    }
  }
  if (options.command.empty()) return Error{"say up, down or status: see mire-bypass --help"};
  if (options.ports.wan.empty() || options.ports.lan.empty()) return Error{"name both interfaces: --wan IF --lan IF"};
  return options;
}

const char* name_of(XdpOwner owner) {
  switch (owner) {
    case XdpOwner::none: return "none";
    case XdpOwner::ours: return "steer";
    case XdpOwner::foreign: return "foreign";
  }
  return "";
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

struct Seen {
  PortNames ports;
  bool closed = false;
  std::string reason;  // why it is not
  bool judged = false;
  FailMode mode = FailMode::open;
  uint64_t epoch = 0;
  XdpOwner wan_xdp = XdpOwner::none;
  XdpOwner lan_xdp = XdpOwner::none;
  WireCounts counts{};
};

Result<Seen> look(const PortNames& ports) {
  Seen seen;
  seen.ports = ports;
  for (const auto& [name, owner] : {std::pair{&ports.wan, &seen.wan_xdp}, std::pair{&ports.lan, &seen.lan_xdp}}) {
    const auto xdp = xdp_owner(*name);
    if (!xdp) return Error{xdp.error()};
    *owner = *xdp;
  }
  auto state = WireState::find(ports);
  seen.closed = state.ok() && bypass_attached(ports.lan);
  if (!state) {
    seen.reason = state.error();
    return seen;
  }
  seen.judged = state->judged(MonotonicClock::now());
  seen.mode = state->fail_mode();
  seen.epoch = state->bypass_epoch();
  const auto counts = state->counts();
  if (!counts) return Error{counts.error()};
  seen.counts = *counts;
  return seen;
}

void print_json(const Seen& seen) {
  std::string counts;
  for (unsigned reason = 0; reason < MIRE_COUNT_REASONS; ++reason) {
    counts += fmt::format("{}\"{}\":{{\"wan\":{},\"lan\":{}}}", reason == 0 ? "" : ",",
                          count_name(static_cast<mire_count>(reason)), seen.counts[reason][0], seen.counts[reason][1]);
  }
  fmt::print(
      "{{\"wan\":{},\"lan\":{},\"closed\":{},\"judged\":{},\"fail_mode\":\"{}\",\"bypass_epoch\":{},"
      "\"xdp\":{{\"wan\":\"{}\",\"lan\":\"{}\"}},\"frames\":{{{}}}}}\n",
      quoted(seen.ports.wan), quoted(seen.ports.lan), seen.closed, seen.judged,
      seen.mode == FailMode::closed ? "closed" : "open", seen.epoch, name_of(seen.wan_xdp), name_of(seen.lan_xdp),
      counts);
}

void print_table(const Seen& seen) {
  const char* how = "not closed by bypass";
  if (seen.closed && seen.judged) how = "a dataplane judges TCP/25";
  if (seen.closed && !seen.judged)
    how = seen.mode == FailMode::closed ? "nobody judges, TCP/25 is refused" : "nobody judges, everything passes";
  fmt::print("wan {} - lan {}: {}\n", seen.ports.wan, seen.ports.lan, how);
  if (!seen.closed) {
    if (!seen.reason.empty()) fmt::print("{}\n", seen.reason);
    return;
  }
  fmt::print("fail-mode {}   bypass epoch {}   xdp: wan {}, lan {}\n\n",
             seen.mode == FailMode::closed ? "closed" : "open", seen.epoch, name_of(seen.wan_xdp),
             name_of(seen.lan_xdp));
  fmt::print("{:<20}{:>14}{:>14}\n", "frames in by", "wan", "lan");
  for (unsigned reason = 0; reason < MIRE_COUNT_REASONS; ++reason) {
    std::string name = count_name(static_cast<mire_count>(reason));
    for (char& c : name)
      if (c == '_') c = ' ';
    fmt::print("{:<20}{:>14}{:>14}\n", name, seen.counts[reason][0], seen.counts[reason][1]);
  }
}

Status run(const Options& options) {
  if (options.command == "up") {
    const auto state = close_wire(options.ports, options.mode);
    return state ? success() : Status{Error{state.error()}};
  }
  if (auto checked = check_ports(options.ports); options.command == "status" && !checked) return checked;
  if (options.command == "down") return open_wire(options.ports);
  const auto seen = look(options.ports);
  if (!seen) return Error{seen.error()};
  options.json ? print_json(*seen) : print_table(*seen);
  return success();
}

}  // namespace

int main(int argc, char** argv) {
  const std::span arguments{argv, static_cast<size_t>(argc)};
  for (const std::string_view word : arguments) {
    if (word == "--help" || word == "-h") {
      std::fputs(kUsage, stdout);
      return 0;
    }
  }
  const auto options = parse_options(arguments);
  if (const auto done = options ? run(*options) : Status{Error{options.error()}}; !done) {
    fmt::print(stderr, "mire-bypass: {}\n", done.error());
    return 1;
  }
  return 0;
}
