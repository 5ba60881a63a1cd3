// main.cc - mire-dataplane: checks first, then the wire, then DPDK, then the lcores; and back in the opposite order.
//
// Until the first lcore runs the wire is bypass's: whatever goes wrong before costs no frame.

#include <fmt/format.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <sys/random.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>

#include "dataplane/defer/survivors.h"
#include "dataplane/lcore/control.h"
#include "dataplane/lcore/survivor_keeper.h"
#include "dataplane/lcore/telemetry.h"
#include "dataplane/lcore/worker.h"
#include "dataplane/options.h"
#include "dataplane/port/eal.h"
#include "dataplane/port/kernel_wire.h"
#include "dataplane/port/port.h"
#include "ebpf/steer.h"

#ifndef MIRE_VERSION
#define MIRE_VERSION "unknown"
#endif

namespace mire {
namespace {

void say(const std::string& line) {
  if (!line.empty()) std::fprintf(stderr, "mire-dataplane: %s\n", line.c_str());
}

lcore::PipelineSizes sizes_for(uint32_t flows, unsigned lcores) {
  lcore::PipelineSizes s;
  s.flows_v4 = std::max<uint32_t>(flows / lcores, 64);
  s.flows_v6 = std::max<uint32_t>(s.flows_v4 / 4, 64);
  s.sources = std::max<uint32_t>(s.flows_v4 / 4, 64);
  s.dialogues = std::clamp<uint32_t>(s.flows_v4 / 16, 64, 1u << 20);
  return s;
}

// Everything that lives as long as the wire is judged, in the order in which it is made.
struct Dataplane {
  std::optional<port::KernelWire> kernel;
  std::optional<port::Port> wan;
  std::optional<port::Port> lan;
  std::vector<std::unique_ptr<lcore::Worker>> workers;
  lcore::TelemetrySubject telemetry;
  unsigned lcores = 1;
  uint64_t seed = 0;
  defer::CookieKey cookie_key{};
  std::vector<defer::Survivor> survivors;                       // of the dataplane before us
  std::vector<std::unique_ptr<lcore::SurvivorKeeper>> keepers;  // outlive the workers

