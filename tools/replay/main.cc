// mire-replay - what the gateway would have done with the traffic of a capture. No privilege, no interface, no daemon.
#include <fmt/core.h>

#include <boost/json.hpp>
#include <cstdio>
#include <fstream>

#include "controlplane/config/config.h"
#include "controlplane/link/publication.h"
#include "controlplane/log/flow_line.h"
#include "dataplane/lcore/settings_builder.h"
#include "tools/replay/capture.h"
#include "tools/replay/replay.h"

namespace {

using namespace mire;
using policy::Reason;

constexpr const char* kUsage =
    "usage: mire-replay FILE.pcap [--config FILE] [--json]\n"
    "Runs a capture (pcap or pcapng) through the gateway's own rooms and prints one line a flow:\n"
    "who, class, what would have happened, why. Nothing is held in a capture: early talk is a lower bound.\n";

std::string first_bytes(const replay::Outcome& o) {
  return log::printable({reinterpret_cast<const uint8_t*>(o.first_bytes.data()), o.first_bytes.size()});
}

// A capture's times count from 1970.
std::string time_of(Time t) {
  return log::rfc3339(log::WallTime{std::chrono::duration_cast<log::WallTime::duration>(t.time_since_epoch())});
}

std::string range(policy::HoldRange r) { return fmt::format("{:.1f}-{:.1f}s", r.min_ms / 1000.0, r.max_ms / 1000.0); }

std::string would(const replay::Outcome& o) {
  if (o.verdict != policy::Verdict::hold) return std::string(policy::to_string(o.verdict));
  if (o.greeting.max_ms == 0) return "hold SYN-ACK " + range(o.syn_ack);
  return (o.syn_ack.max_ms != 0 ? "hold SYN-ACK " + range(o.syn_ack) + ", greeting " : "hold greeting ") +
         range(o.greeting);
}

std::string end_of(const replay::Outcome& o) {
  if (o.end == Reason::delivered) return fmt::format("delivered {}", o.accepted);
  if (o.end == Reason::no_data) return "no data";
  return o.end == Reason::closing ? "closed" : "open at the end";
}

std::string where(const wire::Address& a, uint16_t port) {
  return a.is_v4() ? fmt::format("{}:{}", wire::to_string(a), port) : fmt::format("[{}]:{}", wire::to_string(a), port);
}

void print_text(const replay::Outcome& o) {
  fmt::print("{}  {} -> {}  {}  {}  {}; {}", time_of(o.begun), where(o.client, o.port), wire::to_string(o.server),
             policy::to_string(o.source_class), would(o), policy::to_string(o.reason), end_of(o));
  if (o.unsynchronised) fmt::print("; {}", policy::to_string(Reason::unsynchronised_pipelining));
  if (!o.first_bytes.empty()) fmt::print("; said \"{}\"", first_bytes(o));
  fmt::print("\n");
}

void print_json(const replay::Outcome& o) {
  boost::json::object j;
  j["time"] = time_of(o.begun);
  j["source"] = wire::to_string(o.client);
  j["port"] = o.port;
  j["server"] = wire::to_string(o.server);
  j["class"] = policy::to_string(o.source_class);
  j["verdict"] = policy::to_string(o.verdict);
  j["reason"] = policy::to_string(o.reason);
  if (o.verdict == policy::Verdict::hold) {
    j["hold_min"] = o.greeting.min_ms / 1000.0;
    j["hold_max"] = o.greeting.max_ms / 1000.0;
    j["syn_ack_min"] = o.syn_ack.min_ms / 1000.0;
    j["syn_ack_max"] = o.syn_ack.max_ms / 1000.0;
  }
  j["end"] = o.end == Reason::handshake ? boost::json::value(nullptr) : boost::json::value(policy::to_string(o.end));
  j["accepted"] = o.accepted;
  j["unsynchronised_pipelining"] = o.unsynchronised;
  if (!o.first_bytes.empty()) j["first_bytes"] = first_bytes(o);
  fmt::print("{}\n", boost::json::serialize(j));
}

void print_summary(const replay::Replay& r) {
  uint64_t held = 0;
  lcore::WouldHave would_have;
  for (const auto& o : r.outcomes()) {
    const uint64_t delivered = o.accepted != 0 ? 1 : 0;
    held += o.verdict == policy::Verdict::hold;
    if (o.reason == Reason::early_talk) {
      ++would_have.reset;
      would_have.reset_delivered += delivered;
    } else if (o.reason == Reason::blocked) {
      ++would_have.blocked;
      would_have.blocked_delivered += delivered;
    }
  }
  const auto& t = r.totals();
  fmt::print(
      stderr,
      "{} frames: {} flows to protected servers; would have held {}; would have reset {}, of which {} delivered; "
      "would have blocked {}, of which {} delivered\n",
      t.frames, r.outcomes().size(), held, would_have.reset, would_have.reset_delivered, would_have.blocked,
      would_have.blocked_delivered);
  if (t.unprotected != 0)
    fmt::print(stderr, "{} frames of port 25 belong to servers that are not protected\n", t.unprotected);
  if (t.cut != 0)
    fmt::print(stderr, "{} frames were cut short by the capture and not judged: capture with -s 0\n", t.cut);
  if (t.fragments != 0)
    fmt::print(stderr, "{} IP fragments of TCP were not put together and not judged\n", t.fragments);
}

int fail(const std::string& line) {
  fmt::print(stderr, "mire-replay: {}\n", line);
  return 1;
}

// The configuration takes the way that it takes to a live dataplane: as messages, put together by the same builder.
Result<source::Settings> settings_from(const config::Config& c) {
  lcore::SettingsBuilder builder;
  const auto body = link::publication(c, {});
  (void)builder.take(mailbox::Begin{1}, Time{});
  for (const auto& m : body) (void)builder.take(m, Time{});
  auto done = builder.take(mailbox::Commit{1, body.size()}, Time{});
  MIRE_ASSERT(done.has_value());
  if (done->settings == nullptr) return Error{done->refusal};
  return std::move(*done->settings);
}

}  // namespace

int main(int argc, char** argv) {
  std::string file, config_file;
  bool json = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view a = argv[i];
    if (a == "--help" || a == "-h") {
      fmt::print("{}", kUsage);
      return 0;
    }
    if (a == "--json") {
      json = true;
    } else if (a == "--config") {
      if (i + 1 == argc) return fail("--config needs a file");
      config_file = argv[++i];
    } else if (a.starts_with("-")) {
      return fail(fmt::format("unknown option {}; see mire-replay --help", a));
    } else if (!file.empty()) {
      return fail("one capture at a time; see mire-replay --help");
    } else {
      file = a;
    }
  }
  if (file.empty()) return fail("which capture? usage: mire-replay FILE.pcap [--config FILE] [--json]");

  config::Config config;
  if (!config_file.empty()) {
    auto outcome = config::load(config_file);
    for (const auto& e : outcome.errors) fmt::print(stderr, "{}\n", e);
    if (!outcome.config) return 1;
    config = *outcome.config;
  }
  auto settings = settings_from(config);
  if (!settings) return fail(settings.error());
  auto capture = replay::Capture::open(file);
  if (!capture) return fail(capture.error());

  replay::Replay run(*settings, 1);
  while (auto f = (*capture)->next()) run.frame(std::move(f->bytes), f->time, f->cut);
  run.finish();
  for (const auto& o : run.outcomes()) json ? print_json(o) : print_text(o);
  print_summary(run);
  return (*capture)->error().empty() ? 0 : fail((*capture)->error());
}
