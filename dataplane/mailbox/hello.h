// hello.h - the few bytes that go over the mailbox's socket: the hello with the memory's descriptor, and doorbells.
//
// A doorbell is a one-byte packet sent with MSG_DONTWAIT, not an eventfd: an eventfd's O_NONBLOCK belongs to both ends,
// so a peer could clear it, fill the counter and put our control thread to sleep in write(). A full socket buffer means
// that the peer has unread doorbells: it will wake without ours.
#pragma once

#include "dataplane/base/result.h"
#include "dataplane/mailbox/layout.h"
#include "dataplane/mailbox/unix_socket.h"

namespace mire::mailbox {

[[nodiscard]] bool send_hello(int socket, const Hello&, int memory_fd = -1) noexcept;

enum class Arrived : uint8_t { nothing, hello, garbage, closed };
// Reads one packet that should be a hello; `memory` gets the descriptor that came along, if any.
[[nodiscard]] Arrived receive_hello(int socket, Hello&, Descriptor* memory) noexcept;

[[nodiscard]] bool hung_up(int socket) noexcept;

// False: the peer is gone.
bool ring_doorbell(int socket) noexcept;
// Reads pending doorbells, a bounded number of them. False: the peer is gone.
bool empty_doorbells(int socket) noexcept;

}  // namespace mire::mailbox
