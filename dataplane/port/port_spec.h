// port_spec.h - what a person may write behind --wan and --lan, as a value.
//
// A kernel interface ("eth1"), a PCI address ("0000:03:00.0") or a DPDK virtual device ("vdev:net_ring0"). Knows no
// DPDK type and asks no kernel: whether the thing exists is found out where it is opened.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "dataplane/base/result.h"

namespace mire::port {

enum class PortKind : uint8_t {
  kernel,  // through net_af_xdp
  pci,     // a NIC bound to vfio
  vdev,    // net_ring, net_null, net_pcap, net_memif
};

struct PortSpec {
  PortKind kind = PortKind::kernel;
  std::string name;       // interface, PCI address with domain, or the virtual device's name
  std::string arguments;  // of a virtual device, with its leading comma; else empty
  friend bool operator==(const PortSpec&, const PortSpec&) = default;
};

// `option` ("--wan") begins the error's text.
[[nodiscard]] Result<PortSpec> parse_port(std::string_view option, std::string_view text);

// What only both together show: the same port twice, or a kernel interface beside a port that the kernel cannot reach.
[[nodiscard]] Status check_pair(const PortSpec& wan, const PortSpec& lan);

}  // namespace mire::port
