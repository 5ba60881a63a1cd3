#include "dataplane/lcore/fragments.h"

#include <fmt/format.h>
#include <rte_ip_frag.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <optional>
#include <random>
#include <vector>

#include "dataplane/base/bucket_table.h"
#include "dataplane/lcore/fragment_bytes.h"
#include "dataplane/wire/checksum.h"

namespace mire::lcore {
namespace {

constexpr size_t kMost = RTE_LIBRTE_IP_FRAG_MAX_FRAG;  // fragments of a datagram that rte_ip_frag can join
constexpr uint16_t kTcpHeader = 20;
constexpr uint16_t kSmtp = 25;
constexpr size_t kIpv4 = 20, kIpv6 = 40, kFragmentHeader = 8;
constexpr uint32_t kNone = 0xffffffff;
constexpr size_t kLongestPacket = 65'535;

struct Key {
  wire::Address source;
  wire::Address destination;
  uint64_t vlan = 0;
  uint32_t id = 0;
  uint8_t from = 0;
  uint8_t ipv6 = 0;
  uint16_t used = 0;  // 1: so that no key is all zeros
  friend bool operator==(const Key&, const Key&) noexcept = default;
};
struct Entry {
  Key key;
  uint64_t datagram = 0;
};
using Table = BucketTable<Entry>;

enum class Datagram : uint8_t {
  unknown,  // its first fragment has not come yet
  smtp,     // waits to be whole
  passing,  // not SMTP: its fragments leave at once
  refused,  // its fragments are dropped
};

struct Piece {
  rte_mbuf* packet = nullptr;
  uint16_t l3 = 0;
  uint16_t data = 0;    // where the fragment's data begin in the frame
  uint16_t length = 0;  // of the data
  uint16_t offset = 0;  // within the datagram
  bool more = false;
};

struct Record {
  Datagram state = Datagram::unknown;
  uint8_t count = 0;
  uint32_t entry = kNone;
  uint32_t older = kNone;  // a list by age
  uint32_t newer = kNone;
  Time since{};
  std::array<Piece, kMost> pieces{};
};

enum class Shape : uint8_t { incomplete, whole, overlapping };

// Is it to be judged? The side decides who is the client (docs/policy.md: connections from lan are never held).
bool is_smtp(const wire::Headers& h, Side from) noexcept {
  return from == Side::wan ? h.destination_port == kSmtp : h.source_port == kSmtp;
}

Shape shape_of(const Record& r) noexcept {
  std::array<const Piece*, kMost> sorted{};
  for (size_t i = 0; i < r.count; ++i) sorted[i] = &r.pieces[i];
  std::sort(sorted.begin(), sorted.begin() + r.count,
            [](const Piece* a, const Piece* b) { return a->offset < b->offset; });
  uint32_t reached = 0;
  bool gap = false, ended = false;
  for (size_t i = 0; i < r.count; ++i) {
    const Piece& p = *sorted[i];
    if (ended || p.offset < reached) return Shape::overlapping;  // or something behind the end
    gap = gap || p.offset > reached;
    reached = uint32_t{p.offset} + p.length;
    ended = !p.more;
  }
  return gap || !ended ? Shape::incomplete : Shape::whole;
}

}  // namespace

class Fragments::Impl {
 public:
  Impl(const FragmentOptions& options, FragmentJudge& judge)
      : options_(options),
        judge_(judge),
        table_(options.datagrams, options.seed ^ 0x66726167),
        records_(options.datagrams),
        packet_(kLongestPacket) {
    for (uint32_t i = options.datagrams; i > 0; --i) {
      records_[i - 1].newer = free_;
      free_ = i - 1;
    }
    copies_ = rte_pktmbuf_pool_create(fmt::format("mire_copies_{}", options.lcore).c_str(), 4 * kMost, 0, 0,
                                      options.data_room, SOCKET_ID_ANY);
    joiner_ = new_joiner();
    if (copies_ == nullptr || joiner_ == nullptr) throw std::bad_alloc();
  }

