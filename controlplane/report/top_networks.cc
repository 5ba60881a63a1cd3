#include "controlplane/report/top_networks.h"

#include <algorithm>

namespace mire::report {

wire::Prefix network_of(const wire::Address& address) noexcept {
  const uint8_t length = address.is_v4() ? 24 : 48;
  return {wire::masked(address, length), length};
}

void TopNetworks::count(const wire::Address& address) {
  const wire::Prefix prefix = network_of(address);
  if (const auto known = networks_.find(prefix.address); known != networks_.end()) {
    ++known->second.count;
    return;
  }
  uint64_t inherited = 0;
  if (networks_.size() >= capacity_) {
    const auto least = std::min_element(networks_.begin(), networks_.end(),
                                        [](const auto& a, const auto& b) { return a.second.count < b.second.count; });
    inherited = least->second.count;
    networks_.erase(least);
  }
  networks_[prefix.address] = {prefix, inherited + 1, inherited};
}

void TopNetworks::put(const Network& n) {
  if (networks_.size() < capacity_) networks_[n.prefix.address] = n;
}

std::vector<Network> TopNetworks::top(size_t n) const {
  std::vector<Network> out;
  for (const auto& [address, network] : networks_) out.push_back(network);
  std::sort(out.begin(), out.end(), [](const Network& a, const Network& b) {
    if (a.count != b.count) return a.count > b.count;
    return a.prefix.address < b.prefix.address;
  });
  if (out.size() > n) out.resize(n);
  return out;
}

}  // namespace mire::report
