#include "dataplane/lcore/telemetry.h"

#include <fmt/format.h>
#include <rte_ethdev.h>
#include <rte_telemetry.h>

#include <charconv>
#include <ctime>
#include <map>
#include <mutex>

namespace mire::lcore {
namespace {

constexpr size_t kSectionsMost = 8;  // rte_telemetry's answers are bounded
constexpr std::array kSides = {"wan", "lan"};

std::mutex subject_lock;  // askers only; no lcore takes it
const TelemetrySubject* subject = nullptr;

// Named numbers that add up, in the order in which they were first seen.
class Sums {
 public:
  void add(const std::string& name, uint64_t n) {
    if (n == 0) return;
    const auto [at, fresh] = index_.try_emplace(name, rows_.size());
    if (fresh) {
      rows_.emplace_back(name, n);
    } else {
      std::get<uint64_t>(rows_[at->second].second) += n;
    }
  }
  // A zero that is an answer.
  void add_even_zero(const std::string& name, uint64_t n) {
    if (index_.try_emplace(name, rows_.size()).second) rows_.emplace_back(name, uint64_t{0});
    add(name, n);
  }
  void most(const std::string& name, uint64_t n) {
    if (n == 0) return;
    const auto [at, fresh] = index_.try_emplace(name, rows_.size());
    if (fresh) {
      rows_.emplace_back(name, n);
    } else if (std::get<uint64_t>(rows_[at->second].second) < n) {
      rows_[at->second].second = n;
    }
  }
  [[nodiscard]] Rows rows() && { return std::move(rows_); }

