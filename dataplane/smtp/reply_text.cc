#include "dataplane/smtp/reply_text.h"

#include <algorithm>

namespace mire::smtp {
namespace {

constexpr std::string_view kAddress = "%address%", kReason = "%reason%";

struct Words {
  std::string_view name;
  std::string_view code;
  std::string_view text;
};
constexpr std::array<Words, kOwnReplies> kWords = {{
    {"early-talk", "521 5.7.1", "You spoke before the greeting"},
    {"blocked", "554 5.7.1", "No mail is accepted from %address%"},
    {"server-down", "421 4.3.2", "Service not available, try again later"},
    {"silent", "421 4.4.2", "Idle for too long, closing the connection"},
}};

bool is_printable(std::string_view s) noexcept {
  return std::all_of(s.begin(), s.end(), [](char c) { return c >= 0x20 && c <= 0x7e; });
}

}  // namespace

std::string_view to_string(OwnReply r) noexcept { return kWords[static_cast<size_t>(r)].name; }
std::string_view code_of(OwnReply r) noexcept { return kWords[static_cast<size_t>(r)].code; }
std::string_view default_text(OwnReply r) noexcept { return kWords[static_cast<size_t>(r)].text; }

std::string_view why_unfit(std::string_view text) noexcept {
  if (text.empty()) return "empty; leave it out for the default";
  if (!is_printable(text)) return "holds a line break or what is not printable ASCII; one line of plain words";
  size_t length = 0;
  while (!text.empty()) {
    if (text.starts_with(kAddress)) {
      length += kLongestAddress;
      text.remove_prefix(kAddress.size());
    } else if (text.starts_with(kReason)) {
      length += kLongestReason;
      text.remove_prefix(kReason.size());
    } else if (text.front() == '%') {
      return "a % that begins neither %address% nor %reason%; write one of the two";
    } else {
      ++length;
      text.remove_prefix(1);
    }
  }
  return length > kLongestText ? "longer than a reply may be (512 bytes); shorten it" : std::string_view{};
}

std::string_view why_no_teaser(std::string_view line) noexcept {
  if (!line.starts_with("220-")) return "no first line of a greeting; write it like \"220-mx.example\"";
  if (!is_printable(line)) return "holds a line break or what is not printable ASCII; one line of plain words";
  return line.size() > kLongestReply - 2 ? "longer than a reply may be (512 bytes); shorten it" : std::string_view{};
}

std::span<const uint8_t> write_reply(OwnReply r, std::string_view text, std::string_view address,
                                     std::string_view reason, std::array<uint8_t, kLongestReply>& room) noexcept {
  size_t n = 0;
  const auto put = [&](std::string_view s) {
    const size_t fits = std::min(s.size(), kLongestReply - 2 - n);
    std::copy_n(s.begin(), fits, room.begin() + static_cast<ptrdiff_t>(n));
    n += fits;
  };
  put(code_of(r));
  put(" ");
  while (!text.empty()) {
    if (text.starts_with(kAddress)) {
      put(address);
      text.remove_prefix(kAddress.size());
    } else if (text.starts_with(kReason)) {
      put(reason);
      text.remove_prefix(kReason.size());
    } else {
      put(text.substr(0, 1));
      text.remove_prefix(1);
    }
  }
  room[n++] = '\r';
  room[n++] = '\n';
  return std::span{room}.first(n);
}

}  // namespace mire::smtp