  ~Impl() {
    while (oldest_ != kNone) forget(oldest_);
    if (joiner_ != nullptr) rte_ip_frag_table_destroy(joiner_);
    rte_mempool_free(copies_);
  }

  bool take(rte_mbuf* packet, Side from, Time now) {
    const std::span<uint8_t> frame{rte_pktmbuf_mtod(packet, uint8_t*), rte_pktmbuf_data_len(packet)};
    if (!may_be_fragment(frame)) [[likely]]
      return false;
    const wire::Headers h = wire::parse(frame);
    const bool first = h.fragment.offset == 0;
    switch (h.kind) {
      case wire::FrameKind::fragment: break;
      case wire::FrameKind::malformed:
        // RFC 7112 5: a first fragment that does not hold the whole header chain hides its port.
        if (!h.ipv6 || !h.fragment.more || !first) return false;
        refuse(packet, counters_.tiny);
        return true;
      case wire::FrameKind::other:
        // The first fragment of another protocol, which is behind an extension header: the others look like TCP's.
        if (first && h.fragment.more) learn(h, from, Datagram::passing, now);
        return false;
      case wire::FrameKind::tcp: return false;
    }
    if (!h.ipv6 && !ipv4_header_valid(frame.subspan(h.l3))) {
      // Whoever it is for will not believe it: neither do we, and it has no part in any datagram.
      counters_.passed.add();
      judge_.forward(packet, from);
      return true;
    }

    const Key key = key_of(h, from);
    const Table::Probe probe = table_.probe(key);
    const uint32_t entry = table_.find(key, probe);
    const uint32_t index = entry == Table::kNone ? kNone : static_cast<uint32_t>(table_[entry].datagram);
    const Datagram state = index == kNone ? Datagram::unknown : records_[index].state;
    switch (state) {
      case Datagram::refused: refuse(packet, counters_.refused); return true;
      case Datagram::passing:
        if (first && (!h.ports_valid || is_smtp(h, from))) {  // another beginning for the same datagram
          records_[index].state = Datagram::refused;
          refuse(packet, counters_.overlap);
        } else {
          counters_.passed.add();
          judge_.forward(packet, from);
        }
        return true;
      case Datagram::unknown:
      case Datagram::smtp: break;
    }

    if (first && !is_judgeable(packet, h, from, index, now)) return true;
    // RFC 3128: offset 1 (in units of 8 bytes) and its sister 2; and what carries nothing.
    if ((!first && h.fragment.offset < kTcpHeader) || h.end == h.fragment.data) {
      if (index != kNone) {
        condemn(index);
      }
      refuse(packet, counters_.tiny);
      return true;
    }
    const uint32_t at = index != kNone ? index : create(key, probe, now);
    if (at == kNone) {
      if (first) {
        refuse(packet, counters_.room_full);
      } else {
        counters_.room_full.add();
        judge_.forward(packet, from);
      }
      return true;
    }
    if (first) records_[at].state = Datagram::smtp;
    keep(at, packet, h, from);
    return true;
  }

  void expire(Time now) {
    while (oldest_ != kNone && records_[oldest_].since + options_.timeout <= now) {
      Record& r = records_[oldest_];
      if (r.state == Datagram::unknown) {
        counters_.left_unknown.add(r.count);
        let_go(r);
      } else if (r.state == Datagram::smtp) {
        counters_.timed_out.add(r.count);
      }
      forget(oldest_);
    }
  }

  [[nodiscard]] const FragmentCounters& counters() const noexcept { return counters_; }

 private:
  static Key key_of(const wire::Headers& h, Side from) noexcept {
    return {.source = h.source,
            .destination = h.destination,
            .vlan = h.vlan.value,
            .id = h.fragment.id,
            .from = static_cast<uint8_t>(from),
            .ipv6 = static_cast<uint8_t>(h.ipv6),
            .used = 1};
  }

