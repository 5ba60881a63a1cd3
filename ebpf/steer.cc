#include "ebpf/steer.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <linux/if_link.h>
#include <linux/magic.h>
#include <net/if.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "ebpf/attached.h"
#include "ebpf/netdev.h"
#include "ebpf/objects.h"

namespace mire::ebpf {
namespace {

constexpr const char* kBpffs = "/sys/fs/bpf";  // libbpf's default place for maps pinned by name
constexpr const char* kInstalled = "/usr/lib/mire";

// netdev_xdp_act of the kernel's netdev family (6.3 on)
constexpr uint64_t kNdoXmit = 4;
constexpr uint64_t kNdoXmitFragments = 64;

}  // namespace

Result<std::string> object_file(const char* name) {
  std::array<std::filesystem::path, 3> places;
  if (const char* dir = std::getenv("MIRE_BPF_DIR"); dir != nullptr) places[0] = dir;
  std::error_code ignored;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", ignored);
  // BUILD/ebpf/mire-bypass, BUILD/dataplane/mire-dataplane, BUILD/tests/bpf/bpf, ...
  for (auto up = self.parent_path(); up.has_relative_path(); up = up.parent_path()) {
    if (!std::filesystem::exists(up / "ebpf" / name, ignored)) continue;
    places[1] = up / "ebpf";
    break;
  }
  places[2] = kInstalled;
  for (const auto& dir : places)
    if (!dir.empty() && std::filesystem::exists(dir / name, ignored)) return (dir / name).string();
  return Error{
      fmt::format("{} is neither beside the build nor in {}; set MIRE_BPF_DIR to its folder", name, kInstalled)};
}

Result<std::string> steer_object() { return object_file("steer.bpf.o"); }

Status introduce_maps(const WireState& state) {
  const auto fail = [](const char* what) {
    return Error{fmt::format("cannot {}: {}; run as root (CAP_SYS_ADMIN)", what, std::strerror(errno))};
  };
  if (unshare(CLONE_NEWNS) != 0) return fail("take a mount namespace of its own");
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return fail("make its mounts private");
  if (mount("mire", kBpffs, "bpf", 0, "mode=0700") != 0) return fail("mount a bpffs on /sys/fs/bpf");
  if (bpf_obj_pin(state.state_fd(), fmt::format("{}/{}", kBpffs, MIRE_STATE_MAP).c_str()) != 0 ||
      bpf_obj_pin(state.counts_fd(), fmt::format("{}/{}", kBpffs, MIRE_COUNTS_MAP).c_str()) != 0)
    return fail("pin the wire's maps for steer");
  return success();
}

Result<XdpOwner> xdp_owner(const std::string& port) {
  silence_libbpf();
  const uint32_t ifindex = if_nametoindex(port.c_str());
  if (ifindex == 0) return Error{fmt::format("{}: no such interface here; ip link shows what there is", port)};
  __u32 id = 0;
  if (const int err = bpf_xdp_query_id(static_cast<int>(ifindex), 0, &id); err != 0)
    return Error{fmt::format("{}: cannot look at its XDP program: {}", port, std::strerror(-err))};
  if (id == 0) return XdpOwner::none;
  return program_is(id, MIRE_STEER_PROGRAM) ? XdpOwner::ours : XdpOwner::foreign;
}

Status detach_xdp(const std::string& port) {
  const auto owner = xdp_owner(port);
  if (!owner) return Error{owner.error()};
  switch (*owner) {
    case XdpOwner::none: return success();
    case XdpOwner::foreign:
      return Error{fmt::format("{} carries an XDP program that is not ours: ip link set {} xdp off", port, port)};
    case XdpOwner::ours: break;
  }
  const auto ifindex = static_cast<int>(if_nametoindex(port.c_str()));
  for (const __u32 mode : {XDP_FLAGS_DRV_MODE, XDP_FLAGS_SKB_MODE, 0u})
    if (bpf_xdp_detach(ifindex, mode, nullptr) == 0) {
      if (const auto now = xdp_owner(port); now && *now == XdpOwner::none) return success();
    }
  return Error{fmt::format("{}: steer cannot be detached: ip link set {} xdp off", port, port)};
}

RedirectTarget redirect_target(uint32_t ifindex) {
  const auto features = xdp_features(ifindex);
  if (!features) return {};
  return {(*features & kNdoXmit) != 0, (*features & kNdoXmitFragments) != 0};
}

}  // namespace mire::ebpf
