#include "controlplane/log/flow_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spdlog/async.h>
#include <spdlog/sinks/base_sink.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <mutex>

#include "controlplane/log/flow_line.h"
#include "dataplane/base/time.h"
#include "dataplane/mailbox/unix_socket.h"

namespace mire::log {
namespace {

constexpr size_t kQueuedLines = 8192;
constexpr int kReaderPatienceMs = 200;  // of a pipe or terminal; then lines are lost

Result<mailbox::Descriptor> open_file(const std::string& path) {
  const int fd = path == "-"
                     ? ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0)
                     : ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
  if (fd < 0)
    return Error{fmt::format("log file {}: {}; check its folder and who owns it", path, std::strerror(errno))};
  return mailbox::Descriptor(fd);
}

class FileSink : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit FileSink(mailbox::Descriptor file) : file_(std::move(file)) {}

  void replace(mailbox::Descriptor file) {
    const std::lock_guard<std::mutex> lock(mutex_);
    file_ = std::move(file);
    stuck_ = false;
  }
  [[nodiscard]] uint64_t lost() const noexcept { return lost_.load(std::memory_order_relaxed); }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    line_.assign(message.payload.begin(), message.payload.end());
    line_ += '\n';
    if (!write_all()) lost_.fetch_add(1, std::memory_order_relaxed);
  }
  void flush_() override {}

 private:
  bool write_all() {
    for (std::string_view rest = line_; !rest.empty();) {
      // A line is shorter than PIPE_BUF: when poll() says there is room, write() does not wait.
      pollfd p{file_.get(), POLLOUT, 0};
      // Patience is for the first line that finds no room; whoever did not read for that long gets no more of it.
      stuck_ = ::poll(&p, 1, stuck_ ? 0 : kReaderPatienceMs) != 1 || (p.revents & POLLOUT) == 0;
      if (stuck_) return false;
      const ssize_t n = ::write(file_.get(), rest.data(), rest.size());
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return false;
      rest.remove_prefix(static_cast<size_t>(n));
    }
    return true;
  }

  mailbox::Descriptor file_;
  std::string line_;
  bool stuck_ = false;
  std::atomic<uint64_t> lost_{0};
};

}  // namespace

Status check_path(const std::string& path) {
  if (path == "-" || ::access(path.c_str(), W_OK) == 0) return success();
  if (errno == ENOENT) {
    const std::string folder = std::filesystem::path(path).parent_path();
    if (::access(folder.empty() ? "." : folder.c_str(), W_OK | X_OK) == 0) return success();
  }
  return Error{fmt::format("log file {}: {}; check its folder and who owns it", path, std::strerror(errno))};
}

struct FlowLog::Impl {
  Impl(std::string where, mailbox::Descriptor file)
      : path(std::move(where)),
        sink(std::make_shared<FileSink>(std::move(file))),
        pool(std::make_shared<spdlog::details::thread_pool>(kQueuedLines, 1)),
        logger(std::make_shared<spdlog::async_logger>("flows", sink, pool,
                                                      spdlog::async_overflow_policy::overrun_oldest)) {
    logger->set_level(spdlog::level::info);
  }
  std::string path;
  std::shared_ptr<FileSink> sink;
  std::shared_ptr<spdlog::details::thread_pool> pool;
  std::shared_ptr<spdlog::async_logger> logger;
};

FlowLog::FlowLog(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
FlowLog::~FlowLog() = default;

Result<std::unique_ptr<FlowLog>> FlowLog::open(const std::string& path) {
  Result<mailbox::Descriptor> file = open_file(path);
  if (!file) return Error{file.error()};
  return std::unique_ptr<FlowLog>(new FlowLog(std::make_unique<Impl>(path, std::move(file).value())));
}

const std::string& FlowLog::path() const noexcept { return impl_->path; }

void FlowLog::write(const mailbox::FlowEvent& event) {
  // The event carries the monotonic clock: its age now is its age on the wall clock. An event from the future is from
  // now.
  const auto age = std::max(Duration{}, MonotonicClock::now() - Time{Duration{static_cast<int64_t>(event.time_ns)}});
  const WallTime when = std::chrono::system_clock::now() - std::chrono::duration_cast<WallTime::duration>(age);
  impl_->logger->info(spdlog::string_view_t(flow_line(event, when)));
}

Status FlowLog::reopen() {
  Result<mailbox::Descriptor> file = open_file(impl_->path);
  if (!file) return Error{file.error()};
  impl_->sink->replace(std::move(file).value());
  return success();
}

uint64_t FlowLog::lines_lost() const noexcept { return impl_->sink->lost() + impl_->pool->overrun_counter(); }

}  // namespace mire::log
