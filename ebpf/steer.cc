#include "ebpf/steer.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <linux/genetlink.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sched.h>
#include <sys/mount.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "ebpf/netlink.h"
#include "ebpf/programs.h"

namespace mire::ebpf {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kObject = "steer.bpf.o";
constexpr const char* kInstalled = "/usr/lib/mire";
constexpr const char* kBpffs = "/sys/fs/bpf";  // libbpf's default for LIBBPF_PIN_BY_NAME

// linux/netdev.h, which Debian 12 does not have yet.
constexpr uint8_t kNetdevDevGet = 1;
constexpr uint16_t kNetdevIfindex = 1, kNetdevXdpFeatures = 3;
constexpr uint64_t kXdpNdoXmit = 4, kXdpNdoXmitFragments = 64;

struct Attached {
  uint32_t id = 0;
  uint32_t mode_flag = 0;
};

Result<Attached> attached_to(const std::string& port) {
  const auto ifindex = static_cast<int>(if_nametoindex(port.c_str()));
  if (ifindex == 0)
    return Error{fmt::format("there is no interface {} here: ip link shows those that there are", port)};
  LIBBPF_OPTS(bpf_xdp_query_opts, query);
  const Quiet quiet;
  if (const int error = bpf_xdp_query(ifindex, 0, &query); error != 0)
    return failure(fmt::format("cannot ask what XDP program {} carries", port), error);
  if (query.hw_prog_id != 0) return Attached{query.hw_prog_id, XDP_FLAGS_HW_MODE};
  if (query.drv_prog_id != 0) return Attached{query.drv_prog_id, XDP_FLAGS_DRV_MODE};
  if (query.skb_prog_id != 0) return Attached{query.skb_prog_id, XDP_FLAGS_SKB_MODE};
  return Attached{};
}

std::optional<uint16_t> generic_family(const char* name) {
  const genlmsghdr header{CTRL_CMD_GETFAMILY, 1, 0};
  const auto answer = netlink::Request(GENL_ID_CTRL, netlink::bytes_of(header))
                          .add(CTRL_ATTR_FAMILY_NAME, name, std::string_view{name}.size() + 1)
                          .ask(NETLINK_GENERIC);
  std::optional<uint16_t> id;
  if (answer.error == 0 && answer.payload.size() > sizeof header) {
    netlink::each_attribute(std::span{answer.payload}.subspan(sizeof header), [&](uint16_t type, auto value) {
      if (type == CTRL_ATTR_FAMILY_ID) id = netlink::value_of<uint16_t>(value);
    });
  }
  return id;
}

}  // namespace

Result<std::string> steer_object() {
  std::error_code ignored;
  if (const char* told = std::getenv("MIRE_BPF_DIR"); told != nullptr && *told != '\0') {
    const fs::path path = fs::path{told} / kObject;
    if (fs::exists(path, ignored)) return path.string();
    return Error{fmt::format("{} does not exist: correct MIRE_BPF_DIR", path.string())};
  }
  fs::path above = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  for (int levels = 0; levels < 4 && above.has_relative_path(); ++levels, above = above.parent_path()) {
    if (const fs::path path = above / "ebpf" / kObject; fs::exists(path, ignored)) return path.string();
  }
  if (const fs::path path = fs::path{kInstalled} / kObject; fs::exists(path, ignored)) return path.string();
  return Error{fmt::format("{} is neither beside the program's build nor in {}: build it, or set MIRE_BPF_DIR", kObject,
                           kInstalled)};
}

Status introduce_maps(const WireState& state) {
  if (unshare(CLONE_NEWNS) != 0) return failure("cannot have a mount namespace of our own", errno);
  if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    return failure("cannot make our mounts private", errno);
  if (mount("bpf", kBpffs, "bpf", 0, "mode=0700") != 0)
    return failure(fmt::format("cannot mount a BPF file system on {}", kBpffs), errno);
  const auto pin = [](int fd, const char* name) { return bpf_obj_pin(fd, fmt::format("{}/{}", kBpffs, name).c_str()); };
  const Quiet quiet;
  if (pin(state.state_fd(), MIRE_STATE_MAP) != 0 || pin(state.counts_fd(), MIRE_COUNTS_MAP) != 0)
    return failure("cannot pin the wire's maps for the XDP program", errno);
  return success();
}

Result<XdpOwner> xdp_owner(const std::string& port) {
  const auto attached = attached_to(port);
  if (!attached) return Error{attached.error()};
  if (attached->id == 0) return XdpOwner::none;
  const auto program = program_by_id(attached->id);
  if (!program) return Error{program.error()};
  return program->name == MIRE_STEER_PROGRAM ? XdpOwner::ours : XdpOwner::foreign;
}

Status detach_xdp(const std::string& port) {
  const auto attached = attached_to(port);
  if (!attached) return Error{attached.error()};
  if (attached->id == 0) return success();
  const auto program = program_by_id(attached->id);
  if (!program) return Error{program.error()};
  if (program->name != MIRE_STEER_PROGRAM) {
    return Error{
        fmt::format("{} carries an XDP program that is not ours ({}): stop its owner, or: ip link set {} xdp off", port,
                    program->name, port)};
  }
  LIBBPF_OPTS(bpf_xdp_attach_opts, options, .old_prog_fd = program->fd.get());
  const Quiet quiet;
  const auto ifindex = static_cast<int>(if_nametoindex(port.c_str()));
  const int error = bpf_xdp_detach(ifindex, attached->mode_flag | XDP_FLAGS_REPLACE, &options);
  if (error != 0 && error != -ENOENT) return failure(fmt::format("cannot detach our XDP program from {}", port), error);
  return success();
}

RedirectTarget redirect_target(uint32_t ifindex) {
  const auto family = generic_family("netdev");
  if (!family) return {};
  const genlmsghdr header{kNetdevDevGet, 1, 0};
  const auto answer = netlink::Request(*family, netlink::bytes_of(header))
                          .add(kNetdevIfindex, &ifindex, sizeof ifindex)
                          .ask(NETLINK_GENERIC);
  std::optional<uint64_t> features;
  if (answer.error == 0 && answer.payload.size() > sizeof header) {
    netlink::each_attribute(std::span{answer.payload}.subspan(sizeof header), [&](uint16_t type, auto value) {
      if (type == kNetdevXdpFeatures) features = netlink::value_of<uint64_t>(value);
    });
  }
  if (!features) return {};
  return {(*features & kXdpNdoXmit) != 0, (*features & kXdpNdoXmitFragments) != 0};
}

}  // namespace mire::ebpf
