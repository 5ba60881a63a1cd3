#include "controlplane/state/profile_memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>
#include <limits>
#include <optional>
#include <string_view>

#include "dataplane/smtp/greeting.h"

namespace mire::state {
namespace {

namespace json = boost::json;
constexpr int64_t kFormat = 1;
constexpr const char* kKey = "profiles";
constexpr std::string_view kVlan = " vlan ";

bool is_greeting(std::string_view text) {
  const auto scan = smtp::scan_greeting({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
  return scan.result == smtp::GreetingResult::ready && scan.end == text.size();
}

// Bytes as a person may read them in the file: what is not printable is \xNN.
std::string escaped(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f && c != '\\')
      out += c;
    else
      out += fmt::format("\\x{:02x}", byte);
  }
  return out;
}

std::optional<std::string> unescaped(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      out += text[i];
      continue;
    }
    unsigned byte = 0;
    if (text.size() - i < 4 || text[i + 1] != 'x') return {};
    const char* end = text.data() + i + 4;
    if (const auto read = std::from_chars(end - 2, end, byte, 16); read.ptr != end || read.ec != std::errc{}) return {};
    out += static_cast<char>(byte);
    i += 3;
  }
  return out;
}

std::string name_of(const wire::Address& server, uint64_t vlan) {
  return vlan == 0 ? wire::to_string(server) : fmt::format("{}{}{:x}", wire::to_string(server), kVlan, vlan);
}

std::optional<std::pair<wire::Address, uint64_t>> read_name(std::string_view name) {
  const size_t at = name.find(kVlan);
  uint64_t vlan = 0;
  if (at != std::string_view::npos) {
    const std::string_view number = name.substr(at + kVlan.size());
    const char* end = number.data() + number.size();
    if (const auto read = std::from_chars(number.data(), end, vlan, 16); read.ptr != end || read.ec != std::errc{})
      return {};
  }
  const std::optional<wire::Address> server = wire::parse_address(name.substr(0, at));
  if (!server) return {};
  return std::pair{*server, vlan};
}

// Reads an entry and remembers whether all of it was there and in its range.
class Entry {
 public:
  explicit Entry(const json::object& o) : object_(o) {}
  template <typename T>
  T number(const char* key, int64_t low, int64_t high) {
    const json::value* v = object_.if_contains(key);
    if (v != nullptr && v->is_int64() && v->get_int64() >= low && v->get_int64() <= high)
      return static_cast<T>(v->get_int64());
    sound_ = false;
    return {};
  }
  bool flag(const char* key) {
    const json::value* v = object_.if_contains(key);
    if (v != nullptr && v->is_bool()) return v->get_bool();
    sound_ = false;
    return false;
  }
  std::string bytes(const char* key) {
    const json::value* v = object_.if_contains(key);
    if (v != nullptr && v->is_string())
      if (auto read = unescaped(v->get_string())) return std::move(*read);
    sound_ = false;
    return {};
  }
  [[nodiscard]] bool has(const char* key) const { return object_.contains(key); }
  [[nodiscard]] bool sound() const noexcept { return sound_; }

 private:
  const json::object& object_;
  bool sound_ = true;
};

}  // namespace

ProfileMemory::ProfileMemory(const std::string& directory, size_t most)
    : most_(most), file_(directory, "profiles.json", "servers' greetings are") {
  load();
}

void ProfileMemory::load() {
  const std::optional<json::object> servers = file_.load(kFormat, kKey);
  if (!servers) return;
  for (const auto& [name, value] : *servers) {
    const auto key = read_name(std::string_view(name.data(), name.size()));
    if (!key || !value.is_object() || kept_.size() >= most_) continue;
    Entry e(value.get_object());
    Kept k;
    k.offer.mss = e.number<uint16_t>("mss", 0, UINT16_MAX);
    k.offer.window = e.number<uint16_t>("window", 0, UINT16_MAX);
    k.offer.has_window_scale = e.has("window_scale");
    if (k.offer.has_window_scale) k.offer.window_scale = e.number<uint8_t>("window_scale", 0, wire::kMostWindowScale);
    k.offer.sack = e.flag("sack");
    k.offer.timestamps = e.flag("timestamps");
    k.largest_segment = e.number<uint16_t>("largest_segment", 1, UINT16_MAX);
    k.greeting = e.bytes("greeting");
    k.told = e.number<int64_t>("told", 0, std::numeric_limits<int64_t>::max());
    if (e.sound() && k.greeting.size() <= mailbox::kMaxGreeting && is_greeting(k.greeting)) kept_[*key] = std::move(k);
  }
}

bool ProfileMemory::remember(const mailbox::Profile& p, std::chrono::sys_seconds now) {
  std::optional<std::string> greeting = coming_.take(p);
  if (!greeting || !is_greeting(*greeting)) return false;
  const Key key{p.server, p.vlan};
  const auto old = kept_.find(key);
  if (old == kept_.end() && kept_.size() >= most_)
    kept_.erase(std::min_element(kept_.begin(), kept_.end(),
                                 [](const auto& a, const auto& b) { return a.second.told < b.second.told; }));
  Kept& k = kept_[key];
  const bool same = k.offer == p.offer && k.largest_segment == p.largest_segment && k.greeting == *greeting;
  k = {p.offer, p.largest_segment, std::move(*greeting), std::max<int64_t>(now.time_since_epoch().count(), 0)};
  unsaved_ = unsaved_ || !same;
  return !same;
}

void ProfileMemory::save() {
  if (!std::exchange(unsaved_, false)) return;
  json::object servers;
  for (const auto& [key, k] : kept_) {
    json::object o{{"mss", k.offer.mss},
                   {"window", k.offer.window},
                   {"sack", k.offer.sack},
                   {"timestamps", k.offer.timestamps},
                   {"largest_segment", k.largest_segment},
                   {"greeting", escaped(k.greeting)},
                   {"told", k.told}};
    if (k.offer.has_window_scale) o["window_scale"] = k.offer.window_scale;
    servers[name_of(key.first, key.second)] = std::move(o);
  }
  file_.save(kFormat, kKey, std::move(servers));
}

std::vector<mailbox::Profile> ProfileMemory::profiles() const {
  std::vector<mailbox::Profile> out;
  for (const auto& [key, k] : kept_)
    for (size_t at = 0; at < k.greeting.size(); at += mailbox::kPieceBytes)
      out.push_back({key.first, key.second, k.offer, k.largest_segment, mailbox::piece_of(k.greeting, at)});
  return out;
}

}  // namespace mire::state
