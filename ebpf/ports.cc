#include "ebpf/ports.h"

#include <fmt/format.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <tuple>

#include "ebpf/fd.h"

namespace mire::ebpf {
namespace {

constexpr const char* kRunFolder = "/run/mire";

Fd control_socket() { return Fd{socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)}; }

ifreq request_for(const std::string& port) {
  ifreq r{};
  std::strncpy(r.ifr_name, port.c_str(), IFNAMSIZ - 1);
  return r;
}

// What is set on a port, each as a number; what a driver does not know stays out.
using Settings = std::map<std::string, uint32_t>;

struct EthtoolFlag {
  const char* name;
  uint32_t get, set;
  uint32_t bit;  // 0: the whole value
};
constexpr EthtoolFlag kOffloads[] = {{"gro", ETHTOOL_GGRO, ETHTOOL_SGRO, 0},
                                     {"lro", ETHTOOL_GFLAGS, ETHTOOL_SFLAGS, ETH_FLAG_LRO},
                                     {"rxvlan", ETHTOOL_GFLAGS, ETHTOOL_SFLAGS, ETH_FLAG_RXVLAN}};

bool ethtool(int fd, const std::string& port, uint32_t command, uint32_t& value) {
  ethtool_value v{command, value};
  ifreq r = request_for(port);
  r.ifr_data = reinterpret_cast<char*>(&v);
  if (ioctl(fd, SIOCETHTOOL, &r) != 0) return false;
  value = v.data;
  return true;
}

bool read_offload(int fd, const std::string& port, const EthtoolFlag& f, bool& on) {
  uint32_t value = 0;
  if (!ethtool(fd, port, f.get, value)) return false;
  on = f.bit == 0 ? value != 0 : (value & f.bit) != 0;
  return true;
}

bool write_offload(int fd, const std::string& port, const EthtoolFlag& f, bool on) {
  uint32_t value = on ? 1 : 0;
  if (f.bit != 0) {
    if (!ethtool(fd, port, f.get, value)) return false;
    value = on ? value | f.bit : value & ~f.bit;
  }
  return ethtool(fd, port, f.set, value);
}

bool read_flags(int fd, const std::string& port, uint32_t& flags) {
  ifreq r = request_for(port);
  if (ioctl(fd, SIOCGIFFLAGS, &r) != 0) return false;
  flags = static_cast<uint16_t>(r.ifr_flags);
  return true;
}

bool write_flag(int fd, const std::string& port, uint32_t flag, bool on) {
  ifreq r = request_for(port);
  if (ioctl(fd, SIOCGIFFLAGS, &r) != 0) return false;
  r.ifr_flags =
      static_cast<short>(on ? r.ifr_flags | static_cast<short>(flag) : r.ifr_flags & ~static_cast<short>(flag));
  return ioctl(fd, SIOCSIFFLAGS, &r) == 0;
}

std::string ipv6_switch(const std::string& port) {
  return fmt::format("/proc/sys/net/ipv6/conf/{}/disable_ipv6", port);
}

Settings current(int fd, const std::string& port) {
  Settings s;
  uint32_t flags = 0;
  if (read_flags(fd, port, flags)) {
    s["up"] = (flags & IFF_UP) != 0;
    s["promisc"] = (flags & IFF_PROMISC) != 0;
  }
  for (const auto& f : kOffloads) {
    bool on = false;
    if (read_offload(fd, port, f, on)) s[f.name] = on;
  }
  if (std::ifstream in{ipv6_switch(port)}; in) in >> s["disable_ipv6"];
  return s;
}

// Port settings as they should be; an error names the first that the port refuses and cannot work without.
Status apply(int fd, const std::string& port, const Settings& want) {
  for (const auto& [name, value] : want) {
    if (name == "disable_ipv6") {
      if (std::ofstream out{ipv6_switch(port)}; out) out << value;
      continue;
    }
    if (name == "up" || name == "promisc") {
      if (!write_flag(fd, port, name == "up" ? IFF_UP : IFF_PROMISC, value != 0))
        return Error{fmt::format("{}: cannot set {} {}: {}{}", port, name, value != 0 ? "on" : "off",
                                 std::strerror(errno), errno == EPERM ? "; run as root (CAP_NET_ADMIN)" : "")};
      continue;
    }
    for (const auto& f : kOffloads) {
      bool on = false;
      if (name != f.name || !read_offload(fd, port, f, on) || on == (value != 0)) continue;
      if (!write_offload(fd, port, f, value != 0))
        return Error{fmt::format("{}: cannot switch {} {}: {}; ethtool -k {} tells whether it is fixed", port, name,
                                 value != 0 ? "on" : "off", std::strerror(errno), port)};
    }
  }
  return success();
}

std::string memory_of(const PortNames& ports) {
  struct stat ns {};
  const auto inode = stat("/proc/self/ns/net", &ns) == 0 ? static_cast<uint64_t>(ns.st_ino) : 0;
  return fmt::format("{}/{}-{}-{}.ports", kRunFolder, inode, ports.wan, ports.lan);
}

// What the ports were before prepare_ports, by side; empty if nothing is remembered.
std::map<std::string, Settings> remembered(const PortNames& ports) {
  std::map<std::string, Settings> before;
  std::ifstream in{memory_of(ports)};
  std::string side, name;
  for (uint32_t value = 0; in >> side >> name >> value;) before[side][name] = value;
  return before;
}

}  // namespace

