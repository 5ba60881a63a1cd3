// kinds.h - one frame of every kind, and what the programs must take it for.
#pragma once

#include <string>
#include <vector>

#include "dataplane/wire/craft.h"
#include "tests/unit/wire/frames.h"

namespace mire::ebpf::test {

using wire::test::Bytes;

enum class Taken {
  other,   // certainly not TCP/25
  judged,  // TCP/25, or what may be
  about,   // an ICMP error about TCP/25: for the dataplane if there is one, and else like the others
};

struct Kind {
  std::string name;
  Bytes frame;
  Taken taken;
  unsigned tags = 0;
};

inline Bytes udp(unsigned source_port = 53, unsigned destination_port = 25) {
  Bytes b(20);
  wire::test::put16(b, 0, source_port);
  wire::test::put16(b, 2, destination_port);
  wire::test::put16(b, 4, 20);
  return b;
}

inline std::vector<Kind> every_kind() {
  using namespace wire::test;  // NOLINT(google-build-using-namespace)
  const TcpSpec to25{.source_port = 40000, .destination_port = 25},
      from25{.source_port = 25, .destination_port = 40000}, to80{.source_port = 40000, .destination_port = 80};
  const Bytes arp(28, 1), echo{8, 0, 0, 0, 0, 1, 0, 1}, solicitation(24, 0x87), report(28, 0x8f);
  const Bytes unreachable{3, 4, 0, 0, 0, 0, 5, 0}, redirect{5, 1, 0, 0, 192, 0, 2, 1}, too_big{2, 0, 0, 0, 0, 0, 5, 0};
  const Tag c{0x8100, 7}, s{0x88a8, 7}, old{0x9100, 7};
  const auto v4 = [](const Ip4Spec& spec, const Bytes& body) { return ethernet(0x0800, ipv4(spec, body)); };
  const auto v6 = [](unsigned first, const Bytes& chain, const Bytes& body) {
    return ethernet(0x86dd, ipv6(first, chain, body, false));
  };
  return {
      {"ARP", ethernet(0x0806, arp), Taken::other},
      {"ND", v6(58, {}, solicitation), Taken::other},
      {"MLD behind hop-by-hop options", v6(0, extension(0, 58), report), Taken::other},
      {"ICMP", v4({.protocol = 1}, echo), Taken::other},
      {"ICMPv6", v6(58, {}, echo), Taken::other},
      {"UDP to port 25", v4({.protocol = 17}, udp()), Taken::other},
      {"UDP over IPv6", v6(17, {}, udp()), Taken::other},
      {"IGMP behind a router alert", v4({.protocol = 2, .options = {0x94, 4, 0, 0}}, echo), Taken::other},
      {"later fragment of UDP", v4({.protocol = 17, .fragment = 0x2010}, udp()), Taken::other},
      {"later fragment of UDP over IPv6", v6(44, fragment_header(17, 64, true), udp()), Taken::other},
      {"UDP behind two extension headers", v6(0, extension(0, 60, 16) + extension(60, 17, 8), udp()), Taken::other},
      {"UDP behind an authentication header and options", v6(51, extension(51, 60, 24) + extension(60, 17, 16), udp()),
       Taken::other},
      {"GRE", v4({.protocol = 47}, udp()), Taken::other},
      {"ESP over IPv6", v6(50, {}, udp()), Taken::other},
      {"MPLS", ethernet(0x8847, arp), Taken::other},
      {"LLDP", ethernet(0x88cc, arp), Taken::other},
      {"spanning tree", ethernet(38, arp), Taken::other},
      {"TCP to 80", frame4(to80), Taken::other},
      {"TCP to 80 over IPv6", frame6(to80), Taken::other},
      {"TCP to 80 with a tag", frame4(to80, {c}), Taken::other, 1},
      {"TCP to 80 with two tags", frame4(to80, {s, c}), Taken::other, 2},
      {"ARP with two tags", ethernet(0x0806, arp, {s, c}), Taken::other, 2},

      {"error about UDP", v4({.protocol = 1}, unreachable + ipv4({.protocol = 17}, udp())), Taken::other},
      {"error about TCP to 80", v4({.protocol = 1}, unreachable + ipv4({}, tcp(to80))), Taken::other},
      {"redirect about TCP to 25", v4({.protocol = 1}, redirect + ipv4({}, tcp(to25))), Taken::other},
      {"error behind options", v4({.protocol = 1, .options = {1, 1, 1, 0}}, unreachable + ipv4({}, tcp(to25))),
       Taken::other},
      {"error over IPv6 about TCP to 80", v6(58, {}, too_big + ipv6(6, {}, tcp(to80))), Taken::other},
      {"error over IPv6 about UDP", v6(58, {}, too_big + ipv6(17, {}, udp(), false)), Taken::other},
      {"error about TCP to 25", v4({.protocol = 1}, unreachable + ipv4({}, tcp(to25))), Taken::about},
      {"error about TCP from 25", v4({.protocol = 1}, unreachable + ipv4({}, tcp(from25))), Taken::about},
      {"error about TCP from 25, as short as can be",
       v4({.protocol = 1}, unreachable + ipv4({.fragment = 0}, Bytes{0, 25, 0x9c, 0x40, 1, 2, 3, 4})), Taken::about},
      {"error about TCP with options", v4({.protocol = 1}, unreachable + ipv4({.options = {1, 1, 1, 0}}, tcp(to25))),
       Taken::about},
      {"error with a tag", ethernet(0x0800, ipv4({.protocol = 1}, unreachable + ipv4({}, tcp(to25))), {c}),
       Taken::about, 1},
      {"error over IPv6 about TCP from 25", v6(58, {}, too_big + ipv6(6, {}, tcp(from25))), Taken::about},

      {"TCP to 25", frame4(to25), Taken::judged},
      {"TCP from 25", frame4(from25), Taken::judged},
      {"TCP to 25 over IPv6", frame6(to25), Taken::judged},
      {"TCP from 25 over IPv6", frame6(from25), Taken::judged},
      {"TCP to 25 with a tag", frame4(to25, {c}), Taken::judged, 1},
      {"TCP from 25 over IPv6 with a tag", frame6(from25, {c}), Taken::judged, 1},
      {"TCP to 25 with two tags", frame4(to25, {s, c}), Taken::judged, 2},
      {"TCP to 25 with an old outer tag", frame4(to25, {old, c}), Taken::judged, 2},
      {"TCP to 25 with three tags", frame4(to25, {s, c, c}), Taken::judged, 3},
      {"TCP to 80 with three tags", frame4(to80, {s, c, c}), Taken::judged, 3},
      {"UDP with three tags", ethernet(0x0800, ipv4({.protocol = 17}, udp()), {s, c, c}), Taken::judged, 3},
      {"TCP to 25 behind IPv4 options", v4({.options = {1, 1, 1, 0}}, tcp(to25)), Taken::judged},
      {"TCP to 80 behind IPv4 options", v4({.options = {1, 1, 1, 0}}, tcp(to80)), Taken::judged},
      {"first fragment of TCP", v4({.fragment = 0x2000}, tcp(to25)), Taken::judged},
      {"later fragment of TCP", v4({.fragment = 0x2004}, tcp(to80)), Taken::judged},
      {"last fragment of TCP", v4({.fragment = 0x0004}, tcp(to80)), Taken::judged},
      {"TCP to 25 behind hop-by-hop options", v6(0, extension(0, 6), tcp(to25)), Taken::judged},
      {"TCP to 25 behind two extension headers", v6(0, extension(0, 60, 16) + extension(60, 6, 24), tcp(to25)),
       Taken::judged},
      {"TCP to 25 behind a routing header", v6(43, extension(43, 6, 24), tcp(to25)), Taken::judged},
      {"TCP to 25 behind destination options", v6(60, extension(60, 6, 2048), tcp(to25)), Taken::judged},
      {"TCP to 25 behind an authentication header", v6(51, extension(51, 6, 24), tcp(to25)), Taken::judged},
      {"first fragment of TCP over IPv6", v6(44, fragment_header(6, 0, true), tcp(to25)), Taken::judged},
      {"later fragment of TCP over IPv6", v6(44, fragment_header(6, 64, false), tcp(to80)), Taken::judged},
      {"later fragment of what only the first one knows", v6(44, fragment_header(60, 64, false), tcp(to80)),
       Taken::judged},
      {"TCP to 25 behind a chain too long to walk",
       v6(60,
          extension(60, 60) + extension(60, 60) + extension(60, 60) + extension(60, 60) + extension(60, 60) +
              extension(60, 60) + extension(60, 6),
          tcp(to25)),
       Taken::judged},
      {"IPv6 by its type, IPv4 by its version", ethernet(0x86dd, ipv4({}, tcp(to25))), Taken::judged},
      {"IPv4 by its type, IPv6 by its version", ethernet(0x0800, ipv6(6, {}, tcp(to25), false)), Taken::judged},
  };
}

// A flow that only its dataplane can carry on, client port 40000, and its frames as either side sends them.
struct KeptFlow {
  std::string name;
  wire::Address client;
  wire::Address server;
  std::vector<uint16_t> tags{};

