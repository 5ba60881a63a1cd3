#include "ebpf/ipv6_silence.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/if_addr.h>
#include <linux/ipv6.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <sstream>

#include "ebpf/fd.h"
#include "ebpf/programs.h"

namespace mire::ebpf {
namespace {

std::string switch_of(const std::string& port) { return fmt::format("/proc/sys/net/ipv6/conf/{}/disable_ipv6", port); }

constexpr unsigned kLinkScope = 0x20;  // the kernel makes these itself

// Permanent addresses beyond the link, from /proc/net/if_inet6: address, ifindex, length, scope, flags, name.
std::vector<std::string> given_addresses(const std::string& port) {
  std::vector<std::string> found;
  std::ifstream list("/proc/thread-self/net/if_inet6");
  for (std::string line; std::getline(list, line);) {
    std::istringstream words(line);
    std::string hex, name;
    unsigned ifindex = 0, length = 0, scope = 0, flags = 0;
    words >> hex >> std::hex >> ifindex >> length >> scope >> flags >> name;
    if (!words || name != port || hex.size() != 32 || scope == kLinkScope || (flags & IFA_F_PERMANENT) == 0) continue;
    in6_addr address{};
    for (size_t i = 0; i < 16; ++i) std::from_chars(hex.data() + 2 * i, hex.data() + 2 * i + 2, address.s6_addr[i], 16);
    std::array<char, INET6_ADDRSTRLEN> text{};
    inet_ntop(AF_INET6, &address, text.data(), text.size());
    found.push_back(fmt::format("{}/{}", text.data(), length));
  }
  return found;
}

Status write_switch(const std::string& port, const char* value) {
  std::ofstream file(switch_of(port));
  file << value << std::flush;
  if (!file) return failure(fmt::format("cannot write {}", switch_of(port)), errno);
  return success();
}

}  // namespace

Result<Silenced> silence_ipv6(const std::string& port) {
  std::ifstream file(switch_of(port));
  std::string value;
  if (!(file >> value) || value != "0") return Silenced{};  // silent already, or a kernel without IPv6
  Silenced silenced{true, given_addresses(port)};
  if (auto written = write_switch(port, "1"); !written) return Error{written.error()};
  return silenced;
}

Status unsilence_ipv6(const std::string& port, const std::vector<std::string>& addresses) {
  if (auto written = write_switch(port, "0"); !written) return written;
  const Fd socket{::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  for (const auto& text : addresses) {
    const auto slash = text.find('/');
    in6_ifreq request{};
    request.ifr6_ifindex = static_cast<int>(if_nametoindex(port.c_str()));
    if (slash == std::string::npos || inet_pton(AF_INET6, text.substr(0, slash).c_str(), &request.ifr6_addr) != 1)
      continue;
    std::from_chars(text.data() + slash + 1, text.data() + text.size(), request.ifr6_prefixlen);
    if (ioctl(socket.get(), SIOCSIFADDR, &request) != 0 && errno != EEXIST)
      return failure(fmt::format("cannot give {} its address {} back", port, text), errno);
  }
  return success();
}

}  // namespace mire::ebpf
