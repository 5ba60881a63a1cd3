#include "ebpf/remembered.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "ebpf/fd.h"
#include "ebpf/programs.h"

namespace mire::ebpf {
namespace {

constexpr const char* kFolder = "/run/mire";
constexpr const char* kHeading = "mire-ports 1";

// Names of interfaces repeat from one network namespace to the next, and inode numbers of namespaces from one hour to
// the next: the cookie does not, until the machine starts again and /run is empty.
uint64_t network_namespace() {
  const Fd socket{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  uint64_t cookie = 0;
  socklen_t length = sizeof cookie;
  if (getsockopt(socket.get(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &length) == 0) return cookie;
  struct stat ns {};
  stat("/proc/thread-self/ns/net", &ns);
  return ns.st_ino;
}

std::string path_of(const PortNames& ports) {
  return fmt::format("{}/{}-{}.{}.ports", kFolder, ports.wan, ports.lan, network_namespace());
}

void print_list(std::ostream& out, const char* word, const std::vector<std::string>& list) {
  out << word;
  for (const auto& item : list) out << ' ' << item;
  out << '\n';
}

void print(std::ostream& out, const RememberedPort& port) {
  out << "port " << port.name << ' ' << port.ifindex << ' ' << port.flags_set << ' ' << port.made_clsact << ' '
      << port.silenced_ipv6 << '\n';
  print_list(out, "addresses", port.ipv6_addresses);
  print_list(out, "offloads", port.switched_off);
}

bool parse_list(std::istream& in, const char* word, std::vector<std::string>& list) {
  std::string line, first;
  if (!std::getline(in, line)) return false;
  std::istringstream words(line);
  if (!(words >> first) || first != word) return false;
  for (std::string item; words >> item;) list.push_back(item);
  return true;
}

bool parse(std::istream& in, RememberedPort& port) {
  std::string line, word;
  if (!std::getline(in, line)) return false;
  std::istringstream words(line);
  words >> word >> port.name >> port.ifindex >> port.flags_set >> port.made_clsact >> port.silenced_ipv6;
  return words && word == "port" && parse_list(in, "addresses", port.ipv6_addresses) &&
         parse_list(in, "offloads", port.switched_off);
}

}  // namespace

std::optional<Remembered> Remembered::read(const PortNames& ports) {
  std::ifstream file(path_of(ports));
  std::string heading;
  Remembered before;
  if (!std::getline(file, heading) || heading != kHeading || !parse(file, before.wan) || !parse(file, before.lan))
    return std::nullopt;
  return before;
}

Status Remembered::write(const PortNames& ports) const {
  std::error_code error;
  std::filesystem::create_directories(kFolder, error);
  if (error) return failure(fmt::format("cannot make {}", kFolder), error.value());
  const std::string path = path_of(ports), fresh = path + ".new";
  {
    std::ofstream file(fresh, std::ios::trunc);
    file << kHeading << '\n';
    print(file, wan);
    print(file, lan);
    file.flush();
    if (!file) return failure(fmt::format("cannot write {}", fresh), errno);
  }
  if (std::rename(fresh.c_str(), path.c_str()) != 0) return failure(fmt::format("cannot write {}", path), errno);
  return success();
}

void Remembered::forget(const PortNames& ports) { std::remove(path_of(ports).c_str()); }

}  // namespace mire::ebpf
