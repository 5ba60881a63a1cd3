// fragments.h - IP fragments of TCP: those of SMTP are judged as the packet that they make, all others leave as they
// came.
//
// Purpose: a verdict needs a whole segment, so the fragments of a datagram to or from port 25 wait until it is whole;
// copies of them are joined by rte_ip_frag, the pipeline judges the result, and then the originals leave in their
// order, with what was edited written into them, or none does: none if judgment has shortened the packet. They leave
// under a fresh identification, so that the receiver joins what was judged and nothing that went before. A datagram to
// port 25 that never becomes whole never leaves. Everything is bounded and what finds no room is counted: it passes,
// unless it is known to be of port 25. Refuses to know what the verdict was founded on.
//
// Tricks (RFC 1858, RFC 3128, RFC 5722): a first fragment too small for a TCP header, a fragment at offset 8,
// overlapping fragments: refused for port 25 and where the port is not known. IPv4 fragments with a bad header checksum
// pass and nothing is learnt from them, for no receiver will take them.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "dataplane/base/time.h"
#include "dataplane/lcore/counter.h"
#include "dataplane/lcore/frame.h"
#include "dataplane/wire/parse.h"

struct rte_mbuf;

namespace mire::lcore {

struct FragmentOptions {
  uint32_t datagrams = 1024;  // known at once
  uint32_t held = 1024;       // fragments kept at once
  uint32_t held_bytes = 2u << 20;
  Duration timeout = seconds{1};  // legitimate fragments follow each other within milliseconds
  uint16_t data_room = 2176;      // of the ports' packet buffers
  uint64_t seed = 0;
  unsigned lcore = 0;
};

struct FragmentCounters {
  Counter passed;        // not SMTP: left as they came
  Counter judged;        // datagrams that became whole and were judged
  Counter refused;       // fragments of judged datagrams that did not leave
  Counter tiny;          // RFC 1858 and 3128
  Counter overlap;       // RFC 5722
  Counter too_many;      // more fragments, or bytes, than a segment of any sane peer
  Counter timed_out;     // of port 25, never whole: dropped
  Counter left_unknown;  // their first fragment never came: left
  Counter room_full;     // no room: of port 25 dropped, of unknown port passed
  Counter waiting;       // gauge
};

// What becomes of packets, as the lcore does it.
class FragmentJudge {
 public:
  virtual ~FragmentJudge() = default;
  // True if the whole packet may go on, as long as it was. Its TCP segment may have been edited.
  virtual bool judge(std::span<uint8_t> frame, Side from) = 0;
  // Takes the packet.
  virtual void forward(rte_mbuf* packet, Side from) = 0;
};

class Fragments {
 public:
  Fragments(const FragmentOptions&, FragmentJudge&);
  ~Fragments();
  Fragments(const Fragments&) = delete;
  Fragments& operator=(const Fragments&) = delete;

  // True: the packet was taken. False: it is no fragment of TCP and goes the usual way.
  bool take(rte_mbuf* packet, Side from, Time now);
  // Ends what waited too long. Cheap when nothing waits.
  void expire(Time now);
  [[nodiscard]] const FragmentCounters& counters() const noexcept;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mire::lcore
