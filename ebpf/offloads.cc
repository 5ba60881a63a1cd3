#include "ebpf/offloads.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "ebpf/fd.h"
#include "ebpf/programs.h"

namespace mire::ebpf {
namespace {

int ethtool(const std::string& port, void* command) {
  const Fd socket{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  ifreq request{};
  port.copy(request.ifr_name, IFNAMSIZ - 1);
  request.ifr_data = static_cast<char*>(command);
  return ::ioctl(socket.get(), SIOCETHTOOL, &request) == 0 ? 0 : errno;
}

// ethtool's structures end in arrays of a length that only the kernel knows.
template <typename Head>
class Sized {
 public:
  Sized(uint32_t command, size_t tail) : words_((sizeof(Head) + tail + 7) / 8) { head()->cmd = command; }
  [[nodiscard]] Head* head() { return reinterpret_cast<Head*>(words_.data()); }

 private:
  std::vector<uint64_t> words_;
};

// Position of every feature, by name; empty where the interface knows none.
std::vector<std::string> feature_names(const std::string& port) {
  Sized<ethtool_sset_info> info(ETHTOOL_GSSET_INFO, sizeof(uint32_t));
  info.head()->sset_mask = 1ull << ETH_SS_FEATURES;
  if (ethtool(port, info.head()) != 0 || info.head()->sset_mask == 0) return {};
  const uint32_t count = info.head()->data[0];
  Sized<ethtool_gstrings> strings(ETHTOOL_GSTRINGS, size_t{count} * ETH_GSTRING_LEN);
  strings.head()->string_set = ETH_SS_FEATURES;
  strings.head()->len = count;
  if (ethtool(port, strings.head()) != 0) return {};
  std::vector<std::string> names(count);
  for (uint32_t i = 0; i < count; ++i) {
    const auto* text = reinterpret_cast<const char*>(strings.head()->data) + size_t{i} * ETH_GSTRING_LEN;
    names[i].assign(text, strnlen(text, ETH_GSTRING_LEN));
  }
  return names;
}

int set(const std::string& port, const std::vector<uint32_t>& positions, size_t count, bool on) {
  const size_t blocks = (count + 31) / 32;
  Sized<ethtool_sfeatures> wanted(ETHTOOL_SFEATURES, blocks * sizeof(ethtool_set_features_block));
  wanted.head()->size = static_cast<uint32_t>(blocks);
  for (const uint32_t at : positions) {
    wanted.head()->features[at / 32].valid |= 1u << at % 32;
    if (on) wanted.head()->features[at / 32].requested |= 1u << at % 32;
  }
  return ethtool(port, wanted.head());
}

std::vector<uint32_t> positions_of(const std::vector<std::string>& wanted, const std::vector<std::string>& names) {
  std::vector<uint32_t> positions;
  for (uint32_t i = 0; i < names.size(); ++i)
    if (std::find(wanted.begin(), wanted.end(), names[i]) != wanted.end()) positions.push_back(i);
  return positions;
}

}  // namespace

Result<std::vector<std::string>> switch_off(const std::string& port, const std::vector<std::string>& names) {
  const auto all = feature_names(port);
  if (all.empty()) return std::vector<std::string>{};
  const size_t blocks = (all.size() + 31) / 32;
  Sized<ethtool_gfeatures> now(ETHTOOL_GFEATURES, blocks * sizeof(ethtool_get_features_block));
  now.head()->size = static_cast<uint32_t>(blocks);
  if (const int error = ethtool(port, now.head()); error != 0) return failure("cannot read offloads of " + port, error);
  std::vector<uint32_t> positions;
  std::vector<std::string> switched;
  for (const uint32_t at : positions_of(names, all)) {
    const auto& block = now.head()->features[at / 32];
    if ((block.active & block.available & ~block.never_changed) >> at % 32 & 1) {
      positions.push_back(at);
      switched.push_back(all[at]);
    }
  }
  if (!positions.empty()) {
    if (const int error = set(port, positions, all.size(), false); error != 0)
      return failure("cannot switch off offloads of " + port, error);
  }
  return switched;
}

Status switch_on(const std::string& port, const std::vector<std::string>& names) {
  const auto all = feature_names(port);
  const auto positions = positions_of(names, all);
  if (positions.empty()) return success();
  if (const int error = set(port, positions, all.size(), true); error != 0)
    return failure("cannot switch on offloads of " + port, error);
  return success();
}

uint32_t receive_queues(const std::string& port) {
  ethtool_channels channels{};
  channels.cmd = ETHTOOL_GCHANNELS;
  if (ethtool(port, &channels) != 0) return 1;
  return std::max(1u, channels.combined_count != 0 ? channels.combined_count : channels.rx_count);
}

}  // namespace mire::ebpf
