// shared_memory.h - the mapping of one connection: header page and the rings of every lcore.
//
// A new memfd for each connection, so that a mired which is gone, or a stopped one that wakes up late, can write to
// nobody. Sealed against resizing: a peer that shrinks the file cannot make us fault.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "dataplane/base/result.h"
#include "dataplane/mailbox/layout.h"
#include "dataplane/mailbox/ring.h"

namespace mire::mailbox {

using UpRing = SharedRing<UpMessage, kUpSlots>;
using DownRing = SharedRing<DownMessage, kDownSlots>;

struct LcoreArea {
  UpRing up;
  DownRing down;
};
inline constexpr size_t kHeaderSize = 4096;
static_assert(sizeof(UpRing) == 128 + kUpSlots * sizeof(UpMessage), "layout is part of kLayoutVersion");
static_assert(sizeof(DownRing) == 128 + kDownSlots * sizeof(DownMessage), "layout is part of kLayoutVersion");

[[nodiscard]] constexpr size_t memory_size(unsigned lcores) noexcept {
  return kHeaderSize + lcores * sizeof(LcoreArea);
}

class SharedMemory {
 public:
  // Makes a memfd of the right size, sealed, and maps it.
  static Result<std::unique_ptr<SharedMemory>> create(unsigned lcores);
  // Maps what the other end made; takes the descriptor. Refuses a file of another size, or one that could still be
  // resized.
  static Result<std::unique_ptr<SharedMemory>> attach(int fd, unsigned lcores);
  ~SharedMemory();
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  [[nodiscard]] int fd() const noexcept { return fd_; }
  [[nodiscard]] LcoreArea& area(unsigned lcore) noexcept;

 private:
  SharedMemory(int fd, void* base, unsigned lcores) noexcept : fd_(fd), base_(base), lcores_(lcores) {}
  static Result<std::unique_ptr<SharedMemory>> map(int fd, unsigned lcores);

  int fd_;
  void* base_;
  unsigned lcores_;
};

}  // namespace mire::mailbox
