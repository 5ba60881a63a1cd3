// unix_socket.h - Unix sockets with a path, opened the way an operator expects: a stale file is replaced, a live one is
// named.
//
// Used by the mailbox and by mired's own socket. Every descriptor is non-blocking and close-on-exec.
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>

#include "dataplane/base/result.h"

namespace mire::mailbox {

// Owns a descriptor.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor();
  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] bool open() const noexcept { return fd_ >= 0; }
  void close() noexcept { *this = Descriptor{}; }
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

// A listening socket; its file goes when it goes, if it is still ours.
class Listener {
 public:
  // type: SOCK_STREAM or SOCK_SEQPACKET. `who` names the program that listens here, for the error when one already
  // does. Makes the socket's folder (one level) if it is missing.
  static Result<Listener> open(const std::string& path, int type, mode_t mode, const char* who);
  Listener(Listener&& other) noexcept;
  Listener& operator=(Listener&&) = delete;
  ~Listener();
  [[nodiscard]] int fd() const noexcept { return fd_.get(); }

 private:
  Listener(Descriptor fd, std::string path, dev_t device, ino_t inode) noexcept
      : fd_(std::move(fd)), path_(std::move(path)), device_(device), inode_(inode) {}
  Descriptor fd_;
  std::string path_;
  dev_t device_;
  ino_t inode_;
};

Result<Descriptor> connect_to(const std::string& path, int type);

// The process at the other end, as the kernel vouches for it.
struct Peer {
  pid_t pid = 0;
  uid_t uid = static_cast<uid_t>(-1);
  gid_t gid = static_cast<gid_t>(-1);  // its primary group
};
[[nodiscard]] Peer peer_of(int fd) noexcept;

}  // namespace mire::mailbox
