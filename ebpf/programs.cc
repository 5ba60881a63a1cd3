#include "ebpf/programs.h"

#include <bpf/bpf.h>
#include <fmt/format.h>
#include <linux/bpf.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace mire::ebpf {

Error failure(std::string_view what, int error) {
  const int code = std::abs(error);
  if (code == EPERM || code == EACCES)
    return {
        fmt::format("{}: no privilege; run it with sudo (CAP_NET_ADMIN, CAP_BPF and CAP_SYS_ADMIN are needed)", what)};
  return {fmt::format("{}: {}", what, std::strerror(code))};
}

Result<ProgramInfo> program_by_id(uint32_t id) {
  ProgramInfo program;
  program.fd = Fd{bpf_prog_get_fd_by_id(id)};
  if (!program.fd) return failure("cannot look at an attached BPF program", errno);
  program.map_ids.resize(64);
  bpf_prog_info info{};
  info.nr_map_ids = static_cast<uint32_t>(program.map_ids.size());
  info.map_ids = reinterpret_cast<uintptr_t>(program.map_ids.data());
  uint32_t length = sizeof info;
  if (bpf_obj_get_info_by_fd(program.fd.get(), &info, &length) != 0)
    return failure("cannot look at an attached BPF program", errno);
  program.name = info.name;
  if (info.nr_map_ids < program.map_ids.size()) program.map_ids.resize(info.nr_map_ids);
  return program;
}

Fd map_named(const ProgramInfo& program, std::string_view name) {
  for (const uint32_t id : program.map_ids) {
    Fd map{bpf_map_get_fd_by_id(id)};
    bpf_map_info info{};
    uint32_t length = sizeof info;
    if (map && bpf_obj_get_info_by_fd(map.get(), &info, &length) == 0 && name == info.name) return map;
  }
  return {};
}

}  // namespace mire::ebpf
