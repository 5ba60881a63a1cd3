// programs.h - the compiled programs, loaded over maps of the test's own and run on single frames by the kernel
// (BPF_PROG_TEST_RUN). Nothing is attached and no frame leaves.
#pragma once

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>
#include <linux/if_xdp.h>
#include <linux/pkt_cls.h>
#include <net/if.h>
#include <sched.h>
#include <sys/socket.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "ebpf/steer.h"
#include "ebpf/wire_state.h"

namespace mire::ebpf::test {

// Why BPF cannot be tested here; empty if it can.
inline std::string missing() {
  if (geteuid() != 0) return "needs root: BPF programs cannot be loaded";
  const auto state = WireState::create();
  return state ? "" : state.error();
}

// One compiled program over `state`.
class Loaded {
 public:
  Loaded(const char* file, const char* program, const WireState& state) {
    const auto steer = steer_object();
    if (!steer) throw std::runtime_error(steer.error());
    const auto path = std::filesystem::path{*steer}.parent_path() / file;
    object_.reset(bpf_object__open_file(path.c_str(), nullptr));
    for (const auto& [name, fd] : {std::pair{MIRE_STATE_MAP, state.state_fd()}, {MIRE_COUNTS_MAP, state.counts_fd()}}) {
      bpf_map* map = bpf_object__find_map_by_name(object_.get(), name);
      bpf_map__set_pin_path(map, nullptr);
      bpf_map__reuse_fd(map, fd);
    }
    if (bpf_object__load(object_.get()) != 0) throw std::runtime_error(path.string() + " does not load");
    fd_ = bpf_program__fd(bpf_object__find_program_by_name(object_.get(), program));
  }

  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] int map(const char* name) const {
    return bpf_map__fd(bpf_object__find_map_by_name(object_.get(), name));
  }

  // The program's verdict; -1 if the kernel refuses to run it on such a frame.
  int run(std::span<const uint8_t> frame) const {
    LIBBPF_OPTS(bpf_test_run_opts, options);
    options.data_in = frame.data();
    options.data_size_in = static_cast<__u32>(frame.size());
    return bpf_prog_test_run_opts(fd_, &options) == 0 ? static_cast<int>(options.retval) : -1;
  }

 private:
  struct Close {
    void operator()(bpf_object* object) const { bpf_object__close(object); }
  };
  std::unique_ptr<bpf_object, Close> object_;
  int fd_ = -1;
};

// A network namespace for this process alone: its lo is what test runs come in by, and it has one interface besides,
// whose index this is. 0: not allowed.
inline uint32_t other_interface() {
  static const uint32_t index = [] {
    if (unshare(CLONE_NEWNET) != 0) return 0u;
    if (std::system("ip link add other type veth peer name third") != 0) return 0u;
    return if_nametoindex("other");
  }();
  return index;
}

// What a run changed: frames by reason on the side they came in, and the epoch.
struct Change {
  std::array<uint64_t, MIRE_COUNT_REASONS> frames{};
  uint64_t epoch = 0;
  friend bool operator==(const Change&, const Change&) = default;

  static Change of(std::initializer_list<mire_count> reasons, uint64_t epoch) {
    Change change;
    change.epoch = epoch;
    for (const auto reason : reasons) change.frames[reason] = 1;
    return change;
  }
  friend std::ostream& operator<<(std::ostream& out, const Change& change) {
    for (size_t i = 0; i < change.frames.size(); ++i)
      if (change.frames[i] != 0) out << count_name(static_cast<mire_count>(i)) << ' ' << change.frames[i] << ' ';
    return out << "epoch +" << change.epoch;
  }
};

class Watch {
 public:
  explicit Watch(const WireState& state) : state_(state), counts_(*state.counts()), epoch_(state.bypass_epoch()) {}
  [[nodiscard]] Change change(unsigned side) const {
    const auto now = *state_.counts();
    Change change;
    change.epoch = state_.bypass_epoch() - epoch_;
    for (size_t i = 0; i < now.size(); ++i) {
      change.frames[i] = now[i][side] - counts_[i][side];
      EXPECT_EQ(now[i][1 - side], counts_[i][1 - side]) << "counted on the wrong side";
    }
    return change;
  }

 private:
  const WireState& state_;
  WireCounts counts_;
  uint64_t epoch_;
};

}  // namespace mire::ebpf::test
