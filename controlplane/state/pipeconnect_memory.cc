#include "controlplane/state/pipeconnect_memory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <utility>

#include "dataplane/mailbox/unix_socket.h"

namespace mire::state {
namespace {

namespace json = boost::json;
constexpr int64_t kFormat = 1;

bool write_whole(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    text.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

// The map of servers within the file's text; nullptr if it is not such a file.
const json::object* servers_of(const json::value& root) {
  const json::object* top = root.if_object();
  if (top == nullptr) return nullptr;
  const json::value* format = top->if_contains("format");
  const json::value* servers = top->if_contains("first_hidden");
  const bool ours = format != nullptr && format->is_int64() && format->get_int64() == kFormat && servers != nullptr;
  return ours ? servers->if_object() : nullptr;
}

}  // namespace

PipeconnectMemory::PipeconnectMemory(const std::string& directory) : path_(directory + "/pipeconnect.json") {
  struct stat st {};
  if (::stat(directory.c_str(), &st) == 0 && S_ISDIR(st.st_mode) && ::access(directory.c_str(), W_OK) == 0) {
    load();
    return;
  }
  notice_ = fmt::format(
      "state {}: no folder that we can write; PIPECONNECT is remembered only until mired stops (make it, or name one "
      "with --state)",
      directory);
  path_.clear();
}

void PipeconnectMemory::load() {
  std::ifstream file(path_);
  if (!file) return;  // the first start
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  json::error_code error;
  const json::value root = json::parse(text, error);
  const json::object* servers = error ? nullptr : servers_of(root);
  if (servers == nullptr) {
    const std::string aside = path_ + ".unreadable";
    notice_ = ::rename(path_.c_str(), aside.c_str()) == 0
                  ? fmt::format("state {}: not readable; moved to {}, beginning anew", path_, aside)
                  : fmt::format("state {}: not readable; beginning anew", path_);
    return;
  }
  for (const auto& [name, since] : *servers) {
    const std::optional<wire::Address> server = wire::parse_address(std::string_view(name.data(), name.size()));
    if (server && since.is_int64() && first_hidden_.size() < mailbox::kMaxEarlyHellos)
      first_hidden_[*server] = WallSeconds{std::chrono::seconds{since.get_int64()}};
  }
}

// A new file under another name, then a rename: whoever reads sees the old one or the new one, whole.
void PipeconnectMemory::save() {
  if (path_.empty()) return;
  json::object servers;
  for (const auto& [server, since] : first_hidden_) servers[wire::to_string(server)] = since.time_since_epoch().count();
  const std::string text =
      json::serialize(json::object{{"format", kFormat}, {"first_hidden", std::move(servers)}}) + "\n";
  const std::string fresh = path_ + ".new";
  const mailbox::Descriptor file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640));
  if (file.open() && write_whole(file.get(), text) && ::fsync(file.get()) == 0 &&
      ::rename(fresh.c_str(), path_.c_str()) == 0)
    return;
  notice_ = fmt::format("state {}: cannot be written: {}; kept in memory", path_, std::strerror(errno));
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

std::string PipeconnectMemory::take_notice() { return std::exchange(notice_, {}); }

}  // namespace mire::state
