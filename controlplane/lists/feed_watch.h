// feed_watch.h - tells which files have changed: inotify on their folders, many changes in a short time told as one.
//
// A folder rather than a file is watched: editors and downloaders write beside the file and rename over it. Refuses to
// know what is in the files.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "dataplane/base/time.h"

namespace mire::lists {

// A name is due when it was quiet for `quiet`, or `most` after it was first noted. Pure.
class Debounce {
 public:
  Debounce(Duration quiet, Duration most) noexcept : quiet_(quiet), most_(most) {}
  void note(const std::string& name, Time now);
  [[nodiscard]] std::vector<std::string> take_due(Time now);
  [[nodiscard]] std::optional<Time> next() const;

 private:
  struct Noted {
    Time first;
    Time latest;
  };
  [[nodiscard]] Time due(const Noted&) const;
  Duration quiet_;
  Duration most_;
  std::map<std::string, Noted> noted_;
};

class FolderWatch {
 public:
  // `changed` hears the path of a file as it was given to watch(); an empty one: something was missed, look at all.
  FolderWatch(boost::asio::io_context&, std::function<void(const std::string&)> changed);
  ~FolderWatch();
  FolderWatch(const FolderWatch&) = delete;
  FolderWatch& operator=(const FolderWatch&) = delete;

  // From now on these files and no others. Folders that are not there are tried again by the next call.
  void watch(const std::set<std::string>& files);

 private:
  void read();
  void take(const char* events, size_t length);

  std::function<void(const std::string&)> changed_;
  boost::asio::posix::stream_descriptor inotify_;
  std::map<std::string, int> folders_;                                  // folder -> watch
  std::map<std::pair<int, std::string>, std::set<std::string>> files_;  // (watch, name in it) -> as given
  alignas(8) char buffer_[4096];
  std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);  // for a handler that is queued already
};

}  // namespace mire::lists