  [[nodiscard]] ebpf::WireState* wire() { return kernel ? &kernel->state : nullptr; }
  [[nodiscard]] std::vector<lcore::Worker*> all() const {
    std::vector<lcore::Worker*> out;
    for (const auto& w : workers) out.push_back(w.get());
    return out;
  }
};

ebpf::PortNames names(const Options& o) { return {o.wan.name, o.lan.name}; }

port::EalOptions eal_options(const Options& o, const Dataplane& d, uint32_t spare_buffers) {
  port::EalOptions eal;
  eal.file_prefix = o.file_prefix;
  eal.workers = d.lcores;
  eal.no_huge = o.no_huge;
  eal.vdevs = o.vdevs;
  eal.memory_bytes = port::pool_bytes(d.lcores, d.kernel ? d.kernel->mtu() : 1500, spare_buffers);
  for (const auto& [side, spec] : {std::pair{"wan", &o.wan}, std::pair{"lan", &o.lan}}) {
    switch (spec->kind) {
      case port::PortKind::kernel:
        eal.vdevs.push_back(port::af_xdp_device(side, spec->name, d.lcores, d.kernel->steer));
        break;
      case port::PortKind::pci: eal.pci.push_back(spec->name); break;
      case port::PortKind::vdev: eal.vdevs.push_back(spec->name + spec->arguments); break;
    }
  }
  return eal;
}

Result<port::Port> start_port(const Options& o, const Dataplane& d, lcore::Side side, uint32_t spare_buffers) {
  const bool wan = side == lcore::Side::wan;
  port::PortOptions p;
  p.spec = wan ? o.wan : o.lan;
  p.device = p.spec.kind == port::PortKind::kernel ? fmt::format("net_af_xdp_{}", wan ? "wan" : "lan") : p.spec.name;
  p.queues = d.lcores;
  p.mtu = d.kernel ? d.kernel->mtu() : 0;
  p.spare_buffers = spare_buffers;
  return port::Port::start(p);
}

// EAL and both ports; what they print is kept, and told in one line if they fail.
Status start_ports(const Options& o, Dataplane& d, uint32_t spare_buffers, std::string& note) {
  const port::LogCapture log;
  const auto with_cause = [&](const std::string& text) {
    const std::string cause = log.cause();
    return Error{cause.empty() ? text : fmt::format("{}: {}", text, cause)};
  };
  auto eal = port::start_eal(eal_options(o, d, spare_buffers));
  if (!eal) return with_cause(eal.error());
  note = eal->note;
  for (const auto side : {lcore::Side::wan, lcore::Side::lan}) {
    auto started = start_port(o, d, side, spare_buffers);
    if (!started) return with_cause(started.error());
    (side == lcore::Side::wan ? d.wan : d.lan) = std::move(started).value();
  }
  return success();
}

void make_workers(const Options& o, Dataplane& d) {
  const uint32_t largest = std::min(d.wan->largest_frame(), d.lan->largest_frame());
  const bool clamp = d.kernel && port::may_outgrow(d.kernel->mtu(), largest);
  if (d.kernel) d.kernel->state.set_largest_frame(largest);
  for (unsigned i = 0; i < d.lcores; ++i) {
    lcore::WorkerOptions w;
    w.index = i;
    w.lcores = d.lcores;
    w.wire = d.wire();
    w.owner_seed = d.seed;
    for (const auto& [side, port] : {std::pair{size_t{0}, &*d.wan}, std::pair{size_t{1}, &*d.lan}})
      w.ports[side] = {port->id(), static_cast<uint16_t>(i), port->pool(i), port->socket(i)};
    w.pipeline.sizes = sizes_for(o.flows, d.lcores);
    w.pipeline.seed = d.seed + i;
    w.pipeline.cookie_key = d.cookie_key;
    if (!d.keepers.empty()) w.pipeline.keeper = d.keepers[i].get();
    w.pipeline.lcore = static_cast<uint8_t>(i);
    w.pipeline.lcores = static_cast<uint8_t>(d.lcores);
    w.pipeline.largest_frame = static_cast<uint16_t>(clamp ? largest : 0);
    w.fragments.lcore = i;
    w.fragments.seed = d.seed;
    w.fragments.data_room = std::max(d.wan->data_room(), d.lan->data_room());
    d.workers.push_back(std::make_unique<lcore::Worker>(w));
  }
  const Time now = MonotonicClock::now();
  for (const auto& flow : d.survivors)
    d.workers[lcore::owner_of(flow.name.client, d.lcores, d.seed)]->restore(flow, now);
}

std::string survivor_path(const Options& o, unsigned lcore) { return fmt::format("{}.flows.{}", o.socket, lcore); }

// What a dataplane before us left, and where we shall leave it for the next one.
void keep_survivors(const Options& o, Dataplane& d) {
  const Time now = MonotonicClock::now();
  for (unsigned i = 0; i < mailbox::kMaxLcores; ++i) {
    auto found = defer::SurvivorFile::read(survivor_path(o, i), now);
    if (found.key) d.cookie_key = *found.key;
    d.survivors.insert(d.survivors.end(), found.flows.begin(), found.flows.end());
    if (i >= d.lcores) unlink(survivor_path(o, i).c_str());
  }
  if (!d.survivors.empty()) say(fmt::format("flows of the dataplane before that go on: {}", d.survivors.size()));
  uint32_t key = 0;
  std::memcpy(&key, &d.seed, sizeof key);
  if (d.wire() != nullptr) d.wire()->forget_kept(key);
  for (unsigned i = 0; i < d.lcores; ++i) {
    auto file = defer::SurvivorFile::create(survivor_path(o, i), std::max(1024u, o.flows / d.lcores / 8), d.cookie_key);
    if (!file) {
      say(file.error());
      d.keepers.clear();
      return;
    }
    d.keepers.push_back(std::make_unique<lcore::SurvivorKeeper>(std::move(file).value(), d.wire()));
  }
}

int run_worker(void* worker) {
  static_cast<lcore::Worker*>(worker)->run();
  return 0;
}

Status run(const Options& o) {
  Dataplane d;
  d.lcores = std::max(o.lcores, 1u);
  const bool kernel = o.wan.kind == port::PortKind::kernel;
  if (kernel) {
    if (auto s = port::check_privileges(); !s) return s;
    if (auto s = ebpf::check_ports(names(o)); !s) return s;
    auto lcores = port::lcores_for(names(o), o.lcores);
    if (!lcores) return Error{lcores.error()};
    d.lcores = *lcores;
  }
  auto control = lcore::Control::open(o.socket, d.lcores);
  if (!control) return Error{control.error()};
  if (kernel) {
    auto wire = port::open_kernel_wire(names(o));
    if (!wire) return Error{wire.error()};
    say(wire->note);
    d.kernel = std::move(wire).value();
  }
  if (getrandom(d.cookie_key.data(), d.cookie_key.size(), 0) != static_cast<ssize_t>(d.cookie_key.size()))
    return Error{"the kernel gives no random numbers"};
  if (o.seed) {
    d.seed = *o.seed;
  } else if (getrandom(&d.seed, sizeof d.seed, 0) != sizeof d.seed) {
    return Error{"the kernel gives no random numbers; choose some with --seed"};
  }

  std::string note;
  const uint32_t spare_buffers = lcore::FragmentOptions{}.held;
  Status status = start_ports(o, d, spare_buffers, note);
  if (status) {
    say(note);
    keep_survivors(o, d);
    make_workers(o, d);
    status = lcore::Worker::connect(d.all());
  }
  if (status) {
    if (!d.workers[0]->sleeps_on_sockets())
      say("these ports have no socket to wait on: idle lcores take naps of 50 to 200 us");
    d.telemetry = {d.all(), {d.wan->name(), d.lan->name()}, {d.wan->id(), d.lan->id()}, d.wire(), d.seed};
    status = lcore::offer_telemetry(d.telemetry);
  }
  if (status) {
    for (unsigned i = 0; i < d.lcores; ++i) rte_eal_remote_launch(run_worker, d.workers[i].get(), i + 1);
    // Flows that only we can carry on do not wait for settings; where SMTP may pass unjudged the others need not
    // either.
    if (d.kernel && !d.survivors.empty() && d.kernel->state.fail_mode() == ebpf::FailMode::open) {
      for (unsigned i = 0; i < d.lcores; ++i) d.kernel->state.beat(i, MonotonicClock::now());
      d.kernel->state.set_ready(true);
    }
    std::printf("mire-dataplane: forwarding\n");
    std::fflush(stdout);
    (*control)->run(d.all(), d.wire());
    (*control)->stop_workers();
    rte_eal_mp_wait_lcore();
  }
  lcore::withdraw_telemetry();
  d.workers.clear();
  d.wan.reset();
  d.lan.reset();
  if (kernel) {
    // Also after half a start: an XDP program of ours without a dataplane is a detour.
    for (const std::string* name : {&o.wan.name, &o.lan.name})
      if (auto s = ebpf::detach_xdp(*name); !s) say(s.error());
  }
  port::stop_eal();
  return status;
}

int main_with(const std::vector<std::string>& words) {
  auto options = parse_options(words);
  if (!options) {
    say(options.error());
    return 1;
  }
  if (options->help) {
    std::fputs(usage(), stdout);
    return 0;
  }
  if (options->version) {
    std::printf("mire-dataplane %s\n", MIRE_VERSION);
    return 0;
  }
  try {
    if (const Status s = run(*options); !s) {
      say(s.error());
      return 1;
    }
  } catch (const std::bad_alloc&) {
    say(fmt::format("not enough memory for the tables of {} flows: choose fewer with --flows", options->flows));
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace mire

int main(int argc, char** argv) { return mire::main_with({argv + 1, argv + argc}); }
