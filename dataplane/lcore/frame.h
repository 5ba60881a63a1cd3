// frame.h - how the pipeline sees packets: bytes that somebody else owns, and somewhere to send frames of our own.
//
// No DPDK type here: a live lcore fills bursts from mbufs, mire-replay from a capture, a fuzzer from its input, all
// through the same pipeline. What the pipeline decides is a value in the burst (Fate); the owner of the bytes does it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace mire::lcore {

enum class Side : uint8_t { wan, lan };
[[nodiscard]] constexpr Side other(Side s) noexcept { return s == Side::wan ? Side::lan : Side::wan; }

enum class Fate : uint8_t { forward, drop };

// One received frame. `length` may have shrunk when the pipeline is done with it; bytes may have been edited in place.
struct FrameRef {
  uint8_t* data = nullptr;
  uint16_t length = 0;
  Side from = Side::wan;
  Fate fate = Fate::forward;
  void* owner = nullptr;  // the mbuf, or whatever the caller keeps; never looked at

  [[nodiscard]] std::span<uint8_t> bytes() const noexcept { return {data, length}; }
};

inline constexpr size_t kBurst = 64;

struct Burst {
  std::array<FrameRef, kBurst> frames;
  size_t count = 0;
  size_t decided = 0;  // frames before this one have their fate for good; the pipeline counts it up as it goes
};

// Where frames of our own go. Called only from inside Pipeline calls, on the pipeline's thread.
class Transmitter {
 public:
  virtual ~Transmitter() = default;
  // Room for a frame of `length` bytes that will leave by `to`; empty if there is no buffer (counted by the caller).
  // Each non-empty reserve is followed by exactly one commit before the next reserve. Order of commits is order on the
  // wire; frames that the burst has decided upon leave before what is committed after (a reset must not overtake the
  // handshake's ACK before it).
  virtual std::span<uint8_t> reserve(Side to, size_t length) = 0;
  virtual void commit(size_t length) = 0;
};

}  // namespace mire::lcore
