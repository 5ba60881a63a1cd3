#include "controlplane/config/protect_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "controlplane/config/values.h"
#include "dataplane/mailbox/layout.h"
#include "dataplane/smtp/greeting.h"

namespace mire::config {
namespace {

constexpr size_t kLongestLine = 512;  // RFC 5321 4.5.3.1.5, line end included
constexpr std::string_view kLineEnd = "\r\n";

// Why a line of a greeting is none; empty if it is one.
std::string why_no_line(std::string_view line, bool last) {
  const auto control = [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f; };
  if (std::any_of(line.begin(), line.end(), control)) return "holds a control character; remove it";
  if (line.ends_with("\\n") || line.ends_with("\\r")) return "is written without its line end; remove \\r\\n";
  if (line.size() + kLineEnd.size() > kLongestLine)
    return fmt::format("longer than {} bytes; shorten it", kLongestLine - kLineEnd.size());
  if (last && line != "220" && !line.starts_with("220 "))
    return "no last line of a greeting; write it like \"220 mx.example ESMTP\"";
  if (!last && !line.starts_with("220-")) return "more lines follow; begin it with 220-";
  return {};
}

void read_greeting(const Statement& s, const Place& place, std::string& out, Problems& problems) {
  if (s.has_block || s.words.size() < 2)
    return problems.add(s.line(), place.at("greeting"),
                        "takes the greeting's lines; write greeting \"220 mx.example ESMTP\";");
  std::string greeting;
  for (size_t i = 1; i < s.words.size(); ++i) {
    const Word& line = s.words[i];
    if (const std::string why = why_no_line(line.text, i + 1 == s.words.size()); !why.empty())
      return problems.add(line.line, place.at("greeting " + printable(line.text)), why);
    greeting.append(line.text).append(kLineEnd);
  }
  const auto scan = smtp::scan_greeting({reinterpret_cast<const uint8_t*>(greeting.data()), greeting.size()});
  if (greeting.size() > mailbox::kMaxGreeting || scan.result != smtp::GreetingResult::ready)
    return problems.add(
        s.line(), place.at("greeting"),
        fmt::format("more than {} lines or {} bytes; shorten it", smtp::kGreetingLines, mailbox::kMaxGreeting - 1));
  out = std::move(greeting);
}

}  // namespace

Server read_server(const Statement& s, Problems& problems) {
  Server server;
  const Place place{"protect " + printable(s.words[1].text)};
  const Place pace{place.at("strangers")};
  bool greeted = false;
  const auto number = [&](uint32_t& out) {
    return [&](const Statement& v) {
      const Result<uint32_t> read = parse_number(v.words[1].text, 1, mailbox::kFlowLimitCap);
      if (!read)
        return problems.add(v.line(), pace.at(fmt::format("{} {}", v.key(), printable(v.words[1].text))), read.error());
      out = read.value();
    };
  };
  read_block(s.block, place,
             {{"greeting", Key::Shape::any,
               [&](const Statement& v) {
                 if (std::exchange(greeted, true))
                   return problems.add(v.line(), place.at("greeting"), "given twice; keep one");
                 read_greeting(v, place, server.greeting, problems);
               }},
              {"strangers", Key::Shape::block,
               [&](const Statement& v) {
                 read_block(v.block, pace,
                            {{"concurrent", Key::Shape::value, number(server.strangers.concurrent)},
                             {"per-second", Key::Shape::value, number(server.strangers.per_second)}},
                            problems);
               }}},
             problems);
  return server;
}

}  // namespace mire::config
