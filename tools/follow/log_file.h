// log_file.h - the lines of a log file that grows, is rotated, is truncated: as `tail -F` reads, and from where an
// earlier run stood.
//
// Never waits: who asks again later gets what has come meanwhile. A rotated file is read to its end before the new one
// is begun, also when the rotation happened while nobody followed (if the old file is still beside it, uncompressed).
// Refuses to know what is in the lines.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/mailbox/unix_socket.h"

namespace mire::follow {

struct Position {
  uint64_t device = 0;
  uint64_t inode = 0;
  uint64_t offset = 0;       // of the first line that was not taken
  uint64_t head = 0;         // hash of the file's first bytes: an inode's number is used again
  uint32_t head_length = 0;  // how many
  friend bool operator==(const Position&, const Position&) = default;
};

class LogFile {
 public:
  static constexpr size_t kLongestLine = 16'384;

  explicit LogFile(std::string path) : path_(std::move(path)) {}

  // Where to begin; without a position at the file's end, or at its beginning if so wished. Once, before next().
  void begin(const std::optional<Position>&, bool from_start);

  // False: there is no whole line now.
  bool next(std::string& line);

  [[nodiscard]] Position position() const;
  [[nodiscard]] uint64_t lines_too_long() const noexcept { return too_long_; }
  // What the operator should hear, once.
  [[nodiscard]] std::vector<std::string> take_notices() { return std::exchange(notices_, {}); }

 private:
  bool open(const std::string& path, uint64_t offset);
  bool resume(const std::string& path, const Position&);
  bool read_more();
  bool at_the_end();
  bool take_line(std::string& line);

  std::string path_;
  mailbox::Descriptor file_;
  uint64_t read_to_ = 0;  // offset behind what was read
  std::string buffer_;    // read and not taken
  size_t taken_ = 0;      // bytes of the buffer that are
  bool skipping_ = false;
  bool said_missing_ = false;
  uint64_t too_long_ = 0;
  std::vector<std::string> notices_;
};

}  // namespace mire::follow
