#include "controlplane/log/flow_line.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>

namespace mire::log {
namespace {

// VLAN ids from the outermost in, as wire::VlanStack keeps them: 12 bits each, the count above four of them.
std::string vlan_list(uint64_t value) {
  const auto count = std::min<uint64_t>(value >> 48, 4);
  std::string out = "[";
  for (uint64_t i = 0; i < count; ++i)
    out += fmt::format("{}{}", i == 0 ? "" : ",", value >> (12 * (count - 1 - i)) & 0xfff);
  return out + "]";
}

std::string in_seconds(uint64_t ms) { return fmt::format("{}.{:03}", ms / 1000, ms % 1000); }

}  // namespace

std::string rfc3339(WallTime when) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(when.time_since_epoch()).count();
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(static_cast<std::time_t>(ms / 1000)), ms % 1000);
}

std::string printable(std::span<const uint8_t> bytes) {
  std::string out;
  for (const uint8_t b : bytes) {
    if (b == '\\') {
      out += "\\\\";
    } else if (b == '\r') {
      out += "\\r";
    } else if (b == '\n') {
      out += "\\n";
    } else if (b == '\t') {
      out += "\\t";
    } else if (b >= 0x20 && b < 0x7f) {
      out += static_cast<char>(b);
    } else {
      out += fmt::format("\\x{:02x}", b);
    }
  }
  return out;
}

std::string escaped(std::span<const uint8_t> bytes) {
  std::string out;
  for (const char c : printable(bytes)) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

std::string flow_line(const mailbox::FlowEvent& e, WallTime when) {
  const size_t length = std::min<size_t>(e.bytes_length, e.first_bytes.size());
  return fmt::format(
      R"({{"time":"{}","source":"{}","port":{},"server":"{}","vlan":{},"class":"{}","state":"{}","verdict":"{}",)"
      R"("reason":"{}","hold":{},"observed":{},"accepted":{},"penalty":{},"first_bytes":"{}"}})",
      rfc3339(when), wire::to_string(e.client), e.client_port, wire::to_string(e.server), vlan_list(e.vlan),
      policy::to_string(e.source_class), policy::to_string(e.state), policy::to_string(e.verdict),
      policy::to_string(e.reason), in_seconds(e.hold_ms), e.observed != 0, e.accepted, in_seconds(e.penalty_ms),
      escaped(std::span(e.first_bytes).first(length)));
}

}  // namespace mire::log
