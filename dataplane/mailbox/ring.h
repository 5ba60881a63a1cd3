// ring.h - the ring that crosses the process boundary: one producer, one consumer, neither of whom believes the other.
//
// Each side keeps its own index in private memory and only publishes a copy of it. The peer's index is read once an
// operation and refused (peer_broken) if it moved backwards or is further away than the ring is long; so a peer that
// scribbles over the memory can make messages worthless, but never makes us read outside the ring, loop or wait. Slots
// are copied out, word by word, before anybody looks at them: what was checked cannot change afterwards. Why not
// Boost's queue here: docs/decisions/0002-mailbox-trust.md.
//
// Cost: one acquire load, one release store and the copy. Lock-free, no system call; doorbells are the ends' business.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace mire::mailbox {

enum class RingResult : uint8_t {
  done,
  nothing,      // full (push) or empty (pop)
  peer_broken,  // the peer's index is impossible: stop using this memory
};

// As it lies in shared memory. All zero is a fresh ring.
template <typename Message, size_t kSlots>
struct SharedRing {
  static_assert(std::has_single_bit(kSlots));
  static_assert(std::is_trivially_copyable_v<Message> && sizeof(Message) % 8 == 0);
  static constexpr size_t kWords = sizeof(Message) / 8;
  static constexpr size_t kCapacity = kSlots;
  using MessageType = Message;

  alignas(64) std::atomic<uint64_t> written;  // published by the producer
  alignas(64) std::atomic<uint64_t> read;     // published by the consumer
  alignas(64) std::array<std::array<std::atomic<uint64_t>, kWords>, kSlots> slots;
};
static_assert(std::atomic<uint64_t>::is_always_lock_free);
static_assert(sizeof(std::atomic<uint64_t>) == 8);

template <typename Ring>
class RingProducer {
 public:
  using Message = typename Ring::MessageType;
  explicit RingProducer(Ring* ring) noexcept : ring_(ring) {}

  RingResult push(const Message& message) noexcept {
    const uint64_t read = ring_->read.load(std::memory_order_acquire);
    // Unsigned: a read index ahead of what we wrote, or behind what it was, comes out huge.
    if (read - peer_ > written_ - peer_) return RingResult::peer_broken;
    peer_ = read;
    if (written_ - peer_ >= Ring::kCapacity) return RingResult::nothing;
    const auto words = std::bit_cast<std::array<uint64_t, Ring::kWords>>(message);
    auto& slot = ring_->slots[written_ & (Ring::kCapacity - 1)];
    for (size_t i = 0; i < words.size(); ++i) slot[i].store(words[i], std::memory_order_relaxed);
    ring_->written.store(++written_, std::memory_order_release);
    return RingResult::done;
  }

  // What was pushed and, as far as the peer says so credibly, not read.
  [[nodiscard]] uint64_t unread() const noexcept {
    const uint64_t read = ring_->read.load(std::memory_order_acquire);
    return written_ - (read - peer_ > written_ - peer_ ? peer_ : read);
  }

  [[nodiscard]] uint64_t written() const noexcept { return written_; }

 private:
  Ring* ring_;
  uint64_t written_ = 0;
  uint64_t peer_ = 0;  // the consumer's index as last seen
};

template <typename Ring>
class RingConsumer {
 public:
  using Message = typename Ring::MessageType;
  explicit RingConsumer(Ring* ring) noexcept : ring_(ring) {}

  RingResult pop(Message& message) noexcept {
    const uint64_t written = ring_->written.load(std::memory_order_acquire);
    if (written - read_ > Ring::kCapacity || written - read_ < peer_ - read_) return RingResult::peer_broken;
    peer_ = written;
    if (written == read_) return RingResult::nothing;
    std::array<uint64_t, Ring::kWords> words;
    auto& slot = ring_->slots[read_ & (Ring::kCapacity - 1)];
    for (size_t i = 0; i < words.size(); ++i) words[i] = slot[i].load(std::memory_order_relaxed);
    message = std::bit_cast<Message>(words);
    ring_->read.store(++read_, std::memory_order_release);
    return RingResult::done;
  }

  [[nodiscard]] bool empty() const noexcept { return ring_->written.load(std::memory_order_acquire) == read_; }

 private:
  Ring* ring_;
  uint64_t read_ = 0;
  uint64_t peer_ = 0;  // the producer's index as last seen
};

}  // namespace mire::mailbox
