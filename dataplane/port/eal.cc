#include "dataplane/port/eal.h"

#include <fmt/format.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <fstream>
#include <utility>

namespace mire::port {
namespace {

bool started = false;

constexpr uint64_t kMega = uint64_t{1} << 20;
constexpr uint64_t kEalOwnBytes = 48 * kMega;  // rings, telemetry, malloc heaps

uint64_t number_in(const std::string& path) {
  std::ifstream in(path);
  uint64_t value = 0;
  in >> value;
  return value;
}

uint64_t free_hugepage_bytes() {
  const std::string root = "/sys/kernel/mm/hugepages/hugepages-";
  return number_in(root + "2048kB/free_hugepages") * 2 * kMega +
         number_in(root + "1048576kB/free_hugepages") * 1024 * kMega;
}

// What the kernel believes it could give; 0 if it does not say.
uint64_t available_memory() {
  std::ifstream in("/proc/meminfo");
  std::string key, unit;
  uint64_t value = 0;
  while (in >> key >> value) {
    if (key == "MemAvailable:") return value * 1024;
    std::getline(in, unit);
  }
  return 0;
}

// EAL makes it for the telemetry's socket, and leaves it.
void remove_folder(const std::string& folder) {
  unlink((folder + "/dpdk_telemetry.v2").c_str());
  rmdir(folder.c_str());
}

// Lcore 0 on all CPUs, for it sleeps; worker w on one CPU, the first not on the first CPU if there is a choice.
std::string lcore_map(unsigned workers, const std::vector<unsigned>& cpus) {
  std::string map = "0@(";
  for (const unsigned cpu : cpus) map += fmt::format("{},", cpu);
  map.back() = ')';
  for (unsigned w = 1; w <= workers; ++w) map += fmt::format(",{}@{}", w, cpus[w % cpus.size()]);
  return map;
}

}  // namespace

std::vector<unsigned> usable_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<unsigned> cpus;
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    for (unsigned c = 0; c < CPU_SETSIZE; ++c)
      if (CPU_ISSET(c, &set)) cpus.push_back(c);
  }
  if (cpus.empty()) cpus.push_back(0);
  return cpus;
}

LogCapture::LogCapture() {
  memory_ = memfd_create("mire-log", MFD_CLOEXEC);
  if (memory_ < 0) return;
  std::fflush(nullptr);
  kept_stdout_ = dup(STDOUT_FILENO);
  kept_stderr_ = dup(STDERR_FILENO);
  if (kept_stdout_ >= 0) dup2(memory_, STDOUT_FILENO);
  if (kept_stderr_ >= 0) dup2(memory_, STDERR_FILENO);
  auto* stream = fdopen(dup(memory_), "a");
  if (stream != nullptr) {
    setvbuf(stream, nullptr, _IOLBF, 0);
    rte_openlog_stream(stream);
    stream_ = stream;
  }
}

LogCapture::~LogCapture() {
  rte_openlog_stream(stderr);
  if (stream_ != nullptr) std::fclose(static_cast<FILE*>(stream_));
  std::fflush(nullptr);
  for (const auto& [kept, fd] : {std::pair{kept_stdout_, STDOUT_FILENO}, std::pair{kept_stderr_, STDERR_FILENO}}) {
    if (kept < 0) continue;
    dup2(kept, fd);
    close(kept);
  }
  if (memory_ >= 0) close(memory_);
}

std::string LogCapture::cause() const {
  if (stream_ != nullptr) std::fflush(static_cast<FILE*>(stream_));
  std::fflush(nullptr);
  std::string text;
  std::array<char, 4096> piece{};
  off_t at = 0;
  for (ssize_t n; memory_ >= 0 && (n = pread(memory_, piece.data(), piece.size(), at)) > 0; at += n)
    text.append(piece.data(), static_cast<size_t>(n));
  return likely_cause(text);
}

std::string likely_cause(const std::string& log) {
  static constexpr std::array kSigns = {"fail", "cannot", "can't", "error", "invalid", "unable", "not ", "no "};
  std::string sign;
  size_t begin = 0;
  while (begin < log.size()) {
    const size_t end = std::min(log.find('\n', begin), log.size());
    const std::string line = log.substr(begin, end - begin);
    begin = end + 1;
    // That telemetry has no legacy socket is said at every start.
    if (line.find_first_not_of(" \t\r") == std::string::npos || line.starts_with("TELEMETRY:")) continue;
    std::string lower = line;
    std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
    const bool bad =
        std::any_of(kSigns.begin(), kSigns.end(), [&](const char* s) { return lower.find(s) != lower.npos; });
    // The first complaint is the cause, the later ones are its consequences; that there are no hugepages is our choice.
    if (sign.empty() && bad && lower.find("hugepage") == lower.npos) sign = line;
  }
  const size_t first = sign.find_first_not_of(" \t\r");
  return first == std::string::npos ? std::string{} : sign.substr(first);
}

Result<EalFacts> start_eal(const EalOptions& options) {
  EalFacts facts;
  facts.file_prefix = options.file_prefix.empty() ? fmt::format("mire-{}", getpid()) : options.file_prefix;
  const uint64_t need = options.memory_bytes + kEalOwnBytes;
  const uint64_t megabytes = (need + kMega - 1) / kMega;

  const uint64_t huge = options.no_huge ? 0 : free_hugepage_bytes();
  facts.hugepages = huge >= need + need / 8;
  if (!facts.hugepages) {
    const uint64_t available = available_memory();
    if (available != 0 && available < need) {
      return Error{
          fmt::format("not enough memory for packet buffers: {} MB needed, {} MB available; free some or use fewer "
                      "--lcores",
                      megabytes, available / kMega)};
    }
    if (options.no_huge) {
      facts.note = "running without hugepages, as asked";
    } else {
      facts.note =
          fmt::format("running without hugepages: {} MB needed, {} MB free (sysctl vm.nr_hugepages={} would do)",
                      megabytes, huge / kMega, (need + need / 8) / (2 * kMega) + 1);
    }
  }

  std::vector<std::string> words = {"mire-dataplane",
                                    "--file-prefix",
                                    facts.file_prefix,
                                    "--lcores",
                                    lcore_map(options.workers, usable_cpus()),
                                    "--main-lcore",
                                    "0",
                                    "--log-level",
                                    "user1:error",
                                    "-m",
                                    std::to_string(megabytes)};
  // Nothing of ours on a file system. EAL refuses --in-memory together with --no-huge, of which --no-shconf is then the
  // rest.
  if (facts.hugepages) {
    words.emplace_back("--in-memory");
  } else {
    words.insert(words.end(), {"--no-huge", "--no-shconf"});
  }
  if (options.pci.empty()) words.emplace_back("--no-pci");
  for (const auto& address : options.pci) words.insert(words.end(), {"-a", address});
  for (const auto& device : options.vdevs) words.insert(words.end(), {"--vdev", device});
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());

  const int rc = rte_eal_init(static_cast<int>(argv.size()), argv.data());
  if (rc < 0) {
    remove_folder(rte_eal_get_runtime_dir());
    return Error{fmt::format("DPDK did not start ({})", rte_strerror(rte_errno))};
  }
  started = true;
  return facts;
}

void stop_eal() noexcept {
  if (!std::exchange(started, false)) return;
  // Not rte_eal_cleanup(): it takes DPDK's memory away while EAL's interrupt thread, which nothing ends, still walks
  // through handles in it: a stop just after a memif was closed crashed. The process ends now; nothing else would be
  // freed.
  remove_folder(rte_eal_get_runtime_dir());
}

}  // namespace mire::port