  // A first fragment whose datagram is unknown or SMTP. False: it was dealt with here.
  bool is_judgeable(rte_mbuf* packet, const wire::Headers& h, Side from, uint32_t index, Time now) {
    if (h.ports_valid && !is_smtp(h, from)) {
      if (index != kNone && records_[index].state == Datagram::smtp) {  // RFC 5722: another beginning
        condemn(index);
        refuse(packet, counters_.overlap);
        return false;
      }
      const uint32_t at = learn(h, from, Datagram::passing, now);
      counters_.passed.add();
      if (at != kNone) let_go(records_[at]);
      judge_.forward(packet, from);
      return false;
    }
    if (h.payload_length >= kTcpHeader && h.ports_valid) return true;
    if (const uint32_t at = learn(h, from, Datagram::refused, now); at != kNone) condemn(at);  // RFC 1858
    refuse(packet, counters_.tiny);
    return false;
  }

  uint32_t learn(const wire::Headers& h, Side from, Datagram state, Time now) {
    const Key key = key_of(h, from);
    const Table::Probe probe = table_.probe(key);
    const uint32_t entry = table_.find(key, probe);
    const uint32_t index =
        entry != Table::kNone ? static_cast<uint32_t>(table_[entry].datagram) : create(key, probe, now);
    if (index != kNone) records_[index].state = state;
    return index;
  }

  uint32_t create(const Key& key, const Table::Probe& probe, Time now) {
    if (free_ == kNone) return kNone;
    const uint32_t entry = table_.insert(key, probe);
    if (entry == Table::kNone) return kNone;
    const uint32_t index = free_;
    free_ = records_[index].newer;
    table_[entry].datagram = index;
    Record& r = records_[index];
    r = Record{};
    r.entry = entry;
    r.since = now;
    r.older = newest_;
    (newest_ != kNone ? records_[newest_].newer : oldest_) = index;
    newest_ = index;
    return index;
  }

  // Frees what is still kept.
  void forget(uint32_t index) {
    Record& r = records_[index];
    drop_pieces(r);
    (r.older != kNone ? records_[r.older].newer : oldest_) = r.newer;
    (r.newer != kNone ? records_[r.newer].older : newest_) = r.older;
    table_.erase(r.entry);
    r = Record{};
    r.newer = free_;
    free_ = index;
  }

  void keep(uint32_t index, rte_mbuf* packet, const wire::Headers& h, Side from) {
    Record& r = records_[index];
    const Piece piece{
        packet,         h.l3, h.fragment.data, static_cast<uint16_t>(h.end - h.fragment.data), h.fragment.offset,
        h.fragment.more};
    for (size_t i = 0; i < r.count; ++i) {
      if (r.pieces[i].offset == piece.offset && r.pieces[i].length == piece.length && r.pieces[i].more == piece.more) {
        rte_pktmbuf_free(packet);  // a repetition: the first one will be judged, and leave
        return;
      }
    }
    const bool smtp = r.state == Datagram::smtp;
    if (smtp && (r.count == kMost || (piece.more && piece.length % 8 != 0))) {
      condemn(index);
      refuse(packet, counters_.too_many);
      return;
    }
    if (r.count == kMost || held_ == options_.held || held_bytes_ + packet->pkt_len > options_.held_bytes) {
      if (smtp) {
        condemn(index);
        refuse(packet, counters_.room_full);
      } else {
        counters_.room_full.add();
        judge_.forward(packet, from);
      }
      return;
    }
    r.pieces[r.count++] = piece;
    ++held_;
    held_bytes_ += packet->pkt_len;
    counters_.waiting.set(held_);
    if (!smtp) return;
    switch (shape_of(r)) {
      case Shape::incomplete: return;
      case Shape::overlapping:
        counters_.overlap.add();
        condemn(index);
        return;
      case Shape::whole: judge_whole(index, from); return;
    }
  }

  void judge_whole(uint32_t index, Side from) {
    Record& r = records_[index];
    const std::optional<size_t> length = join(r);
    if (!length) {
      counters_.room_full.add(r.count);
      condemn(index);
      return;
    }
    if (*length == 0) {
      counters_.too_many.add();
      condemn(index);
      return;
    }
    counters_.judged.add();
    if (judge_.judge({packet_.data(), *length}, from)) {
      write_back(r);
      rename(r);
      let_go(r);
      forget(index);
    } else {
      condemn(index);
    }
  }

