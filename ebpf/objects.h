// objects.h - where the compiled eBPF programs lie. Private to ebpf/.
#pragma once

#include <string>

#include "dataplane/base/result.h"

namespace mire::ebpf {

// $MIRE_BPF_DIR, the ebpf folder of the build that the running program comes from, /usr/lib/mire: the first that has
// it.
[[nodiscard]] Result<std::string> object_file(const char* name);

}  // namespace mire::ebpf
