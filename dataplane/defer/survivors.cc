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
namespace {
constexpr uint64_t kMagic = 0x31736c6c65726d03;  // changes with the meaning of a record
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

// Marks: 0 is an empty place; else the record behind it is whole and its flow's hash ends in this.
size_t SurvivorFile::size_for(uint32_t places) noexcept {
  return sizeof(Header) + size_t{places} * (sizeof(uint64_t) + sizeof(Survivor));
}
uint64_t* SurvivorFile::marks() const noexcept {
  return reinterpret_cast<uint64_t*>(static_cast<uint8_t*>(mapped_) + sizeof(Header));
}
Survivor* SurvivorFile::records() const noexcept { return reinterpret_cast<Survivor*>(marks() + places_); }

SurvivorFile::SurvivorFile(void* mapped, size_t bytes, uint32_t places, uint64_t seed) noexcept
    : hash_(seed), mapped_(mapped), bytes_(bytes), places_(places) {}
SurvivorFile::SurvivorFile(SurvivorFile&& o) noexcept
    : hash_(o.hash_), mapped_(std::exchange(o.mapped_, nullptr)), bytes_(o.bytes_), places_(o.places_) {}
SurvivorFile& SurvivorFile::operator=(SurvivorFile&& o) noexcept {
  std::swap(hash_, o.hash_);
  std::swap(mapped_, o.mapped_);
  std::swap(bytes_, o.bytes_);
  std::swap(places_, o.places_);
  return *this;
}
SurvivorFile::~SurvivorFile() {
  if (mapped_ != nullptr) munmap(mapped_, bytes_);
}

Result<SurvivorFile> SurvivorFile::create(const std::string& path, uint32_t places, const CookieKey& key) {
  const size_t bytes = size_for(places);
  const auto trouble = [&](const char* what, int error) {
    return Error{
        fmt::format("cannot {} {} ({} MB): {}; flows that strangers have with us would not outlive the dataplane", what,
                    path, bytes >> 20, std::strerror(error))};
  };
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return trouble("make", errno);
  const int full = posix_fallocate(fd, 0, static_cast<off_t>(bytes));
  void* at = full == 0 ? mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
  const int error = full != 0 ? full : errno;
  close(fd);
  if (at == MAP_FAILED) {
    unlink(path.c_str());
    return trouble("keep", error);
  }
  uint64_t seed;
  std::memcpy(&seed, key.data(), sizeof seed);
  SurvivorFile file(at, bytes, places, ~seed);
  auto* h = static_cast<Header*>(at);
  h->record_bytes = sizeof(Survivor);
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
  const SurvivorFile file(at, bytes, h->places, 0);  // unmaps it
  const uint64_t now_ms = to_ms(now);
  const bool ours = h->magic == kMagic && h->record_bytes == sizeof(Survivor) && bytes == size_for(h->places) &&
                    h->beat_ms <= now_ms && now_ms - h->beat_ms <= kPatienceMs;
  if (!ours) return found;
  found.key = h->key;
  for (uint32_t i = 0; i < h->places; ++i)
    if (file.marks()[i] != 0 && sound(file.records()[i])) found.flows.push_back(file.records()[i]);
  return found;
}

std::pair<uint32_t, uint64_t> SurvivorFile::find(const FlowName& name) const noexcept {
  const uint64_t hash = hash_.of(name), mark = hash | 1;
  const auto first = static_cast<uint32_t>(((hash >> 32) * places_) >> 32);
  uint32_t empty = kNone;
  for (uint32_t n = 0; n < kReach; ++n) {
    const uint32_t i = (first + n) % places_;
    if (marks()[i] == mark && records()[i].name == name) return {i, mark};
    if (marks()[i] == 0 && empty == kNone) empty = i;
  }
  return {empty, mark};
}

SurvivorFile::Kept SurvivorFile::keep(const Survivor& s) noexcept {
  const auto [i, mark] = find(s.name);
  if (i == kNone) return Kept::no_room;
  const std::atomic_ref place{marks()[i]};
  const Kept kept = marks()[i] != 0 ? Kept::again : Kept::fresh;
  place.store(0, std::memory_order_relaxed);
  std::atomic_signal_fence(std::memory_order_seq_cst);  // the kernel keeps what was stored, in the program's order
  records()[i] = s;
  place.store(mark, std::memory_order_release);
  return kept;
}

bool SurvivorFile::forget(const FlowName& name) noexcept {
  const auto [i, mark] = find(name);
  if (i == kNone || marks()[i] == 0) return false;
  std::atomic_ref{marks()[i]}.store(0, std::memory_order_release);
  return true;
}

void SurvivorFile::beat(Time now) noexcept {
  std::atomic_ref{static_cast<Header*>(mapped_)->beat_ms}.store(to_ms(now), std::memory_order_relaxed);
}

}  // namespace mire::defer
