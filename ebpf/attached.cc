#include "ebpf/attached.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <net/if.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "ebpf/kern_user.h"

namespace mire::ebpf {
namespace {

constexpr size_t kMapsOfAProgram = 16;

}  // namespace

void silence_libbpf() noexcept { libbpf_set_print(nullptr); }

bool program_is(uint32_t id, const char* name) {
  const Fd program{bpf_prog_get_fd_by_id(id)};
  if (!program) return false;
  bpf_prog_info info{};
  __u32 size = sizeof info;
  return bpf_obj_get_info_by_fd(program.get(), &info, &size) == 0 &&
         std::strncmp(info.name, name, BPF_OBJ_NAME_LEN - 1) == 0;
}

Result<uint32_t> attached_bypass(uint32_t ifindex, const std::string& port) {
  silence_libbpf();
  LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = static_cast<int>(ifindex), .attach_point = BPF_TC_INGRESS);
  LIBBPF_OPTS(bpf_tc_opts, opts, .handle = kTcHandle, .priority = kTcPriority);
  const int err = bpf_tc_query(&hook, &opts);
  if (err == -ENOENT || err == -EINVAL) return uint32_t{0};  // no filter there, or no clsact
  if (err == -EPERM) return Error{"no privilege to look at tc programs; run as root (CAP_NET_ADMIN and CAP_BPF)"};
  if (err != 0) return Error{fmt::format("{}: cannot look at its tc programs: {}", port, std::strerror(-err))};
  if (!program_is(opts.prog_id, MIRE_BYPASS_PROGRAM))
    return Error{
        fmt::format("{}: somebody else's tc program has our place (handle {:#x}); remove it first", port, kTcHandle)};
  return opts.prog_id;
}

Result<Maps> attached_maps(const std::string& port) {
  const uint32_t ifindex = if_nametoindex(port.c_str());
  if (ifindex == 0) return Error{fmt::format("{}: no such interface here; ip link shows what there is", port)};
  const auto id = attached_bypass(ifindex, port);
  if (!id) return Error{id.error()};
  if (*id == 0) return Error{fmt::format("{}: bypass is not attached; mire-bypass up attaches it", port)};
  const Fd program{bpf_prog_get_fd_by_id(*id)};
  std::array<__u32, kMapsOfAProgram> ids{};
  bpf_prog_info info{};
  info.nr_map_ids = ids.size();
  info.map_ids = reinterpret_cast<__u64>(ids.data());
  __u32 size = sizeof info;
  if (!program || bpf_obj_get_info_by_fd(program.get(), &info, &size) != 0)
    return Error{fmt::format("{}: cannot look at bypass: {}; run as root", port, std::strerror(errno))};
  Maps maps;
  for (uint32_t i = 0; i < info.nr_map_ids && i < ids.size(); ++i) {
    Fd map{bpf_map_get_fd_by_id(ids[i])};
    bpf_map_info about{};
    __u32 about_size = sizeof about;
    if (!map || bpf_obj_get_info_by_fd(map.get(), &about, &about_size) != 0) continue;
    if (std::strcmp(about.name, MIRE_STATE_MAP) == 0) {
      maps.state = std::move(map);
      maps.state_id = ids[i];
    } else if (std::strcmp(about.name, MIRE_COUNTS_MAP) == 0) {
      maps.counts = std::move(map);
    }
  }
  if (!maps.state || !maps.counts)
    return Error{fmt::format("{}: the bypass attached to it is of another version; mire-bypass up replaces it", port)};
  return maps;
}

}  // namespace mire::ebpf
