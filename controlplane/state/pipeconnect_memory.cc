#include "controlplane/state/pipeconnect_memory.h"

#include <boost/json.hpp>
#include <optional>

namespace mire::state {
namespace {

namespace json = boost::json;
constexpr int64_t kFormat = 1;
constexpr const char* kKey = "first_hidden";

}  // namespace

PipeconnectMemory::PipeconnectMemory(const std::string& directory)
    : file_(directory, "pipeconnect.json", "PIPECONNECT is") {
  const std::optional<json::object> servers = file_.load(kFormat, kKey);
  if (!servers) return;
  for (const auto& [name, since] : *servers) {
    const std::optional<wire::Address> server = wire::parse_address(std::string_view(name.data(), name.size()));
    if (server && since.is_int64() && first_hidden_.size() < mailbox::kMaxEarlyHellos)
      first_hidden_[*server] = WallSeconds{std::chrono::seconds{since.get_int64()}};
  }
}

void PipeconnectMemory::save() {
  json::object servers;
  for (const auto& [server, since] : first_hidden_) servers[wire::to_string(server)] = since.time_since_epoch().count();
  file_.save(kFormat, kKey, std::move(servers));
}

bool PipeconnectMemory::remember(const wire::Address& server, WallSeconds now) {
  if (first_hidden_.size() >= mailbox::kMaxEarlyHellos) return false;
  if (!first_hidden_.try_emplace(server, now).second) return false;
  save();
  return true;
}

std::vector<mailbox::EarlyHello> PipeconnectMemory::early_hellos(WallSeconds now) const {
  const std::chrono::seconds whole{mailbox::kEarlyHelloCapSeconds};
  std::vector<mailbox::EarlyHello> out;
  for (const auto& [server, since] : first_hidden_) {
    // Compared before it is subtracted: a number out of a file may be any. A clock that was set back must not lengthen
    // it.
    const bool over = since <= now - whole;
    const auto left = over ? std::chrono::seconds{0} : since >= now ? whole : since + whole - now;
    out.push_back({server, static_cast<uint32_t>(left.count())});
  }
  return out;
}

std::string PipeconnectMemory::take_notice() { return file_.take_notice(); }

}  // namespace mire::state