 private:
  std::map<std::string, size_t> index_;
  Rows rows_;
};

void add_pipeline(Sums& sums, const Counters& c) {
  for (size_t r = 0; r < policy::kReasons; ++r)
    sums.add(std::string(policy::to_string(static_cast<policy::Reason>(r))), peek(c.reasons[r]));
  for (size_t v = 0; v < policy::kVerdicts; ++v)
    sums.add(fmt::format("verdict_{}", policy::to_string(static_cast<policy::Verdict>(v))), peek(c.verdicts[v]));
  for (size_t side = 0; side < 2; ++side) {
    sums.add(fmt::format("frames_in_{}", kSides[side]), peek(c.frames_in[side]));
    sums.add(fmt::format("bytes_in_{}", kSides[side]), peek(c.bytes_in[side]));
    sums.add(fmt::format("dropped_{}", kSides[side]), peek(c.dropped[side]));
    sums.add(fmt::format("crafted_{}", kSides[side]), peek(c.crafted[side]));
  }
  sums.add_even_zero("would_have_reset", peek(c.would_have.reset));
  sums.add_even_zero("would_have_reset_delivered", peek(c.would_have.reset_delivered));
  sums.add_even_zero("would_have_blocked", peek(c.would_have.blocked));
  sums.add_even_zero("would_have_blocked_delivered", peek(c.would_have.blocked_delivered));
  sums.add("releases", peek(c.releases));
  sums.add("hold_ms_sum", peek(c.hold_ms_sum));
  sums.most("late_ms_max", peek(c.late_ms_max));
  sums.add("events_lost", peek(c.events_lost));
}

void add_worker(Sums& sums, const Worker& worker) {
  add_pipeline(sums, worker.pipeline_counters());
  const TransmitCounters& out = worker.transmit_counters();
  const WorkerCounters& own = worker.counters();
  for (size_t side = 0; side < 2; ++side) {
    sums.add(fmt::format("received_{}", kSides[side]), own.received[side].get());
    sums.add(fmt::format("sent_{}", kSides[side]), out.frames[side].get());
    sums.add(fmt::format("tx_full_{}", kSides[side]), out.full[side].get());
  }
  sums.add("handed_over", own.handed_over.get());
  sums.add("hand_over_full", own.hand_over_full.get());
  sums.add("scattered", own.scattered.get());
  sums.add("bypass_epochs", own.bypassed.get());
  sums.add("sleeps", own.sleeps.get());
  sums.add("woken", own.woken.get());
  const FragmentCounters& f = worker.fragment_counters();
  sums.add("fragments_passed", f.passed.get());
  sums.add("fragments_judged", f.judged.get());
  sums.add("fragments_refused", f.refused.get());
  sums.add("fragments_tiny", f.tiny.get());
  sums.add("fragments_overlap", f.overlap.get());
  sums.add("fragments_too_many", f.too_many.get());
  sums.add("fragments_timed_out", f.timed_out.get());
  sums.add("fragments_left_unknown", f.left_unknown.get());
  sums.add("fragments_room_full", f.room_full.get());
  sums.add("fragments_waiting", f.waiting.get());
}

Rows error(std::string text) { return {{"error", std::move(text)}}; }

void put(rte_tel_data* data, const Rows& rows) {
  for (const auto& [name, value] : rows) {
    if (const auto* number = std::get_if<uint64_t>(&value)) {
      rte_tel_data_add_dict_u64(data, name.c_str(), *number);
    } else {
      rte_tel_data_add_dict_string(data, name.c_str(), std::get<std::string>(value).c_str());
    }
  }
}

void put(rte_tel_data* data, const Report& report) {
  rte_tel_data_start_dict(data);
  put(data, report.rows);
  for (const auto& [name, rows] : report.sections) {
    rte_tel_data* section = rte_tel_data_alloc();
    if (section == nullptr) return;
    rte_tel_data_start_dict(section);
    put(section, rows);
    rte_tel_data_add_dict_container(data, name.c_str(), section, 0);
  }
}

using Reporter = Report (*)(const TelemetrySubject&, const std::string&);

template <Reporter report>
int answer(const char*, const char* parameters, rte_tel_data* data) {
  const std::lock_guard lock(subject_lock);
  if (subject == nullptr) return -1;
  put(data, report(*subject, parameters == nullptr ? std::string{} : std::string(parameters)));
  return 0;
}

Report flows(const TelemetrySubject& s, const std::string&) { return report_flows(s); }
Report interfaces(const TelemetrySubject& s, const std::string&) { return report_interfaces(s); }

}  // namespace

Report report_stats(const TelemetrySubject& s, const std::string& parameter) {
  Report report;
  if (!parameter.empty()) {
    size_t n = 0;
    const char* end = parameter.data() + parameter.size();
    if (const auto [at, bad] = std::from_chars(parameter.data(), end, n);
        bad != std::errc{} || at != end || n >= s.workers.size()) {
      return {error(fmt::format("no lcore {}: there are 0 to {}", parameter, s.workers.size() - 1)), {}};
    }
    Sums sums;
    add_worker(sums, *s.workers[n]);
    return {std::move(sums).rows(), {}};
  }
  Sums total;
  for (const Worker* worker : s.workers) add_worker(total, *worker);
  report.sections.emplace_back("total", std::move(total).rows());
  for (size_t i = 0; i < s.workers.size() && s.workers.size() <= kSectionsMost; ++i) {
    Sums sums;
    add_worker(sums, *s.workers[i]);
    report.sections.emplace_back(fmt::format("lcore_{}", i), std::move(sums).rows());
  }
  return report;
}

Report report_flows(const TelemetrySubject& s) {
  std::array<uint64_t, policy::kStates> states{};
  std::array<std::array<uint64_t, 2>, policy::kClasses> opened{};
  for (const Worker* worker : s.workers) {
    const Counters& c = worker->pipeline_counters();
    for (size_t i = 0; i < states.size(); ++i) states[i] += peek(c.flows[i]);
    for (size_t i = 0; i < opened.size(); ++i)
      for (size_t family = 0; family < 2; ++family) opened[i][family] += peek(c.opened[i][family]);
  }
  Report report;
  Rows live, begun;
  uint64_t tracked = 0;
  for (size_t i = 0; i < states.size(); ++i) {
    const auto state = static_cast<policy::State>(i);
    if (state == policy::State::none) continue;
    tracked += states[i];
    live.emplace_back(policy::to_string(state), states[i]);
  }
  for (size_t i = 0; i < opened.size(); ++i) {
    for (size_t family = 0; family < 2; ++family) {
      begun.emplace_back(
          fmt::format("{}_{}", policy::to_string(static_cast<policy::SourceClass>(i)), family == 0 ? "ipv4" : "ipv6"),
          opened[i][family]);
    }
  }
  report.rows.emplace_back("tracked", tracked);
  report.sections.emplace_back("states", std::move(live));
  report.sections.emplace_back("opened", std::move(begun));
  return report;
}

Report report_source(const TelemetrySubject& s, const std::string& address) {
  const auto client = wire::parse_address(address);
  if (!client) return {error("name an address: /mire/sources,192.0.2.1"), {}};
  const unsigned owner = owner_of(*client, static_cast<unsigned>(s.workers.size()), s.seed);
  SourceSlot& slot = s.workers[owner]->sources();
  const bool asked = slot.ask(*client);
  for (unsigned ms = 0; !asked || !slot.answered(); ++ms) {
    if (!asked || ms == 100) return {error(fmt::format("lcore {} does not answer", owner)), {}};
    const timespec nap{0, 1'000'000};
    nanosleep(&nap, nullptr);
  }
  Rows rows{{"address", wire::to_string(*client)}, {"lcore", uint64_t{owner}}};
  if (const auto& view = slot.answer()) {
    rows.emplace_back("class", std::string(policy::to_string(view->source_class)));
    rows.emplace_back("live_flows", uint64_t{view->live_flows});
    rows.emplace_back("opened_this_minute", uint64_t{view->opened_this_minute});
    rows.emplace_back("offences", uint64_t{view->offences});
    rows.emplace_back("penalty_ms",
                      static_cast<uint64_t>(std::chrono::duration_cast<milliseconds>(view->penalty_left).count()));
  } else {
    rows.emplace_back("class", std::string("not seen"));
  }
  return {std::move(rows), {}};
}

Report report_interfaces(const TelemetrySubject& s) {
  Report report;
  const auto counts = s.wire != nullptr ? s.wire->counts() : Result<ebpf::WireCounts>(Error{});
  for (size_t side = 0; side < 2; ++side) {
    Rows rows{{"name", s.port_names[side]}};
    rte_eth_stats stats{};
    if (rte_eth_stats_get(s.port_ids[side], &stats) == 0) {
      rows.emplace_back("received", stats.ipackets);
      rows.emplace_back("received_bytes", stats.ibytes);
      rows.emplace_back("sent", stats.opackets);
      rows.emplace_back("sent_bytes", stats.obytes);
      rows.emplace_back("missed", stats.imissed);
      rows.emplace_back("errors", stats.ierrors + stats.oerrors);
      rows.emplace_back("no_buffer", stats.rx_nombuf);
    }
    if (counts) {
      for (size_t reason = 0; reason < MIRE_COUNT_REASONS; ++reason) {
        rows.emplace_back(fmt::format("xdp_{}", ebpf::count_name(static_cast<mire_count>(reason))),
                          (*counts)[reason][side]);
      }
    }
    report.sections.emplace_back(kSides[side], std::move(rows));
  }
  if (s.wire != nullptr) {
    report.rows.emplace_back("bypass_epoch", s.wire->bypass_epoch());
    report.rows.emplace_back("ready", uint64_t{s.wire->ready()});
    report.rows.emplace_back("fail_mode",
                             std::string(s.wire->fail_mode() == ebpf::FailMode::closed ? "closed" : "open"));
    report.rows.emplace_back("via_user", uint64_t{s.wire->via_user()});
    report.rows.emplace_back("largest_frame", uint64_t{s.wire->largest_frame()});
  }
  return report;
}

Status offer_telemetry(const TelemetrySubject& s) {
  {
    const std::lock_guard lock(subject_lock);
    subject = &s;
  }
  struct Entry {
    const char* name;
    int (*answer)(const char*, const char*, rte_tel_data*);
    const char* help;
  };
  static constexpr std::array kEntries = {
      Entry{"/mire/stats", answer<report_stats>, "Counters by reason and verdict. Parameter: a lcore"},
      Entry{"/mire/flows", answer<flows>, "Flows by state, and opened ones by class"},
      Entry{"/mire/sources", answer<report_source>, "What is known of one source. Parameter: its address"},
      Entry{"/mire/interfaces", answer<interfaces>, "Both ports, and the eBPF programs' counters"}};
  for (const auto& e : kEntries) {
    if (const int rc = rte_telemetry_register_cmd(e.name, e.answer, e.help); rc != 0 && rc != -EEXIST)
      return Error{fmt::format("{} cannot be offered ({})", e.name, rc)};
  }
  return success();
}

void withdraw_telemetry() {
  const std::lock_guard lock(subject_lock);
  subject = nullptr;
}

}  // namespace mire::lcore
