#include "controlplane/lists/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace mire::lists {
namespace {

constexpr std::array<std::string_view, kFeedFormats> kFormatNames = {"plain", "drop", "json", "crowdsec", "fail2ban"};
constexpr uint32_t kLoopback = 127;

std::optional<uint32_t> number_of(std::string_view text) noexcept {
  const std::optional<wire::Address> a = wire::parse_address(text);
  if (!a || !a->is_v4() || text.find(':') != std::string_view::npos) return {};
  return uint32_t{a->bytes[12]} << 24 | uint32_t{a->bytes[13]} << 16 | uint32_t{a->bytes[14]} << 8 | a->bytes[15];
}

std::optional<uint32_t> octet_of(std::string_view text) noexcept {
  unsigned n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc{} || end != text.data() + text.size() || n > 255) return {};
  return n;
}

Error refused(std::string_view text, std::string_view why) {
  return Error{fmt::format("answers {}: {}; try 127.0.0.2, 127.0.0.2-11, 127.0.1.0/24 or &0.0.0.4", text, why)};
}

std::string dotted(uint32_t a) { return fmt::format("{}.{}.{}.{}", a >> 24, a >> 16 & 0xff, a >> 8 & 0xff, a & 0xff); }

}  // namespace

std::string_view to_string(FeedFormat format) noexcept { return kFormatNames[static_cast<size_t>(format)]; }

std::optional<FeedFormat> feed_format(std::string_view name) noexcept {
  const auto found = std::find(kFormatNames.begin(), kFormatNames.end(), name);
  if (found == kFormatNames.end()) return {};
  return static_cast<FeedFormat>(found - kFormatNames.begin());
}

Result<AnswerFilter> parse_answer_filter(std::string_view text) {
  if (text.starts_with('&')) {
    const std::optional<uint32_t> bits = number_of(text.substr(1));
    if (!bits || *bits == 0 || *bits >> 24 != 0) return refused(text, "no bits of the last three octets");
    return AnswerFilter{0, 0, *bits};
  }
  AnswerFilter filter;
  const size_t dash = text.find('-');
  if (text.find('/') != std::string_view::npos) {
    const std::optional<wire::Prefix> p = wire::parse_prefix(text);
    const std::optional<uint32_t> low = p ? number_of(wire::to_string(p->address)) : std::nullopt;
    if (!low || p->length < 8) return refused(text, "not a prefix within 127.0.0.0/8");
    filter.low = *low;
    filter.high = *low | (p->length == 32 ? 0 : uint32_t{0xffffffff} >> p->length);
  } else {
    const std::optional<uint32_t> low = number_of(text.substr(0, dash));
    if (!low) return refused(text, "not an IPv4 address");
    filter.low = filter.high = *low;
    if (dash != std::string_view::npos) {
      const std::string_view end = text.substr(dash + 1);
      const std::optional<uint32_t> octet = octet_of(end);
      const std::optional<uint32_t> high = octet ? std::optional((*low & 0xffffff00) | *octet) : number_of(end);
      if (!high || *high < *low) return refused(text, "the range has no end, or ends before it begins");
      filter.high = *high;
    }
  }
  // RFC 5782 2.1: what a list answers lies in 127/8. Anything else is a name server that answers for everybody.
  if (filter.low >> 24 != kLoopback || filter.high >> 24 != kLoopback) return refused(text, "not within 127.0.0.0/8");
  return filter;
}

std::string to_string(const AnswerFilter& filter) {
  if (filter.bits != 0) return fmt::format("&{}", dotted(filter.bits));
  if (filter.low == filter.high) return dotted(filter.low);
  if (filter.low >> 8 == filter.high >> 8) return fmt::format("{}-{}", dotted(filter.low), filter.high & 0xff);
  return fmt::format("{}-{}", dotted(filter.low), dotted(filter.high));
}

bool is_domain(std::string_view name) noexcept {
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name.size() > 253 || name.find('.') == std::string_view::npos) return false;
  size_t label = 0;
  for (const char c : name) {
    if (c == '.') {
      if (label == 0) return false;
      label = 0;
      continue;
    }
    const bool fine =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    if (!fine || ++label > 63) return false;
  }
  return label > 0;
}

}  // namespace mire::lists
