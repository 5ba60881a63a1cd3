// flow_log.h - flow events to a file or standard output, through spdlog, by a thread of its own.
//
// The queue is bounded and the oldest lines give way: a slow disk or a stuck reader of a pipe costs lines (counted),
// never mired's time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "dataplane/base/result.h"
#include "dataplane/mailbox/flow_event.h"

namespace mire::log {

// Could FlowLog::open() write there? Makes nothing.
[[nodiscard]] Status check_path(const std::string& path);

class FlowLog {
 public:
  // "-": standard output.
  static Result<std::unique_ptr<FlowLog>> open(const std::string& path);
  ~FlowLog();  // writes what is queued
  FlowLog(const FlowLog&) = delete;
  FlowLog& operator=(const FlowLog&) = delete;

  [[nodiscard]] const std::string& path() const noexcept;
  void write(const mailbox::FlowEvent&);
  // After the file was moved away by log rotation. An error: the old file goes on being written.
  Status reopen();
  [[nodiscard]] uint64_t lines_lost() const noexcept;

 private:
  struct Impl;
  explicit FlowLog(std::unique_ptr<Impl>) noexcept;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mire::log
