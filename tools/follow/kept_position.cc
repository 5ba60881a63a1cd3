#include "tools/follow/kept_position.h"

#include <boost/json.hpp>

namespace mire::follow {
namespace {

namespace json = boost::json;
constexpr int64_t kFormat = 1;

// Numbers of 64 bits as text: JSON's are signed.
std::optional<uint64_t> number(const json::object& o, json::string_view key) {
  const json::value* v = o.if_contains(key);
  if (v == nullptr || !v->is_string() || v->get_string().empty() || v->get_string().size() > 20) return {};
  uint64_t n = 0;
  for (const char c : v->get_string()) {
    if (c < '0' || c > '9') return {};
    n = n * 10 + static_cast<uint64_t>(c - '0');
  }
  return n;
}

std::string text(const json::object& o, json::string_view key) {
  const json::value* v = o.if_contains(key);
  return v != nullptr && v->is_string() ? std::string(v->get_string()) : std::string{};
}

PostfixLog::Open open_of(const json::object& o) {
  PostfixLog::Open open;
  const json::value* v = o.if_contains("open");
  if (v == nullptr || !v->is_array()) return open;
  for (const json::value& item : v->get_array()) {
    const json::object* one = item.if_object();
    if (one == nullptr) continue;
    const std::optional<wire::Address> address = wire::parse_address(text(*one, "address"));
    const std::optional<uint64_t> port = number(*one, "port");
    if (address && port && *port <= 65'535)
      open.emplace_back(text(*one, "id"), Peer{*address, static_cast<uint16_t>(*port)});
  }
  return open;
}

}  // namespace

KeptPosition::KeptPosition(const std::string& directory, std::string log)
    : file_(directory, "position.json", "the position is"), log_(std::move(log)) {}

std::optional<Kept> KeptPosition::load() {
  const std::optional<json::object> o = file_.load(kFormat, "follow");
  if (!o || text(*o, "log") != log_) return {};
  const auto device = number(*o, "device"), inode = number(*o, "inode"), offset = number(*o, "offset");
  const auto head = number(*o, "head"), head_length = number(*o, "head_length");
  if (!device || !inode || !offset || !head || !head_length || *head_length > *offset) return {};
  return Kept{
      {*device, *inode, *offset, *head, static_cast<uint32_t>(*head_length)}, open_of(*o), text(*o, "last_delivery")};
}

void KeptPosition::save(const Kept& kept) {
  json::array open;
  for (const auto& [id, peer] : kept.open)
    open.push_back(
        json::object{{"id", id}, {"address", wire::to_string(peer.address)}, {"port", std::to_string(peer.port)}});
  file_.save(kFormat, "follow",
             json::object{{"log", log_},
                          {"device", std::to_string(kept.position.device)},
                          {"inode", std::to_string(kept.position.inode)},
                          {"offset", std::to_string(kept.position.offset)},
                          {"head", std::to_string(kept.position.head)},
                          {"head_length", std::to_string(kept.position.head_length)},
                          {"open", std::move(open)},
                          {"last_delivery", kept.last_delivery}});
}

}  // namespace mire::follow
