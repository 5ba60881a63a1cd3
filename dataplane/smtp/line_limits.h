// line_limits.h - how long a line may become before we stop following it.
//
// Above RFC 5321 4.5.3.1.4's 512 bytes, for extensions add to them. The line's end is included.
#pragma once

namespace mire::smtp {

inline constexpr unsigned kLineBytes = 2048;       // of a command or reply line
inline constexpr unsigned kAuthLineBytes = 12288;  // of AUTH and the lines that answer a 334: RFC 4954 4

}  // namespace mire::smtp
