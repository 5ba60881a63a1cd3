#include "controlplane/state/state_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

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
constexpr size_t kLargest = 64u << 20;  // more than all servers with the longest greetings

bool write_whole(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    text.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

std::optional<std::string> content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text;
  char part[16384];
  while (file.read(part, sizeof part) || file.gcount() > 0) {
    if (text.size() + static_cast<size_t>(file.gcount()) > kLargest) return {};
    text.append(part, static_cast<size_t>(file.gcount()));
  }
  return text;
}

// The object under `key` within the file's text.
std::optional<json::object> object_of(const std::string& text, int64_t format, const char* key) {
  json::error_code error;
  json::value root = json::parse(text, error);
  json::object* top = error ? nullptr : root.if_object();
  if (top == nullptr) return {};
  const json::value* version = top->if_contains("format");
  json::value* found = top->if_contains(key);
  const bool ours = version != nullptr && version->is_int64() && version->get_int64() == format && found != nullptr;
  if (!ours || !found->is_object()) return {};
  return std::move(found->get_object());
}

}  // namespace

StateFile::StateFile(const std::string& directory, const char* name, const char* what) : path_(directory + "/" + name) {
  struct stat st {};
  if (::stat(directory.c_str(), &st) == 0 && S_ISDIR(st.st_mode) && ::access(directory.c_str(), W_OK) == 0) return;
  notice_ = fmt::format(
      "state {}: no folder that we can write; {} remembered only until mired stops (make it, or name one with --state)",
      directory, what);
  path_.clear();
}

std::optional<json::object> StateFile::load(int64_t format, const char* key) {
  if (path_.empty() || ::access(path_.c_str(), F_OK) != 0) return {};  // the first start
  if (const std::optional<std::string> text = content(path_))
    if (std::optional<json::object> found = object_of(*text, format, key)) return found;
  const std::string aside = path_ + ".unreadable";
  notice_ = ::rename(path_.c_str(), aside.c_str()) == 0
                ? fmt::format("state {}: not readable; moved to {}, beginning anew", path_, aside)
                : fmt::format("state {}: not readable; beginning anew", path_);
  return {};
}

// A new file under another name, then a rename.
void StateFile::save(int64_t format, const char* key, json::object content) {
  if (path_.empty()) return;
  const std::string text = json::serialize(json::object{{"format", format}, {key, std::move(content)}}) + "\n";
  const std::string fresh = path_ + ".new";
  const mailbox::Descriptor file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640));
  if (file.open() && write_whole(file.get(), text) && ::fsync(file.get()) == 0 &&
      ::rename(fresh.c_str(), path_.c_str()) == 0)
    return;
  notice_ = fmt::format("state {}: cannot be written: {}; kept in memory", path_, std::strerror(errno));
}

std::string StateFile::take_notice() { return std::exchange(notice_, {}); }

}  // namespace mire::state
