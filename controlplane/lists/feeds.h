// feeds.h - feeds in force: read from files, read again when a file changes, merged into class prefixes.
//
// A file that is broken, too large or gone leaves what was read before in force, and says so. The folders are watched
// (inotify), so that a file may be written in place or renamed over; several changes in a short time are one. Once a
// minute each file's stamp is looked at all the same: links and network folders tell inotify nothing. Reading and
// merging run on the worker that is given; everything else on the io_context's thread.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "controlplane/lists/class_prefixes.h"
#include "controlplane/lists/dns.h"
#include "controlplane/lists/feed_text.h"
#include "controlplane/lists/settings.h"

namespace mire::lists {

// Reads a file now, on this thread: for the check before a commit.
[[nodiscard]] Result<FeedContent> load_feed(const Feed&);

struct FeedStatus {
  Feed feed;
  uint64_t entries = 0;
  uint64_t skipped = 0;
  uint64_t reads = 0;
  uint64_t refusals = 0;
  std::string trouble;                                 // why the newest file is not in force; empty: it is
  std::optional<std::chrono::sys_seconds> written_at;  // the file that is in force
};

class Feeds {
 public:
  struct Told {
    std::function<void(const std::vector<PrefixChange>&)> changed;  // on the io_context's thread
    std::function<void(const std::string&)> notice;
  };
  // `worker` may be the io_context's own executor.
  Feeds(boost::asio::io_context&, boost::asio::any_io_executor worker, Clock, Told);
  ~Feeds();
  Feeds(const Feeds&) = delete;
  Feeds& operator=(const Feeds&) = delete;

  // Reads every file anew. Feeds that are gone lose what they said; one whose file cannot be taken keeps what it said.
  void configure(std::vector<Feed>);
  // Lists beside the feeds (class domains), behind them in order; merged with them.
  void set_others(std::vector<NamedList>);

  [[nodiscard]] const ClassPrefixes& merged() const noexcept;
  [[nodiscard]] std::vector<FeedStatus> status() const;
  [[nodiscard]] bool busy() const noexcept;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace mire::lists