  // Filled and emptied within one call of join(), so it never knows more than one datagram and its time stands still.
  static rte_ip_frag_tbl* new_joiner() { return rte_ip_frag_table_create(8, 2, 16, ~uint64_t{0} >> 1, SOCKET_ID_ANY); }

  // The whole packet into packet_; 0: longer than a packet may be; nothing: no room for the copies.
  std::optional<size_t> join(const Record& r) {
    const bool ipv6 = table_[r.entry].key.ipv6 != 0;
    rte_mbuf* whole = nullptr;
    if (joiner_ == nullptr) return std::nullopt;
    for (size_t i = 0; i < r.count; ++i) {
      const Piece& p = r.pieces[i];
      rte_mbuf* copy = copy_of(p, ipv6);
      if (copy == nullptr) continue;
      auto* ip = rte_pktmbuf_mtod_offset(copy, uint8_t*, p.l3);
      rte_mbuf* joined =
          ipv6 ? rte_ipv6_frag_reassemble_packet(joiner_, &death_row_, copy, 1, reinterpret_cast<rte_ipv6_hdr*>(ip),
                                                 reinterpret_cast<rte_ipv6_fragment_ext*>(ip + kIpv6))
               : rte_ipv4_frag_reassemble_packet(joiner_, &death_row_, copy, 1, reinterpret_cast<rte_ipv4_hdr*>(ip));
      if (joined != nullptr) whole = joined;
    }
    rte_ip_frag_free_death_row(&death_row_, 0);
    if (whole == nullptr) {
      // Copies that were not joined lie in the table: the next datagram must not find them.
      rte_ip_frag_table_destroy(joiner_);
      joiner_ = new_joiner();
      return std::nullopt;
    }
    const size_t length = whole->pkt_len;
    // A priority tag may be on some of the pieces only: the headers are those of the first one's.
    const auto pieces = std::span{r.pieces}.first(r.count);
    const size_t l3 = std::ranges::find(pieces, 0, &Piece::offset)->l3;
    size_t result = 0;
    if (length <= packet_.size()) {
      const void* bytes = rte_pktmbuf_read(whole, 0, static_cast<uint32_t>(length), packet_.data());
      if (bytes != packet_.data()) std::memcpy(packet_.data(), bytes, length);
      if (!ipv6) {
        std::memset(&packet_[l3 + 10], 0, 2);
        const uint16_t sum = wire::fold(wire::sum({&packet_[l3], kIpv4}));
        std::memcpy(&packet_[l3 + 10], &sum, sizeof sum);
      }
      result = length;
    }
    rte_pktmbuf_free(whole);
    return result;
  }

  // The fragment with the plainest header that says the same: options and extension headers in front of the fragment's
  // data are not judged, and rte_ip_frag knows none.
  rte_mbuf* copy_of(const Piece& p, bool ipv6) {
    rte_mbuf* copy = rte_pktmbuf_alloc(copies_);
    if (copy == nullptr) return nullptr;
    const size_t header = p.l3 + (ipv6 ? kIpv6 + kFragmentHeader : kIpv4);
    const auto* frame = rte_pktmbuf_mtod(p.packet, const uint8_t*);
    auto* room = reinterpret_cast<uint8_t*>(rte_pktmbuf_append(copy, static_cast<uint16_t>(header + p.length)));
    if (room == nullptr) {
      rte_pktmbuf_free(copy);
      return nullptr;
    }
    uint8_t* ip = room + p.l3;
    if (ipv6) {
      std::memcpy(room, frame, p.l3 + kIpv6);
      wire::store16(ip + 4, static_cast<uint16_t>(kFragmentHeader + p.length));
      ip[6] = 44;
      std::memcpy(ip + kIpv6, frame + p.data - kFragmentHeader, kFragmentHeader);
    } else {
      std::memcpy(room, frame, p.l3 + kIpv4);
      ip[0] = 0x45;
      wire::store16(ip + 2, static_cast<uint16_t>(kIpv4 + p.length));
    }
    std::memcpy(room + header, frame + p.data, p.length);
    copy->l2_len = p.l3 & 0x7f;  // 14 bytes and at most four tags
    copy->l3_len = (header - p.l3) & 0x1ff;
    return copy;
  }

