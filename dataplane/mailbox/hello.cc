#include "dataplane/mailbox/hello.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace mire::mailbox {
namespace {
constexpr int kDoorbellsAtOnce = 64;  // level-triggered: the rest brings us back
bool would_block(int error) noexcept { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }
}  // namespace

bool send_hello(int socket, const Hello& hello, int memory_fd) noexcept {
  iovec part{const_cast<Hello*>(&hello), sizeof(hello)};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  if (memory_fd >= 0) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(c), &memory_fd, sizeof(int));
  }
  return ::sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof(hello));
}

Arrived receive_hello(int socket, Hello& hello, Descriptor* memory) noexcept {
  iovec part{&hello, sizeof(hello)};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  if (memory != nullptr) {  // without room for them, the kernel closes descriptors that a peer sends
    message.msg_control = control.data();
    message.msg_controllen = control.size();
  }
  const ssize_t n = ::recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (n < 0) return would_block(errno) ? Arrived::nothing : Arrived::closed;
  if (n == 0) return Arrived::closed;
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); memory != nullptr && c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS || c->cmsg_len < CMSG_LEN(sizeof(int))) continue;
    int fd;
    std::memcpy(&fd, CMSG_DATA(c), sizeof(fd));
    *memory = Descriptor{fd};
  }
  if (n != static_cast<ssize_t>(sizeof(hello)) || (message.msg_flags & MSG_TRUNC) != 0) return Arrived::garbage;
  return Arrived::hello;
}

bool hung_up(int socket) noexcept {
  pollfd p{socket, POLLRDHUP, 0};
  return ::poll(&p, 1, 0) == 1;  // POLLHUP and POLLERR come unasked
}

bool ring_doorbell(int socket) noexcept {
  const char bell = 0;
  return ::send(socket, &bell, 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1 || would_block(errno);
}

bool empty_doorbells(int socket) noexcept {
  for (int i = 0; i < kDoorbellsAtOnce; ++i) {
    char bell;
    const ssize_t n = ::recv(socket, &bell, 1, MSG_DONTWAIT);
    if (n == 0) return false;
    if (n < 0) return would_block(errno);
  }
  return true;
}

}  // namespace mire::mailbox
