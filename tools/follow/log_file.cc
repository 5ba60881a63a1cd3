#include "tools/follow/log_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

namespace mire::follow {
namespace {

constexpr uint32_t kHead = 256;
constexpr size_t kPiece = 65'536;

// FNV-1a: the same in every run.
uint64_t head_of(int fd, uint32_t length) {
  char bytes[kHead];
  const ssize_t n = ::pread(fd, bytes, std::min(length, kHead), 0);
  if (n != static_cast<ssize_t>(std::min(length, kHead))) return 0;
  uint64_t hash = 0xcbf29ce484222325u;
  for (ssize_t i = 0; i < n; ++i) hash = (hash ^ static_cast<uint8_t>(bytes[i])) * 0x100000001b3u;
  return hash;
}

}  // namespace

bool LogFile::open(const std::string& path, uint64_t offset) {
  mailbox::Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat st {};
  if (!file.open() || ::fstat(file.get(), &st) != 0 || !S_ISREG(st.st_mode)) return false;
  file_ = std::move(file);
  read_to_ = offset;
  buffer_.clear();
  taken_ = 0;
  skipping_ = false;
  return true;
}

// True if this is the file of that position, perhaps copied.
bool LogFile::resume(const std::string& path, const Position& position) {
  if (!open(path, position.offset)) return false;
  struct stat st {};
  if (::fstat(file_.get(), &st) == 0 && static_cast<uint64_t>(st.st_size) >= position.offset &&
      head_of(file_.get(), position.head_length) == position.head)
    return true;
  file_.close();
  return false;
}

void LogFile::begin(const std::optional<Position>& position, bool from_start) {
  struct stat st {};
  if (!position) {
    const bool there = ::stat(path_.c_str(), &st) == 0;
    (void)open(path_, there && !from_start ? static_cast<uint64_t>(st.st_size) : 0);
    return;
  }
  if (resume(path_, *position)) return;
  const std::filesystem::path path(path_);
  const std::string name = path.filename().string();
  std::error_code none;
  for (const auto& entry :
       std::filesystem::directory_iterator(path.has_parent_path() ? path.parent_path() : ".", none)) {
    if (!entry.path().filename().string().starts_with(name) || ::stat(entry.path().c_str(), &st) != 0) continue;
    if (st.st_ino == position->inode && st.st_dev == position->device && resume(entry.path().string(), *position))
      return;
  }
  notices_.push_back(fmt::format(
      "{}: the file that was followed is gone; beginning with what is there now (logrotate's delaycompress keeps it)",
      path_));
  (void)open(path_, 0);
}

bool LogFile::next(std::string& line) {
  for (;;) {
    if (!file_.open() && !open(path_, 0)) {
      if (!std::exchange(said_missing_, true))
        notices_.push_back(fmt::format("{}: cannot be read; waiting for it", path_));
      return false;
    }
    said_missing_ = false;
    if (take_line(line)) return true;
    if (!read_more() && !at_the_end()) return false;
  }
}

bool LogFile::take_line(std::string& line) {
  for (;;) {
    const size_t end = buffer_.find('\n', taken_);
    if (end == std::string::npos) {
      if (buffer_.size() - taken_ <= kLongestLine) return false;
      taken_ = buffer_.size();
      skipping_ = true;
      return false;
    }
    const size_t begin = std::exchange(taken_, end + 1);
    if (std::exchange(skipping_, false) || end - begin > kLongestLine) {
      ++too_long_;
      continue;
    }
    line.assign(buffer_, begin, end - begin);
    return true;
  }
}

bool LogFile::read_more() {
  buffer_.erase(0, std::exchange(taken_, 0));
  const size_t had = buffer_.size();
  buffer_.resize(had + kPiece);
  ssize_t n;
  do n = ::pread(file_.get(), buffer_.data() + had, kPiece, static_cast<off_t>(read_to_));
  while (n < 0 && errno == EINTR);
  buffer_.resize(had + static_cast<size_t>(std::max<ssize_t>(n, 0)));
  if (n < 0) notices_.push_back(fmt::format("{}: {}", path_, std::strerror(errno)));
  if (n <= 0) return false;
  read_to_ += static_cast<uint64_t>(n);
  return true;
}

// True: there is more to read after all, from another file or from the beginning.
bool LogFile::at_the_end() {
  struct stat now {
  }, ours{};
  if (::fstat(file_.get(), &ours) != 0) return false;
  if (static_cast<uint64_t>(ours.st_size) < read_to_) {
    notices_.push_back(fmt::format("{}: truncated; reading from its beginning", path_));
    return open(path_, 0);
  }
  if (::stat(path_.c_str(), &now) != 0 || (now.st_ino == ours.st_ino && now.st_dev == ours.st_dev)) return false;
  // The writer may still hold the old file: it has left it when something is in the new one.
  if (now.st_size == 0 || static_cast<uint64_t>(ours.st_size) > read_to_) return false;
  return open(path_, 0);
}

Position LogFile::position() const {
  Position position;
  struct stat st {};
  if (!file_.open() || ::fstat(file_.get(), &st) != 0) return position;
  position.device = st.st_dev;
  position.inode = st.st_ino;
  position.offset = read_to_ - (buffer_.size() - taken_);
  position.head_length = static_cast<uint32_t>(std::min<uint64_t>(position.offset, kHead));
  position.head = head_of(file_.get(), position.head_length);
  return position;
}

}  // namespace mire::follow
