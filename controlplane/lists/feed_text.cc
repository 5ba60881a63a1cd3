#include "controlplane/lists/feed_text.h"

#include <algorithm>

#include "controlplane/lists/feed_reader.h"
#include "controlplane/lists/prefix_set.h"

namespace mire::lists {
namespace {

using LineReader = bool (*)(std::string_view, size_t, FeedReader&);

bool read_lines(std::string_view text, LineReader read, FeedReader& into) {
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.size() > kLongestLine && read != read_fail2ban)
      return into.refuse(number, shown(line), fmt::format("longer than {} bytes", kLongestLine));
    if (!read(line, number, into)) return false;
  }
  return true;
}

bool read(std::string_view text, FeedFormat format, FeedReader& into) {
  switch (format) {
    case FeedFormat::plain: return read_lines(text, read_plain, into);
    case FeedFormat::drop: return read_lines(text, read_drop, into);
    case FeedFormat::json: return read_lines(text, read_json_line, into);
    case FeedFormat::crowdsec: return read_crowdsec(text, into);
    case FeedFormat::fail2ban: return read_lines(text, read_fail2ban, into);
  }
  return false;
}

}  // namespace

Result<FeedContent> parse_feed(std::string_view text, std::string_view file, FeedFormat format) {
  FeedReader reader(file);
  if (text.size() > kLargestFeed) {
    (void)reader.refuse(1, "the file", fmt::format("larger than {} MB", kLargestFeed >> 20));
    return Error{reader.error()};
  }
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);  // a byte order mark
  if (!read(text, format, reader)) return Error{reader.error()};
  std::vector<wire::Prefix>& all = reader.content().prefixes;
  std::sort(all.begin(), all.end(), before);
  all.erase(std::unique(all.begin(), all.end()), all.end());
  all.shrink_to_fit();
  return std::move(reader.content());
}

}  // namespace mire::lists
