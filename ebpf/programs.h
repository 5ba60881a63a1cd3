// programs.h - BPF programs and maps that somebody loaded: find them by id and name. For this room's own files.
#pragma once

#include <bpf/libbpf.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/base/result.h"
#include "ebpf/fd.h"

namespace mire::ebpf {

struct ProgramInfo {
  Fd fd;
  std::string name;
  std::vector<uint32_t> map_ids;
};
[[nodiscard]] Result<ProgramInfo> program_by_id(uint32_t id);

// The map of that name among a program's maps; none if there is none.
[[nodiscard]] Fd map_named(const ProgramInfo&, std::string_view name);

// "what: why" with the errno's text, or the line about privileges if that is the reason. `error` may have either sign.
[[nodiscard]] Error failure(std::string_view what, int error);

// libbpf explains itself on stderr; our errors are one line. Quiet while it lives.
class Quiet {
 public:
  Quiet() : before_(libbpf_set_print(nullptr)) {}
  ~Quiet() { libbpf_set_print(before_); }
  Quiet(const Quiet&) = delete;
  Quiet& operator=(const Quiet&) = delete;

 private:
  libbpf_print_fn_t before_;
};

}  // namespace mire::ebpf
