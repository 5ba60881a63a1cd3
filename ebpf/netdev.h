// netdev.h - one question to the kernel's netdev family (generic netlink, 6.3 on). Private to ebpf/.
#pragma once

#include <cstdint>
#include <optional>

namespace mire::ebpf {

// netdev_xdp_act bits of an interface; nothing where the kernel cannot be asked.
[[nodiscard]] std::optional<uint64_t> xdp_features(uint32_t ifindex);

}  // namespace mire::ebpf
