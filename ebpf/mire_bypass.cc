// mire-bypass - closes the wire between two interfaces, and opens it again.
//
// up: the ports are prepared and bypass is attached; from then on every frame passes, whether a dataplane runs or not.
// down: what is ours is taken off and the ports are as they were.
#include <bpf/libbpf.h>
#include <fmt/core.h>

#include <string>
#include <string_view>

#include "ebpf/bypass.h"
#include "ebpf/ports.h"
#include "ebpf/steer.h"

namespace {

using namespace mire;

constexpr const char* kUsage =
    "usage: mire-bypass up|down|status --wan IF --lan IF [--fail-mode open|closed] [--json]\n"
    "  up      prepare both interfaces and close the wire between them\n"
    "  down    take everything of ours off and put the interfaces back\n"
    "  status  what is attached, and the counters\n";

int fail(const std::string& line) {
  fmt::print(stderr, "mire-bypass: {}\n", line);
  return 1;
}

int up(const ebpf::PortNames& ports, ebpf::FailMode mode) {
  if (auto s = ebpf::check_ports(ports); !s) return fail(s.error());
  for (const std::string* port : {&ports.wan, &ports.lan}) {
    const auto owner = ebpf::xdp_owner(*port);
    if (!owner) return fail(owner.error());
    if (*owner == ebpf::XdpOwner::foreign)
      return fail(fmt::format("{} carries an XDP program that is not ours: ip link set {} xdp off", *port, *port));
  }
  const ebpf::MadeQdisc made{!ebpf::has_clsact(ports.wan), !ebpf::has_clsact(ports.lan)};
  if (auto s = ebpf::prepare_ports(ports, made); !s) {
    (void)ebpf::restore_ports(ports);
    return fail(s.error());
  }
  auto state = ebpf::attach_bypass(ports, mode);
  if (!state) {
    if (!ebpf::bypass_attached(ports.wan) && !ebpf::bypass_attached(ports.lan)) (void)ebpf::restore_ports(ports);
    return fail(state.error());
  }
  return 0;
}

int down(const ebpf::PortNames& ports) {
  for (const std::string* port : {&ports.wan, &ports.lan}) {
    if (!ebpf::port_facts(*port)) continue;  // gone
    const auto owner = ebpf::xdp_owner(*port);
    if (!owner) return fail(owner.error());
    if (*owner != ebpf::XdpOwner::ours) continue;
    if (auto s = ebpf::detach_xdp(*port); !s) return fail(s.error());
  }
  // Who made the clsact is remembered with the settings, but the settings go back after bypass is off.
  const auto made = ebpf::remembered_qdiscs(ports);
  if (auto s = ebpf::detach_bypass(ports, made); !s) return fail(s.error());
  auto restored = ebpf::restore_ports(ports);
  return restored ? 0 : fail(restored.error());
}

int status(const ebpf::PortNames& ports, bool json) {
  auto state = ebpf::WireState::find(ports);
  if (!state) return fail(state.error());
  const auto counts = state->counts();
  if (!counts) return fail(counts.error());
  const bool judged = state->judged(MonotonicClock::now());
  const char* mode = state->fail_mode() == ebpf::FailMode::closed ? "closed" : "open";
  if (json) {
    fmt::print(R"({{"wan":"{}","lan":"{}","fail_mode":"{}","judged":{},"counts":{{)", ports.wan, ports.lan, mode,
               judged);
    for (size_t i = 0; i < counts->size(); ++i)
      fmt::print(R"({}"{}":{{"wan":{},"lan":{}}})", i == 0 ? "" : ",", ebpf::count_name(static_cast<mire_count>(i)),
                 (*counts)[i][0], (*counts)[i][1]);
    fmt::print("}}}}\n");
    return 0;
  }
  fmt::print("wire {} - {}   fail-mode {}   {}\n", ports.wan, ports.lan, mode,
             judged ? "a dataplane judges TCP/25" : "no dataplane: all traffic passes by the kernel");
  fmt::print("{:<22} {:>14} {:>14}\n", "frames", "from wan", "from lan");
  for (size_t i = 0; i < counts->size(); ++i)
    fmt::print("{:<22} {:>14} {:>14}\n", ebpf::count_name(static_cast<mire_count>(i)), (*counts)[i][0],
               (*counts)[i][1]);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  ebpf::PortNames ports;
  ebpf::FailMode mode = ebpf::FailMode::open;
  bool json = false;
  std::string_view verb;
  for (int i = 1; i < argc; ++i) {
    const std::string_view a = argv[i];
    const auto value = [&]() -> std::string_view { return i + 1 < argc ? argv[++i] : ""; };
    if (a == "--help" || a == "-h") {
      fmt::print("{}", kUsage);
      return 0;
    }
    if (a == "--wan") {
      ports.wan = value();
    } else if (a == "--lan") {
      ports.lan = value();
    } else if (a == "--json") {
      json = true;
    } else if (a == "--fail-mode") {
      const auto v = value();
      if (v != "open" && v != "closed") return fail(fmt::format("--fail-mode {}: say open or closed", v));
      mode = v == "closed" ? ebpf::FailMode::closed : ebpf::FailMode::open;
    } else if (!a.starts_with("-") && verb.empty()) {
      verb = a;
    } else {
      return fail(fmt::format("unknown word {}; see mire-bypass --help", a));
    }
  }
  libbpf_set_print(nullptr);
  if (verb != "up" && verb != "down" && verb != "status") return fail("say up, down or status; see mire-bypass --help");
  if (ports.wan.empty() || ports.lan.empty()) return fail("name both ports: --wan IF --lan IF");
  if (verb == "up") return up(ports, mode);
  if (verb == "down") return down(ports);
  return status(ports, json);
}
