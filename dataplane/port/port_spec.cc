#include "dataplane/port/port_spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>

namespace mire::port {
namespace {

constexpr std::string_view kVdev = "vdev:";
constexpr size_t kLongestInterface = 15;  // IFNAMSIZ without its end

bool all_hex(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isxdigit(c) != 0; });
}

// [dddd:]bb:dd.f; the answer has the domain.
std::string pci_address(std::string_view text) {
  const size_t dot = text.rfind('.');
  if (dot == std::string_view::npos || text.size() - dot != 2 || text[dot + 1] < '0' || text[dot + 1] > '7') return {};
  std::string_view rest = text.substr(0, dot);
  const size_t device = rest.rfind(':');
  if (device == std::string_view::npos || rest.size() - device != 3 || !all_hex(rest.substr(device + 1))) return {};
  rest = rest.substr(0, device);
  const size_t bus = rest.rfind(':');
  const std::string_view bus_text = bus == std::string_view::npos ? rest : rest.substr(bus + 1);
  if (bus_text.size() != 2 || !all_hex(bus_text)) return {};
  if (bus == std::string_view::npos) return fmt::format("0000:{}", text);
  const std::string_view domain = rest.substr(0, bus);
  if (domain.size() < 4 || domain.size() > 8 || !all_hex(domain)) return {};
  return std::string(text);
}

// These the virtual device's driver would take, but only the loader knows how to prepare the interface.
constexpr std::array kKernelDrivers = {std::string_view("net_af_xdp"), std::string_view("net_af_packet")};

}  // namespace

Result<PortSpec> parse_port(std::string_view option, std::string_view text) {
  if (text.empty()) {
    return Error{fmt::format(
        "{}: no port given; name an interface (eth1), a PCI address (0000:03:00.0) or a device (vdev:net_ring0)",
        option)};
  }
  if (text.starts_with(kVdev)) {
    const std::string_view device = text.substr(kVdev.size());
    const std::string_view name = device.substr(0, device.find(','));
    const bool named = std::all_of(name.begin(), name.end(),
                                   [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '-'; });
    if (!name.starts_with("net_") || !named) {
      return Error{fmt::format("{} {}: a virtual device is vdev:net_DRIVER[NUMBER][,ARGUMENTS], as vdev:net_ring0",
                               option, text)};
    }
    for (const std::string_view driver : kKernelDrivers) {
      if (name.starts_with(driver))
        return Error{fmt::format("{} {}: give the interface itself, not a {} device", option, text, driver)};
    }
    return PortSpec{PortKind::vdev, std::string(name), std::string(device.substr(name.size()))};
  }
  if (std::string pci = pci_address(text); !pci.empty()) return PortSpec{PortKind::pci, std::move(pci), {}};
  if (text.size() > kLongestInterface || text == "." || text == ".." || text.find_first_of("/:, \t\n") != text.npos) {
    return Error{
        fmt::format("{} {}: neither an interface name (at most {} characters), nor a PCI address "
                    "(0000:03:00.0), nor vdev:DEVICE",
                    option, text, kLongestInterface)};
  }
  return PortSpec{PortKind::kernel, std::string(text), {}};
}

Status check_pair(const PortSpec& wan, const PortSpec& lan) {
  if (wan.kind == lan.kind && wan.name == lan.name)
    return Error{fmt::format("--wan and --lan are both {}: a wire has two ends, name two ports", wan.name)};
  if ((wan.kind == PortKind::kernel) != (lan.kind == PortKind::kernel)) {
    const PortSpec& kernel = wan.kind == PortKind::kernel ? wan : lan;
    const PortSpec& other = wan.kind == PortKind::kernel ? lan : wan;
    return Error{
        fmt::format("{} is a kernel interface and {} is not: the kernel could not close the wire between "
                    "them; give two interfaces or none",
                    kernel.name, other.name)};
  }
  return success();
}

}  // namespace mire::port
