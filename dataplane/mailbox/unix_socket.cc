#include "dataplane/mailbox/unix_socket.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace mire::mailbox {
namespace {

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un a{};
  a.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(a.sun_path))
    return Error{fmt::format("socket {}: the path has {} characters, room is for 1 to {}; choose a shorter one", path,
                             path.size(), sizeof(a.sun_path) - 1)};
  std::memcpy(a.sun_path, path.data(), path.size());
  return a;
}

Error trouble(const std::string& path, const char* what, const char* advice) {
  return Error{fmt::format("socket {}: {}: {}; {}", path, what, std::strerror(errno), advice)};
}

int try_connect(const sockaddr_un& a, int type, Descriptor& out) {
  Descriptor fd(::socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.open()) return errno;
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&a), sizeof(a)) != 0) return errno;
  out = std::move(fd);
  return 0;
}

void make_folder(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash != std::string::npos && slash > 0) ::mkdir(path.substr(0, slash).c_str(), 0755);  // exists: well
}

// Nothing: the path is free now.
Status clear_stale(const std::string& path, const sockaddr_un& a, int type, const char* who) {
  struct stat st {};
  if (::lstat(path.c_str(), &st) != 0) return success();
  if (!S_ISSOCK(st.st_mode))
    return Error{fmt::format("socket {}: there is a file that is no socket; move it or choose another path", path)};
  Descriptor other;
  const int error = try_connect(a, type, other);
  if (error == ECONNREFUSED) {
    if (::unlink(path.c_str()) == 0 || errno == ENOENT) return success();
    return trouble(path, "removing a stale socket", "check who owns its folder");
  }
  if (error == 0)
    return Error{fmt::format("socket {}: in use by a live {} (pid {}); stop it or choose another path", path, who,
                             peer_of(other.get()).pid)};
  return Error{fmt::format("socket {}: in use ({}); choose another path", path, std::strerror(error))};
}

}  // namespace

Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

Result<Listener> Listener::open(const std::string& path, int type, mode_t mode, const char* who) {
  Result<sockaddr_un> a = address_of(path);
  if (!a) return Error{a.error()};
  make_folder(path);
  if (Status cleared = clear_stale(path, *a, type, who); !cleared) return Error{cleared.error()};
  Descriptor fd(::socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.open()) return trouble(path, "socket", "check the limit of open files");
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&*a), sizeof(*a)) != 0)
    return trouble(path, "bind", "check that its folder exists and is ours to write");
  struct stat st {};
  // Nobody can connect before listen(): the mode is right from the first moment.
  if (::chmod(path.c_str(), mode) != 0 || ::stat(path.c_str(), &st) != 0 || ::listen(fd.get(), 16) != 0) {
    Error error = trouble(path, "listen", "check its folder");
    ::unlink(path.c_str());
    return error;
  }
  return Listener(std::move(fd), path, st.st_dev, st.st_ino);
}

Listener::Listener(Listener&& other) noexcept
    : fd_(std::move(other.fd_)), path_(std::exchange(other.path_, {})), device_(other.device_), inode_(other.inode_) {}

Listener::~Listener() {
  struct stat st {};
  if (!path_.empty() && ::lstat(path_.c_str(), &st) == 0 && st.st_dev == device_ && st.st_ino == inode_)
    ::unlink(path_.c_str());
}

Result<Descriptor> connect_to(const std::string& path, int type) {
  Result<sockaddr_un> a = address_of(path);
  if (!a) return Error{a.error()};
  Descriptor fd;
  if (const int error = try_connect(*a, type, fd); error != 0)
    return Error{fmt::format("socket {}: {}", path, std::strerror(error))};
  return fd;
}

Peer peer_of(int fd) noexcept {
  ucred credentials{};
  socklen_t length = sizeof(credentials);
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) return {};
  return {credentials.pid, credentials.uid, credentials.gid};
}

}  // namespace mire::mailbox