  // side 0: the client's, from wan.
  [[nodiscard]] Bytes frame(unsigned side, uint8_t flags) const {
    wire::Segment seg;
    seg.link.length = 12;
    for (const uint16_t tag : tags) {
      wire::store16(&seg.link.bytes[seg.link.length], 0x8100);
      wire::store16(&seg.link.bytes[seg.link.length + 2u], tag);
      seg.link.length = static_cast<uint8_t>(seg.link.length + 4);
    }
    wire::store16(&seg.link.bytes[seg.link.length], client.is_v4() ? 0x0800 : 0x86dd);
    seg.link.length = static_cast<uint8_t>(seg.link.length + 2);
    seg.source = side == 0 ? client : server;
    seg.destination = side == 0 ? server : client;
    seg.source_port = side == 0 ? 40000 : 25;
    seg.destination_port = side == 0 ? 25 : 40000;
    seg.flags = flags;
    Bytes bytes(wire::crafted_size(seg));
    bytes.resize(wire::craft(seg, bytes));
    return bytes;
  }
};

inline std::vector<KeptFlow> kept_flows() {
  const auto a = [](const char* text) { return *wire::parse_address(text); };
  return {{"IPv4", a("192.0.2.1"), a("198.51.100.25")},
          {"IPv6", a("2001:db8::1"), a("2001:db8:25::25")},
          {"IPv4 on a VLAN", a("192.0.2.2"), a("198.51.100.25"), {7}},
          {"IPv6 on two", a("2001:db8::2"), a("2001:db8:25::25"), {7, 8}}};
}

}  // namespace mire::ebpf::test
