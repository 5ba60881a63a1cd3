#include "controlplane/lists/feed_watch.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <cstring>
#include <filesystem>

namespace mire::lists {
namespace {

constexpr uint32_t kEvents = IN_CLOSE_WRITE | IN_MOVED_TO | IN_DELETE | IN_MOVED_FROM | IN_ONLYDIR;

std::string folder_of(const std::string& file) {
  const std::string folder = std::filesystem::path(file).parent_path().string();
  return folder.empty() ? "." : folder;
}

}  // namespace

Time Debounce::due(const Noted& noted) const { return std::min(noted.latest + quiet_, noted.first + most_); }

void Debounce::note(const std::string& name, Time now) {
  const auto [at, fresh] = noted_.try_emplace(name, Noted{now, now});
  if (!fresh) at->second.latest = now;
}

std::vector<std::string> Debounce::take_due(Time now) {
  std::vector<std::string> names;
  std::erase_if(noted_, [&](const auto& item) {
    if (due(item.second) > now) return false;
    names.push_back(item.first);
    return true;
  });
  return names;
}

std::optional<Time> Debounce::next() const {
  std::optional<Time> soonest;
  for (const auto& [name, noted] : noted_)
    if (!soonest || due(noted) < *soonest) soonest = due(noted);
  return soonest;
}

// Without inotify (the user's instances are used up) the minute's look at the stamps is what remains.
FolderWatch::FolderWatch(boost::asio::io_context& io, std::function<void(const std::string&)> changed)
    : changed_(std::move(changed)), inotify_(io) {
  const int fd = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (fd < 0) return;
  inotify_.assign(fd);
  read();
}

FolderWatch::~FolderWatch() = default;

void FolderWatch::watch(const std::set<std::string>& files) {
  if (!inotify_.is_open()) return;
  std::map<std::string, int> folders;
  files_.clear();
  for (const std::string& file : files) {
    const std::string folder = folder_of(file);
    // The same folder again gives the same number, also after it was deleted and made anew.
    const int number = ::inotify_add_watch(inotify_.native_handle(), folder.c_str(), kEvents);
    if (number < 0) continue;
    folders[folder] = number;
    files_[{number, std::filesystem::path(file).filename().string()}].insert(file);
  }
  for (const auto& [folder, number] : folders_)
    if (std::none_of(folders.begin(), folders.end(), [n = number](const auto& f) { return f.second == n; }))
      ::inotify_rm_watch(inotify_.native_handle(), number);
  folders_ = std::move(folders);
}

void FolderWatch::read() {
  inotify_.async_read_some(boost::asio::buffer(buffer_), [this, alive = std::weak_ptr(alive_)](
                                                             const boost::system::error_code& failure, size_t length) {
    if (failure || alive.expired()) return;
    take(buffer_, length);
    read();
  });
}

void FolderWatch::take(const char* events, size_t length) {
  while (length >= sizeof(inotify_event)) {
    inotify_event event;
    std::memcpy(&event, events, sizeof event);
    const char* name = events + sizeof event;
    const size_t whole = sizeof event + event.len;
    if (whole > length) return;
    if ((event.mask & (IN_Q_OVERFLOW | IN_IGNORED)) != 0) {
      changed_({});
    } else if (event.len > 0) {
      const auto found = files_.find({event.wd, std::string(name)});
      if (found != files_.end()) {
        const std::set<std::string> files = found->second;  // who hears may watch others
        for (const std::string& file : files) changed_(file);
      }
    }
    events += whole;
    length -= whole;
  }
}

}  // namespace mire::lists
