#include "controlplane/lists/feeds.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <cstring>
#include <utility>

#include "controlplane/lists/feed_watch.h"

namespace mire::lists {
namespace {

namespace asio = boost::asio;

constexpr Duration kQuiet = milliseconds{300};
constexpr Duration kMost = seconds{5};
constexpr Duration kLook = seconds{60};  // at the stamps of all files

// Tells one content of a file from another, nearly always.
struct Stamp {
  dev_t device = 0;
  ino_t inode = 0;
  off_t size = -1;
  int64_t written_ns = 0;
  friend bool operator==(const Stamp&, const Stamp&) = default;
};

Stamp stamp_of(const struct stat& st) {
  return {st.st_dev, st.st_ino, st.st_size, int64_t{st.st_mtim.tv_sec} * 1'000'000'000 + st.st_mtim.tv_nsec};
}

Stamp stamp_of(const std::string& file) {
  struct stat st {};
  return ::stat(file.c_str(), &st) == 0 ? stamp_of(st) : Stamp{};
}

struct Read {
  Stamp stamp;
  Result<FeedContent> content;
};

struct File {
  explicit File(const std::string& path) : fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
  ~File() {
    if (fd >= 0) ::close(fd);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int fd;
};

Error unreadable(const Feed& feed, std::string_view why) {
  return Error{fmt::format("{}: {}; the feed's old content stays", feed.file, why)};
}

Read read_feed(const Feed& feed) {
  const File file(feed.file);
  struct stat st {};
  if (file.fd < 0 || ::fstat(file.fd, &st) != 0) return {Stamp{}, unreadable(feed, std::strerror(errno))};
  const Stamp stamp = stamp_of(st);
  if (!S_ISREG(st.st_mode)) return {stamp, unreadable(feed, "not a regular file")};
  if (static_cast<uint64_t>(st.st_size) > kLargestFeed)
    return {stamp, unreadable(feed, fmt::format("larger than {} MB", kLargestFeed >> 20))};
  std::string text;
  text.reserve(static_cast<size_t>(st.st_size) + 1);
  char part[65'536];
  for (;;) {
    const ssize_t n = ::read(file.fd, part, sizeof part);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return {stamp, unreadable(feed, std::strerror(errno))};
    if (n == 0) break;
    text.append(part, static_cast<size_t>(n));
    if (text.size() > kLargestFeed) return {stamp, unreadable(feed, "it grew while it was read")};
  }
  return {stamp, parse_feed(text, feed.file, feed.format)};
}

using Prefixes = std::shared_ptr<const std::vector<wire::Prefix>>;

}  // namespace

Result<FeedContent> load_feed(const Feed& feed) { return read_feed(feed).content; }

struct Feeds::State : std::enable_shared_from_this<Feeds::State> {
  struct Entry {
    FeedStatus status;
    Prefixes prefixes;
    Stamp stamp;  // of the newest attempt
    bool to_read = true;
  };
  struct Job {  // what goes to the worker and comes back
    std::vector<std::pair<size_t, Feed>> to_read;
    std::vector<NamedList> lists;
    std::shared_ptr<const ClassPrefixes> old;
    uint64_t generation = 0;
    std::vector<std::pair<size_t, Read>> read;
    std::vector<Prefixes> taken;  // beside `read`; null: refused
    std::shared_ptr<const ClassPrefixes> merged;
    std::vector<PrefixChange> changes;
  };

  State(asio::io_context& io_context, asio::any_io_executor the_worker, Clock the_clock, Told the_told)
      : io(io_context),
        worker(std::move(the_worker)),
        clock(std::move(the_clock)),
        told(std::move(the_told)),
        debounce_timer(io),
        look_timer(io),
        watch(io, [this](const std::string& file) { changed(file); }) {}

  asio::io_context& io;
  asio::any_io_executor worker;
  Clock clock;
  Told told;
  asio::steady_timer debounce_timer;
  asio::steady_timer look_timer;
  Debounce debounce{kQuiet, kMost};
  FolderWatch watch;
  std::vector<Entry> entries;
  std::vector<NamedList> others;
  std::shared_ptr<const ClassPrefixes> merged = std::make_shared<const ClassPrefixes>();
  uint64_t generation = 0;  // of `entries`
  bool to_merge = false;
  bool busy = false;

  void configure(std::vector<Feed> feeds);
  void changed(const std::string& file);
  void wait_for_quiet();
  void look_again();
  void start();
  static void work(Job&);
  void finish(Job&);
  void take(Entry&, Read, Prefixes);
};

Feeds::Feeds(asio::io_context& io, asio::any_io_executor worker, Clock clock, Told told)
    : state_(std::make_shared<State>(io, std::move(worker), std::move(clock), std::move(told))) {}

Feeds::~Feeds() {
  state_->debounce_timer.cancel();
  state_->look_timer.cancel();
  state_->told = {};
}

void Feeds::configure(std::vector<Feed> feeds) { state_->configure(std::move(feeds)); }

void Feeds::State::configure(std::vector<Feed> feeds) {
  std::vector<Entry> fresh;
  std::set<std::string> files;
  for (Feed& feed : feeds) {
    files.insert(feed.file);
    const auto old = std::find_if(entries.begin(), entries.end(), [&](const Entry& e) {
      return e.status.feed.name == feed.name && e.status.feed.file == feed.file && e.status.feed.format == feed.format;
    });
    Entry& entry = fresh.emplace_back(old == entries.end() ? Entry{} : *old);
    entry.status.feed = std::move(feed);
    entry.to_read = true;
  }
  entries = std::move(fresh);
  ++generation;
  to_merge = true;
  watch.watch(files);
  look_again();
  start();
}

void Feeds::set_others(std::vector<NamedList> others) {
  state_->others = std::move(others);
  state_->to_merge = true;
  state_->start();
}

void Feeds::State::changed(const std::string& file) {
  for (const Entry& entry : entries)
    if (file.empty() || entry.status.feed.file == file) debounce.note(entry.status.feed.file, clock());
  wait_for_quiet();
}

void Feeds::State::wait_for_quiet() {
  const std::optional<Time> next = debounce.next();
  if (!next) return;
  debounce_timer.expires_after(std::max<Duration>(*next - clock(), Duration{}));
  debounce_timer.async_wait([weak = weak_from_this()](const boost::system::error_code& cancelled) {
    const auto self = weak.lock();
    if (cancelled || !self) return;
    for (const std::string& file : self->debounce.take_due(self->clock()))
      for (Entry& entry : self->entries)
        if (entry.status.feed.file == file) entry.to_read = true;
    self->start();
    self->wait_for_quiet();
  });
}

void Feeds::State::look_again() {
  look_timer.expires_after(kLook);
  look_timer.async_wait([weak = weak_from_this()](const boost::system::error_code& cancelled) {
    const auto self = weak.lock();
    if (cancelled || !self) return;
    std::set<std::string> files;
    for (Entry& entry : self->entries) {
      files.insert(entry.status.feed.file);
      if (stamp_of(entry.status.feed.file) != entry.stamp) entry.to_read = true;
    }
    self->watch.watch(files);  // folders that were not there
    self->start();
    self->look_again();
  });
}

// One job at a time; what came up meanwhile is the next one's.
void Feeds::State::start() {
  if (busy) return;
  auto job = std::make_shared<Job>();
  for (size_t i = 0; i < entries.size(); ++i) {
    const Feed& feed = entries[i].status.feed;
    if (std::exchange(entries[i].to_read, false)) job->to_read.emplace_back(i, feed);
    job->lists.push_back({"feed " + feed.name, feed.source_class, entries[i].prefixes});
  }
  if (job->to_read.empty() && !to_merge) return;
  to_merge = false;
  busy = true;
  job->lists.insert(job->lists.end(), others.begin(), others.end());
  job->old = merged;
  job->generation = generation;
  asio::post(worker, [weak = weak_from_this(), job, &io = io] {
    work(*job);
    asio::post(io, [weak, job] {
      if (const auto self = weak.lock()) self->finish(*job);
    });
  });
}

void Feeds::State::work(Job& job) {
  for (auto& [index, feed] : job.to_read) {
    Read read = read_feed(feed);
    Prefixes taken;
    if (read.content) {
      taken = std::make_shared<const std::vector<wire::Prefix>>(std::move(read.content->prefixes));
      job.lists[index].prefixes = taken;
    }
    job.taken.push_back(std::move(taken));
    job.read.emplace_back(index, std::move(read));
  }
  auto merged = std::make_shared<const ClassPrefixes>(std::move(job.lists));
  job.changes = merged->changes_since(*job.old);
  job.merged = std::move(merged);
}

void Feeds::State::finish(Job& job) {
  busy = false;
  if (job.generation == generation) {
    for (size_t i = 0; i < job.read.size(); ++i)
      take(entries[job.read[i].first], std::move(job.read[i].second), std::move(job.taken[i]));
    merged = std::move(job.merged);
    if (!job.changes.empty() && told.changed) told.changed(job.changes);
  }
  start();
}

void Feeds::State::take(Entry& entry, Read read, Prefixes prefixes) {
  FeedStatus& status = entry.status;
  entry.stamp = read.stamp;
  ++status.reads;
  if (!read.content) {
    ++status.refusals;
    const bool news = status.trouble != read.content.error();
    status.trouble = read.content.error();
    if (news && told.notice) told.notice(fmt::format("feed {}: {}", status.feed.name, status.trouble));
    return;
  }
  entry.prefixes = std::move(prefixes);
  const bool news = !status.trouble.empty() || status.entries != entry.prefixes->size() || !status.written_at;
  status.trouble.clear();
  status.entries = entry.prefixes->size();
  status.skipped = read.content->skipped;
  status.written_at = std::chrono::sys_seconds{std::chrono::seconds{read.stamp.written_ns / 1'000'000'000}};
  if (news && told.notice)
    told.notice(fmt::format("feed {}: {} prefixes of {}", status.feed.name, status.entries, status.feed.file));
}

const ClassPrefixes& Feeds::merged() const noexcept { return *state_->merged; }

std::vector<FeedStatus> Feeds::status() const {
  std::vector<FeedStatus> all;
  for (const State::Entry& entry : state_->entries) all.push_back(entry.status);
  return all;
}

bool Feeds::busy() const noexcept { return state_->busy; }

}  // namespace mire::lists