  // What judgment has edited, into the pieces that it came in: edits keep the length, and leave the IP header alone.
  void write_back(const Record& r) {
    const auto pieces = std::span{r.pieces}.first(r.count);
    const size_t l3 = std::ranges::find(pieces, 0, &Piece::offset)->l3;
    const uint8_t* data = &packet_[l3 + (table_[r.entry].key.ipv6 != 0 ? kIpv6 : kIpv4)];
    for (const Piece& p : pieces)
      std::memcpy(rte_pktmbuf_mtod_offset(p.packet, uint8_t*, p.data), data + p.offset, p.length);
  }

  // What was judged is what the receiver joins: a piece that went before, unjudged, has another identification.
  void rename(Record& r) {
    const Key& key = table_[r.entry].key;
    uint32_t& fresh = fresh_id_[key.from];
    const uint32_t mask = key.ipv6 != 0 ? 0xffffffff : 0xffff;
    do ++fresh;
    while (((fresh ^ key.id) & mask) == 0);
    for (size_t i = 0; i < r.count; ++i) {
      const Piece& p = r.pieces[i];
      uint8_t* ip = rte_pktmbuf_mtod_offset(p.packet, uint8_t*, p.l3);
      key.ipv6 != 0 ? wire::store32(ip + (p.data - p.l3) - 4, fresh) : set_ipv4_id(ip, static_cast<uint16_t>(fresh));
    }
  }

  // The kept ones leave in the order in which they came.
  void let_go(Record& r) {
    const Side from = static_cast<Side>(table_[r.entry].key.from);
    for (size_t i = 0; i < r.count; ++i) {
      released(r.pieces[i]);
      judge_.forward(r.pieces[i].packet, from);
    }
    r.count = 0;
  }

  void drop_pieces(Record& r) {
    for (size_t i = 0; i < r.count; ++i) {
      released(r.pieces[i]);
      rte_pktmbuf_free(r.pieces[i].packet);
    }
    r.count = 0;
  }

  void condemn(uint32_t index) {
    Record& r = records_[index];
    counters_.refused.add(r.count);
    drop_pieces(r);
    r.state = Datagram::refused;
  }

  void refuse(rte_mbuf* packet, Counter& why) {
    why.add();
    rte_pktmbuf_free(packet);
  }

  void released(const Piece& p) noexcept {
    --held_;
    held_bytes_ -= p.packet->pkt_len;
    counters_.waiting.set(held_);
  }

  FragmentOptions options_;
  FragmentJudge& judge_;
  Table table_;
  std::vector<Record> records_;
  std::vector<uint8_t> packet_;
  uint32_t free_ = kNone;
  uint32_t oldest_ = kNone;
  uint32_t newest_ = kNone;
  uint32_t held_ = 0;
  uint32_t held_bytes_ = 0;
  rte_mempool* copies_ = nullptr;
  rte_ip_frag_tbl* joiner_ = nullptr;
  rte_ip_frag_death_row death_row_{};
  // By the side they came from: what a client is shown of replies says nothing of the identifications that its server
  // sees.
  std::array<uint32_t, 2> fresh_id_{std::random_device{}(), std::random_device{}()};
  FragmentCounters counters_;
};

Fragments::Fragments(const FragmentOptions& o, FragmentJudge& j) : impl_(std::make_unique<Impl>(o, j)) {}
Fragments::~Fragments() = default;
bool Fragments::take(rte_mbuf* packet, Side from, Time now) { return impl_->take(packet, from, now); }
void Fragments::expire(Time now) { impl_->expire(now); }
const FragmentCounters& Fragments::counters() const noexcept { return impl_->counters(); }

}  // namespace mire::lcore
