// layout.h - what lies in the memory that mired and the dataplane share, and what each message means.
//
// Purpose: one truth for both processes. Anything here that changes its size, order or meaning changes kLayoutVersion;
// both ends compare version and sizes over the socket before they touch the memory. Refuses to know how rings move
// (ring.h) and who listens where.
//
// The memory: one page of header, then for each lcore a ring up (dataplane to mired) and a ring down (mired to
// dataplane). What concerns the whole box goes down in ring 0; the other down rings are for messages to a single lcore.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

#include "dataplane/base/result.h"
#include "dataplane/mailbox/flow_event.h"
#include "dataplane/policy/treatment.h"
#include "dataplane/policy/types.h"
#include "dataplane/smtp/reply_text.h"
#include "dataplane/wire/address.h"
#include "dataplane/wire/offer.h"

namespace mire::mailbox {

inline constexpr uint32_t kMagic = 0x6572694d;  // "Mire" in memory
inline constexpr uint32_t kLayoutVersion = 7;
inline constexpr unsigned kMaxLcores = 64;
inline constexpr uint32_t kUpSlots = 4096;    // messages; a power of two
inline constexpr uint32_t kDownSlots = 4096;  // messages; a power of two

// Where the dataplane listens for mired, unless told otherwise.
inline constexpr const char* kDefaultSocket = "/run/mire/dataplane.sock";

// What a commit may hold. The dataplane refuses more: its memory is not mired's to fill.
inline constexpr uint32_t kMaxClassPrefixes = 1u << 20;
inline constexpr uint32_t kMaxProtected = 1u << 16;
inline constexpr uint32_t kMaxEarlyHellos = 1u << 16;
inline constexpr uint32_t kMaxPenalties = 1u << 16;
inline constexpr uint32_t kMaxProfiles = 4096;  // as many servers as a dataplane knows
inline constexpr uint16_t kMaxGreeting = 4096;  // bytes; what can be judged (smtp::kGreetingBytes)
inline constexpr uint64_t kPenaltyCapMs = 30ull * 24 * 3600 * 1000;
inline constexpr uint32_t kEarlyHelloCapSeconds = 30u * 24 * 3600;  // domain: 30 days after the first hiding
inline constexpr uint32_t kTrapRateCap = 10'000'000;                // answers a second
inline constexpr uint32_t kFlowLimitCap = 1'000'000;                // concurrent and per minute

// --- greetings and texts are longer than a message: they cross in pieces, in order
// --------------------------------------------------------------------

inline constexpr uint16_t kPieceBytes = 80;
inline constexpr size_t kMostPieces = (kMaxGreeting + kPieceBytes - 1) / kPieceBytes;

struct Piece {
  uint16_t total = 0;   // of the whole text
  uint16_t offset = 0;  // of this piece; a multiple of kPieceBytes
  std::array<uint8_t, kPieceBytes> bytes{};
  friend bool operator==(const Piece&, const Piece&) = default;
};
// The piece of `text` that begins at `offset`; at most kMaxGreeting bytes of text.
[[nodiscard]] Piece piece_of(std::string_view text, size_t offset) noexcept;
// How many messages carry a text: an empty one takes one too.
[[nodiscard]] constexpr size_t pieces(size_t bytes) noexcept {
  return bytes == 0 ? 1 : (bytes + kPieceBytes - 1) / kPieceBytes;
}
// A text put together. The first piece begins anew. False: this one does not follow.
[[nodiscard]] bool append(std::string& text, const Piece&);

// What a server has taught a dataplane: enough to meet strangers in its name. One message for each piece of its
// greeting, the same up and down.
struct Profile {
  wire::Address server;
  uint64_t vlan = 0;  // wire::VlanStack::value
  wire::Offer offer;
  uint16_t largest_segment = 0;  // in which the greeting came
  Piece greeting;
  friend bool operator==(const Profile&, const Profile&) = default;
};

// Puts a profile together. A piece that does not follow is left out, and the greeting with it.
class ProfileAssembly {
 public:
  // The whole greeting, once its last piece has come.
  [[nodiscard]] std::optional<std::string> take(const Profile&);

