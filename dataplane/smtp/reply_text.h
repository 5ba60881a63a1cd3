// reply_text.h - what the replies of our own say: code and status are fixed, the text behind them is the operator's.
//
// One rule for both ends of the mailbox. Refuses to know who is answered and how the bytes travel. Cost: one pass over
// at most 512 bytes; no allocation.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace mire::smtp {

enum class OwnReply : uint8_t { early_talk, blocked, server_down, silent };
inline constexpr size_t kOwnReplies = 4;

inline constexpr size_t kLongestReply = 512;   // RFC 5321 4.5.3.1.5, with CR LF
inline constexpr size_t kLongestText = 500;    // "521 5.7.1 " before it, CR LF behind it
inline constexpr size_t kLongestAddress = 39;  // %address%
inline constexpr size_t kLongestReason = 40;   // %reason%

// As the configuration names it: "early-talk".
[[nodiscard]] std::string_view to_string(OwnReply) noexcept;
// "521 5.7.1"
[[nodiscard]] std::string_view code_of(OwnReply) noexcept;
[[nodiscard]] std::string_view default_text(OwnReply) noexcept;

// Why a text cannot be a reply's, and what to do; empty if it can. It may hold %address% and %reason%.
[[nodiscard]] std::string_view why_unfit(std::string_view text) noexcept;

// Why a line cannot be the first of a greeting, without its CR LF; empty if it can.
[[nodiscard]] std::string_view why_no_teaser(std::string_view line) noexcept;

// The whole line, CR LF included. A text that is fit always fits.
[[nodiscard]] std::span<const uint8_t> write_reply(OwnReply, std::string_view text, std::string_view address,
                                                   std::string_view reason,
                                                   std::array<uint8_t, kLongestReply>& room) noexcept;

}  // namespace mire::smtp
