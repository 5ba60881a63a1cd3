#include "dataplane/options.h"

#include <fmt/format.h>

#include <charconv>

#include "dataplane/mailbox/layout.h"

namespace mire {
namespace {

constexpr uint32_t kFewestFlows = 64, kMostFlows = 100'000'000;

Result<uint64_t> number(const std::string& option, const std::string& text, uint64_t least, uint64_t most) {
  uint64_t n = 0;
  const char* end = text.data() + text.size();
  const auto [at, bad] = std::from_chars(text.data(), end, n);
  if (bad != std::errc{} || at != end || n < least || n > most)
    return Error{fmt::format("{} {}: give a number from {} to {}", option, text, least, most)};
  return n;
}

}  // namespace

const char* usage() noexcept {
  return "mire-dataplane --wan PORT --lan PORT [options]\n"
         "\n"
         "The wire between two ports, with a tarpit for SMTP on it.\n"
         "\n"
         "  --wan PORT, --lan PORT  an interface (eth1), a PCI address (0000:03:00.0) or vdev:DEVICE[,ARGUMENTS]\n"
         "  --socket PATH           where mired finds it (default /run/mire/dataplane.sock)\n"
         "  --lcores N              queue pairs and threads (default: one for each receive queue)\n"
         "  --flows N               IPv4 flows to keep, of all lcores together (default 1048576)\n"
         "  --seed N                hash keys and random holds; the same seed gives the same holds (default: random)\n"
         "  --file-prefix P         names the telemetry: dpdk-telemetry.py -f P (default mire-PID)\n"
         "  --no-huge               do not look for hugepages\n"
         "  --vdev DEVICE           one more DPDK device, that a port refers to; may be repeated\n"
         "  --help, --version\n";
}

Result<Options> parse_options(const std::vector<std::string>& words) {
  Options options;
  options.socket = mailbox::kDefaultSocket;
  std::optional<std::string> wan, lan;
  for (size_t i = 0; i < words.size(); ++i) {
    std::string option = words[i];
    if (option == "--help" || option == "-h") {
      options.help = true;
      return options;
    }
    if (option == "--version") {
      options.version = true;
      return options;
    }
    if (option == "--no-huge") {
      options.no_huge = true;
      continue;
    }
    std::string value;
    bool given = false;
    if (const size_t equals = option.find('='); option.starts_with("--") && equals != std::string::npos) {
      value = option.substr(equals + 1);
      option.resize(equals);
      given = true;
    }
    const bool known = option == "--wan" || option == "--lan" || option == "--socket" || option == "--lcores" ||
                       option == "--flows" || option == "--seed" || option == "--file-prefix" || option == "--vdev";
    if (!known)
      return Error{fmt::format("unknown option {}: mire-dataplane --help shows those that there are", option)};
    if (!given) {
      if (i + 1 == words.size()) return Error{fmt::format("{} needs a value", option)};
      value = words[++i];
    }
    if (option == "--wan") {
      wan = value;
    } else if (option == "--lan") {
      lan = value;
    } else if (option == "--socket") {
      options.socket = value;
    } else if (option == "--file-prefix") {
      if (value.empty() || value.size() > 63 || value.find('/') != std::string::npos)
        return Error{fmt::format("--file-prefix {}: give 1 to 63 characters without a slash", value)};
      options.file_prefix = value;
    } else if (option == "--vdev") {
      if (!value.starts_with("net_")) return Error{fmt::format("--vdev {}: a device begins with net_", value)};
      options.vdevs.push_back(value);
    } else {
      const bool lcores = option == "--lcores", flows = option == "--flows";
      auto n = number(option, value,
                      lcores  ? 1
                      : flows ? kFewestFlows
                              : 0,
                      lcores  ? mailbox::kMaxLcores
                      : flows ? kMostFlows
                              : ~uint64_t{0});
      if (!n) return Error{n.error()};
      if (lcores) {
        options.lcores = static_cast<unsigned>(*n);
      } else if (flows) {
        options.flows = static_cast<uint32_t>(*n);
      } else {
        options.seed = *n;
      }
    }
  }
  if (!wan || !lan)
    return Error{
        fmt::format("{} is missing: name both ports of the wire, --wan PORT --lan PORT", !wan ? "--wan" : "--lan")};
  auto wan_port = port::parse_port("--wan", *wan);
  if (!wan_port) return Error{wan_port.error()};
  auto lan_port = port::parse_port("--lan", *lan);
  if (!lan_port) return Error{lan_port.error()};
  options.wan = std::move(wan_port).value();
  options.lan = std::move(lan_port).value();
  if (auto s = port::check_pair(options.wan, options.lan); !s) return Error{s.error()};
  return options;
}

}  // namespace mire