Result<PortFacts> port_facts(const std::string& port) {
  PortFacts facts;
  facts.ifindex = if_nametoindex(port.c_str());
  if (port.empty() || port.size() >= IFNAMSIZ || facts.ifindex == 0)
    return Error{fmt::format("{}: no such interface here; ip link shows what there is", port)};
  const Fd fd = control_socket();
  ifreq r = request_for(port);
  if (ioctl(fd.get(), SIOCGIFMTU, &r) == 0) facts.mtu = static_cast<uint32_t>(r.ifr_mtu);
  uint32_t flags = 0;
  if (read_flags(fd.get(), port, flags)) facts.up = (flags & IFF_UP) != 0;
  r = request_for(port);
  if (ioctl(fd.get(), SIOCGIFHWADDR, &r) == 0) facts.ethernet = r.ifr_hwaddr.sa_family == ARPHRD_ETHER;
  ethtool_channels channels{};
  channels.cmd = ETHTOOL_GCHANNELS;
  r = request_for(port);
  r.ifr_data = reinterpret_cast<char*>(&channels);
  if (ioctl(fd.get(), SIOCETHTOOL, &r) == 0)
    facts.receive_queues = std::max(1u, std::max(channels.combined_count, channels.rx_count));
  return facts;
}

Status check_ports(const PortNames& ports) {
  if (ports.wan == ports.lan)
    return Error{fmt::format("wan and lan are both {}; a wire has two ends: name two interfaces", ports.wan)};
  for (const std::string* port : {&ports.wan, &ports.lan}) {
    const auto facts = port_facts(*port);
    if (!facts) return Error{facts.error()};
    if (!facts->ethernet) return Error{fmt::format("{} is no Ethernet interface; name one that is", *port)};
  }
  return success();
}

Status prepare_ports(const PortNames& ports, MadeQdisc made) {
  if (auto s = check_ports(ports); !s) return s;
  const Fd fd = control_socket();
  const std::string file = memory_of(ports);
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) {
    std::filesystem::create_directories(kRunFolder, ignored);
    std::ofstream out{file + ".new"};
    for (const auto& [side, port, qdisc] : {std::tuple{"wan", &ports.wan, made.wan}, {"lan", &ports.lan, made.lan}}) {
      for (const auto& [name, value] : current(fd.get(), *port)) out << side << ' ' << name << ' ' << value << '\n';
      out << side << " clsact " << (qdisc ? 1 : 0) << '\n';
    }
    out.close();
    if (!out)
      return Error{
          fmt::format("{}: cannot be written, and without it the ports could not be put back; run as root", file)};
    std::filesystem::rename(file + ".new", file, ignored);
  }
  const Settings want = {{"up", 1}, {"promisc", 1}, {"gro", 0}, {"lro", 0}, {"rxvlan", 0}, {"disable_ipv6", 1}};
  for (const std::string* port : {&ports.wan, &ports.lan})
    if (auto s = apply(fd.get(), *port, want); !s) return s;
  return success();
}

MadeQdisc remembered_qdiscs(const PortNames& ports) {
  auto before = remembered(ports);
  return {before["wan"]["clsact"] != 0, before["lan"]["clsact"] != 0};
}

Status restore_ports(const PortNames& ports) {
  auto before = remembered(ports);
  if (before.empty()) return success();
  const Fd fd = control_socket();
  for (const auto& [which, port] : {std::pair{"wan", &ports.wan}, {"lan", &ports.lan}}) {
    if (if_nametoindex(port->c_str()) == 0) continue;
    // "up" last, so that a port that was down ends down.
    Settings first = before[which];
    first.erase("clsact");
    const auto up = first.extract("up");
    if (auto s = apply(fd.get(), *port, first); !s) return s;
    if (!up.empty())
      if (auto s = apply(fd.get(), *port, {{"up", up.mapped()}}); !s) return s;
  }
  std::error_code ignored;
  std::filesystem::remove(memory_of(ports), ignored);
  return success();
}

}  // namespace mire::ebpf
