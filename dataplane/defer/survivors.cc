#include "dataplane/defer/survivors.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

namespace mire::defer {

struct SurvivorFile::Header {
  uint64_t magic;
  uint32_t record_bytes;
  uint32_t places;
  uint64_t beat_ms;
  CookieKey key;
  uint64_t reserved[3];
};
struct SurvivorFile::Place {
  uint64_t used;  // 1: the record is whole
  Survivor record;
};

namespace {
constexpr uint64_t kMagic = 0x31736c6c65726d02;  // changes with the meaning of a record
constexpr uint64_t kPatienceMs = 120'000;

bool sound(const Survivor& s) noexcept {
  using policy::State;
  const bool state =
      s.state == State::met || s.state == State::deferred || s.state == State::invited || s.state == State::talking;
  const auto link = [](const wire::LinkHeader& l) { return l.length >= 14 && l.length <= l.bytes.size(); };
  return state && static_cast<size_t>(s.source_class) < policy::kClasses && link(s.to_server) && link(s.to_client) &&
         s.name.client.is_v4() == s.name.server.is_v4() && s.name.client_port != 0 && s.name.client_port < 65536 &&
         s.greeting_length != 0 && s.greeting_length <= Survivor::kGreeting && s.teaser_length < s.greeting_length &&
         s.hold_ms <= policy::kHoldCapMs;
}
}  // namespace

SurvivorFile::SurvivorFile(void* mapped, size_t bytes, uint32_t places) noexcept
    : mapped_(mapped), bytes_(bytes), places_(places) {}
SurvivorFile::SurvivorFile(SurvivorFile&& o) noexcept
    : mapped_(std::exchange(o.mapped_, nullptr)), bytes_(o.bytes_), places_(o.places_) {}
SurvivorFile& SurvivorFile::operator=(SurvivorFile&& o) noexcept {
  std::swap(mapped_, o.mapped_);
  std::swap(bytes_, o.bytes_);
  std::swap(places_, o.places_);
  return *this;
}
SurvivorFile::~SurvivorFile() {
  if (mapped_ != nullptr) munmap(mapped_, bytes_);
}

Result<SurvivorFile> SurvivorFile::create(const std::string& path, uint32_t places, const CookieKey& key) {
  const size_t bytes = sizeof(Header) + size_t{places} * sizeof(Place);
  const auto trouble = [&](const char* what) {
    return Error{fmt::format("cannot {} {}: {}; flows that strangers have with us would not outlive the dataplane",
                             what, path, std::strerror(errno))};
  };
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return trouble("make");
  void* at = ftruncate(fd, static_cast<off_t>(bytes)) == 0
                 ? mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
                 : MAP_FAILED;
  const int error = errno;
  close(fd);
  errno = error;
  if (at == MAP_FAILED) return trouble("map");
  SurvivorFile file(at, bytes, places);
  auto* h = static_cast<Header*>(at);
  h->record_bytes = sizeof(Place);
  h->places = places;
  h->key = key;
  std::atomic_ref{h->magic}.store(kMagic, std::memory_order_release);
  return file;
}

SurvivorFile::Found SurvivorFile::read(const std::string& path, Time now) {
  Found found;
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return found;
  struct stat st {};
  const bool known = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
                     static_cast<size_t>(st.st_size) >= sizeof(Header);
  const auto bytes = static_cast<size_t>(st.st_size);
  void* at = known ? mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
  close(fd);
  if (at == MAP_FAILED) return found;
  const auto* h = static_cast<const Header*>(at);
  const uint64_t now_ms = to_ms(now);
  const bool ours = h->magic == kMagic && h->record_bytes == sizeof(Place) &&
                    bytes == sizeof(Header) + size_t{h->places} * sizeof(Place) && h->beat_ms <= now_ms &&
                    now_ms - h->beat_ms <= kPatienceMs;
  if (ours) found.key = h->key;
  const auto* places = reinterpret_cast<const Place*>(static_cast<const uint8_t*>(at) + sizeof(Header));
  for (uint32_t i = 0; ours && i < h->places; ++i)
    if (places[i].used == 1 && sound(places[i].record)) found.flows.push_back(places[i].record);
  munmap(at, bytes);
  return found;
}

// The flow's place, else an empty one, else nullptr.
SurvivorFile::Place* SurvivorFile::find(const FlowName& name) const noexcept {
  auto* places = reinterpret_cast<Place*>(static_cast<uint8_t*>(mapped_) + sizeof(Header));
  const auto first = static_cast<uint32_t>(((hash_.of(name) >> 32) * places_) >> 32);
  Place* empty = nullptr;
  for (uint32_t n = 0; n < kReach; ++n) {
    Place& p = places[(first + n) % places_];
    if (p.used == 1 && p.record.name == name) return &p;
    if (p.used == 0 && empty == nullptr) empty = &p;
  }
  return empty;
}

SurvivorFile::Kept SurvivorFile::keep(const Survivor& s) noexcept {
  Place* p = find(s.name);
  if (p == nullptr) return Kept::no_room;
  const Kept kept = p->used == 1 ? Kept::again : Kept::fresh;
  std::atomic_ref{p->used}.store(0, std::memory_order_relaxed);
  std::atomic_signal_fence(std::memory_order_seq_cst);  // the kernel keeps what was stored, in the program's order
  p->record = s;
  std::atomic_ref{p->used}.store(1, std::memory_order_release);
  return kept;
}

bool SurvivorFile::forget(const FlowName& name) noexcept {
  Place* p = find(name);
  if (p == nullptr || p->used == 0) return false;
  std::atomic_ref{p->used}.store(0, std::memory_order_release);
  return true;
}

void SurvivorFile::beat(Time now) noexcept {
  std::atomic_ref{static_cast<Header*>(mapped_)->beat_ms}.store(to_ms(now), std::memory_order_relaxed);
}

}  // namespace mire::defer
