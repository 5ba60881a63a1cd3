// survivors.h - the flows that only we can carry on, in memory that outlives the process.
//
// Purpose: a dataplane that is killed and started again goes on with the flows that it met itself: their clients were
// told numbers that nobody else knows. One file a lcore on a file system in memory, mapped; a record is written whole
// and then marked, so that one cut off in the middle is none. Written where a flow changes its state, not for each
// packet. Fixed size: what finds no place is not kept (counted by the caller). Refuses to know what a flow is beyond
// its record. Assumes: one thread writes a file; what is read back is our own, but checked like anybody's.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "dataplane/base/keyed_hash.h"
#include "dataplane/base/result.h"
#include "dataplane/base/time.h"
#include "dataplane/defer/cookie.h"
#include "dataplane/defer/server_profile.h"
#include "dataplane/policy/types.h"
#include "dataplane/wire/address.h"
#include "dataplane/wire/craft.h"
#include "dataplane/wire/seq.h"
#include "dataplane/wire/translate.h"

namespace mire::defer {

// Whose flow. Hashed and compared as bytes.
struct FlowName {
  wire::Address client;
  wire::Address server;
  uint64_t vlan = 0;
  uint32_t client_port = 0;
  uint32_t reserved = 0;
  friend bool operator==(const FlowName&, const FlowName&) noexcept = default;
};
static_assert(std::has_unique_object_representations_v<FlowName>);

// What it takes to go on. Numbers in host byte order, time of CLOCK_MONOTONIC.
struct Survivor {
  FlowName name;
  static constexpr size_t kGreeting = 240;    // bytes; a flow with a longer one is not kept
  policy::State state = policy::State::none;  // met, deferred, invited or talking
  policy::SourceClass source_class = policy::SourceClass::unknown;
  bool timestamps = false;
  uint8_t generation = 0;  // of the offer that its SYN-ACK made
  uint16_t client_window = 0;
  uint16_t hold_ms = 0;
  wire::SeqNo client_isn;
  wire::SeqNo server_isn;         // ours
  wire::SeqNo greeted_to;         // invited, talking: behind the greeting that we sent
  uint32_t client_clock = 0;      // its latest TSval
  uint32_t offered = 0;           // flow::ParkedSynAck, as a word
  uint64_t deadline_ms = 0;       // deferred: of the hold
  wire::Translation translation;  // talking
  wire::LinkHeader to_server;
  wire::LinkHeader to_client;
  Offer offer;  // what is known of the server
  uint16_t greeting_length = 0;
  uint16_t teaser_length = 0;  // deferred, invited: of the line before the server's own, if the client was told one
  std::array<uint8_t, kGreeting> greeting{};
};

class SurvivorFile {
 public:
  // Makes or empties the file, all of its memory taken at once: there is no later moment at which it could be missing
  // without harm. `places`: flows it can keep; `key`: of the numbers and clocks that strangers were met
  // with, so that those go on too.
  static Result<SurvivorFile> create(const std::string& path, uint32_t places, const CookieKey& key);
  // What a file holds, whoever wrote it: nothing if it is none of ours, of another layout, or was last written to more
  // than two minutes ago (by then the clients have given up).
  struct Found {
    std::optional<CookieKey> key;  // if the file is ours and of now
    std::vector<Survivor> flows;
  };
  static Found read(const std::string& path, Time now);

  SurvivorFile(SurvivorFile&&) noexcept;
  SurvivorFile& operator=(SurvivorFile&&) noexcept;
  ~SurvivorFile();

  // Writes or overwrites the record of that flow. no_room: no place near where it belongs.
  enum class Kept : uint8_t { no_room, fresh, again };
  Kept keep(const Survivor&) noexcept;
  // False: it was not kept.
  bool forget(const FlowName&) noexcept;
  // Says that we live. Some times a second.
  void beat(Time now) noexcept;

 private:
  struct Header;
  // Header, marks, records: a look-up reads the marks of its places, two cache lines, and no record but its own.
  SurvivorFile(void* mapped, size_t bytes, uint32_t places, uint64_t seed) noexcept;
  [[nodiscard]] static size_t size_for(uint32_t places) noexcept;
  [[nodiscard]] uint64_t* marks() const noexcept;
  [[nodiscard]] Survivor* records() const noexcept;
  // The flow's place, else an empty one, else kNone; and its mark.
  [[nodiscard]] std::pair<uint32_t, uint64_t> find(const FlowName&) const noexcept;

  static constexpr uint32_t kReach = 16;  // places that a flow may take, from its own on
  static constexpr uint32_t kNone = 0xffffffff;
  KeyedHash hash_;
  void* mapped_ = nullptr;
  size_t bytes_ = 0;
  uint32_t places_ = 0;
};

}  // namespace mire::defer