 private:
  Profile first_;
  std::string text_;
};

// --- up: dataplane to mired
// -------------------------------------------------------------------------------------------------

enum class UpKind : uint8_t { flow_event = 1, applied, refused, lost, profile };

struct Applied {
  uint64_t generation = 0;
  friend bool operator==(const Applied&, const Applied&) = default;
};
struct Refused {
  uint64_t generation = 0;
  std::string text;  // one line; at most kRefusalText bytes cross
  friend bool operator==(const Refused&, const Refused&) = default;
};
// Flow events that could not be reported: nobody was there, or a queue was full.
struct Lost {
  uint64_t count = 0;
  friend bool operator==(const Lost&, const Lost&) = default;
};
using Up = std::variant<FlowEvent, Applied, Refused, Lost, Profile>;

// --- down: mired to dataplane
// -----------------------------------------------------------------------------------------------

// A configuration is Begin, one Global, then any of the others in any order, then Commit: whole or not at all. Classes
// without a ClassTreatment keep policy::default_treatments(). Pieces of one text come one behind the other.
enum class DownKind : uint8_t {
  begin = 1,
  global,
  treatment,
  protect,
  class_prefix,
  early_hello,
  penalty,
  text_part,
  profile,
  commit
};

struct Begin {
  uint64_t generation = 0;  // never 0
  friend bool operator==(const Begin&, const Begin&) = default;
};
struct Global {
  bool observe = false;
  bool fail_closed = false;
  uint64_t penalty_first_ms = 60'000;
  uint64_t penalty_most_ms = 24ull * 3600 * 1000;
  policy::TrapRate trap;
  friend bool operator==(const Global&, const Global&) = default;
};
struct ClassTreatment {
  policy::SourceClass source_class = policy::SourceClass::unknown;
  policy::Treatment treatment;
  friend bool operator==(const ClassTreatment&, const ClassTreatment&) = default;
};
// One message for each piece of the greeting that is written for the server; of length 0: the server's own.
struct Protect {
  wire::Address server;
  policy::Pace strangers;
  Piece greeting;
  friend bool operator==(const Protect&, const Protect&) = default;
};
struct ClassPrefix {
  wire::Prefix prefix;
  policy::SourceClass source_class = policy::SourceClass::unknown;
  friend bool operator==(const ClassPrefix&, const ClassPrefix&) = default;
};
// A server that once offered PIPECONNECT. Seconds that remain, because the two processes share no wall clock; 0: its
// days are over, and do not begin anew when it offers it again.
struct EarlyHello {
  wire::Address server;
  uint32_t remaining_seconds = 0;
  friend bool operator==(const EarlyHello&, const EarlyHello&) = default;
};
// A penalty that runs, as an earlier dataplane's events told it: a new one goes on with it.
struct Penalty {
  wire::Address source;  // wire::source_of(client)
  uint32_t remaining_seconds = 0;
  uint32_t since_seconds = 0;  // the latest offence
  uint32_t offences = 0;
  friend bool operator==(const Penalty&, const Penalty&) = default;
};
// A text of ours for others to read: printable ASCII. One message for each piece of it.
struct TextPart {
  uint8_t which = 0;  // smtp::OwnReply, and behind them the teaser of each class
  Piece piece;
  friend bool operator==(const TextPart&, const TextPart&) = default;
};
inline constexpr uint8_t kTexts = smtp::kOwnReplies + policy::kClasses;

struct Commit {
  uint64_t generation = 0;
  uint64_t messages = 0;  // between Begin and Commit, neither counted
  friend bool operator==(const Commit&, const Commit&) = default;
};
using Down =
    std::variant<Begin, Global, ClassTreatment, Protect, ClassPrefix, EarlyHello, Penalty, TextPart, Profile, Commit>;

// --- as they lie in memory
// --------------------------------------------------------------------------------------------------

struct alignas(64) UpMessage {
  uint8_t kind = 0;
  uint8_t zero[7] = {};
  std::array<uint8_t, 184> body{};
};
struct alignas(64) DownMessage {
  uint8_t kind = 0;
  uint8_t zero[7] = {};
  std::array<uint8_t, 120> body{};
};
static_assert(sizeof(UpMessage) == 192 && std::is_trivially_copyable_v<UpMessage>,
              "three cache lines: part of kLayoutVersion");
static_assert(sizeof(DownMessage) == 128 && std::is_trivially_copyable_v<DownMessage>,
              "two cache lines: part of kLayoutVersion");

inline constexpr size_t kRefusalText = 160;

[[nodiscard]] UpMessage encode(const Up&) noexcept;
[[nodiscard]] DownMessage encode(const Down&) noexcept;

// The other process's bytes are hostile input: every enum, flag, length and number is checked, padding must be zero.
// Decode a private copy, never the shared memory itself.
[[nodiscard]] Result<Up> decode(const UpMessage&);
[[nodiscard]] Result<Down> decode(const DownMessage&);

// --- hello: each end sends one over the socket before anybody uses the memory
// --------------------------------------------------

struct Hello {
  uint32_t magic = kMagic;
  uint32_t layout_version = kLayoutVersion;
  uint32_t hello_size = 0;
  uint32_t lcores = 0;
  uint32_t up_slots = kUpSlots;
  uint32_t down_slots = kDownSlots;
  uint32_t up_message_size = sizeof(UpMessage);
  uint32_t down_message_size = sizeof(DownMessage);
  uint64_t memory_size = 0;
  uint32_t pid = 0;      // for people; never trusted
  uint32_t refused = 0;  // 1: go away, another mired is connected
};
static_assert(sizeof(Hello) == 48 && std::is_trivially_copyable_v<Hello>);

[[nodiscard]] Hello own_hello(unsigned lcores) noexcept;
// Nothing wrong: the peer speaks this layout. `theirs` is a private copy of what arrived.
[[nodiscard]] Status compare(const Hello& theirs, unsigned lcores);

}  // namespace mire::mailbox
