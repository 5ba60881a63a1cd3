#include "dataplane/mailbox/shared_memory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace mire::mailbox {
namespace {
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

Error trouble(const char* what) { return Error{fmt::format("mailbox memory: {}: {}", what, std::strerror(errno))}; }
}  // namespace

Result<std::unique_ptr<SharedMemory>> SharedMemory::map(int fd, unsigned lcores) {
  void* base = ::mmap(nullptr, memory_size(lcores), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (base == MAP_FAILED) {
    Error error = trouble("mmap");
    ::close(fd);
    return error;
  }
  return std::unique_ptr<SharedMemory>(new SharedMemory(fd, base, lcores));
}

Result<std::unique_ptr<SharedMemory>> SharedMemory::create(unsigned lcores) {
  MIRE_ASSERT(lcores >= 1 && lcores <= kMaxLcores);
  const int fd = ::memfd_create("mire-mailbox", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) return trouble("memfd_create");
  if (::ftruncate(fd, static_cast<off_t>(memory_size(lcores))) != 0 || ::fcntl(fd, F_ADD_SEALS, kSeals) != 0) {
    Error error = trouble("sizing and sealing");
    ::close(fd);
    return error;
  }
  return map(fd, lcores);
}

Result<std::unique_ptr<SharedMemory>> SharedMemory::attach(int fd, unsigned lcores) {
  struct stat st {};
  const int seals = ::fcntl(fd, F_GET_SEALS);
  if (lcores < 1 || lcores > kMaxLcores || ::fstat(fd, &st) != 0 ||
      st.st_size != static_cast<off_t>(memory_size(lcores)) || seals < 0 || (seals & kSeals) != kSeals) {
    ::close(fd);
    return Error{"mailbox memory: the other end's file has the wrong size or is not sealed"};
  }
  return map(fd, lcores);
}

SharedMemory::~SharedMemory() {
  ::munmap(base_, memory_size(lcores_));
  ::close(fd_);
}

LcoreArea& SharedMemory::area(unsigned lcore) noexcept {
  MIRE_ASSERT(lcore < lcores_);
  // Fresh memory is zero, and zero bytes are empty rings: nothing to construct, and nothing of a peer's to construct
  // over.
  return *reinterpret_cast<LcoreArea*>(static_cast<uint8_t*>(base_) + kHeaderSize + lcore * sizeof(LcoreArea));
}

}  // namespace mire::mailbox
