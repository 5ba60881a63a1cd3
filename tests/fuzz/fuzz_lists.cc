// fuzz_lists.cc - any bytes as a feed, an SPF record, an answer filter, a DNS message.
//
// Properties: a feed is taken whole, sorted and without doubles, or refused in one printable line; what an SPF record
// names can be asked of DNS; what a filter prints it reads again; an answer holds no more than its message could.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <string>

#include "controlplane/lists/dns.h"
#include "controlplane/lists/feed_text.h"
#include "controlplane/lists/prefix_set.h"
#include "controlplane/lists/spf_record.h"

namespace mire::lists {
namespace {

void must(bool right) {
  if (!right) std::abort();
}

void printable(const std::string& line) {
  for (const char c : line) must(static_cast<unsigned char>(c) >= 0x20 && static_cast<unsigned char>(c) < 0x7f);
}

void feed(std::string_view text, FeedFormat format) {
  const Result<FeedContent> content = parse_feed(text, "f", format);
  if (!content) return printable(content.error());
  const std::vector<wire::Prefix>& all = content->prefixes;
  must(std::is_sorted(all.begin(), all.end(), before));
  must(std::adjacent_find(all.begin(), all.end()) == all.end());
  for (const wire::Prefix& p : all) must(!absurdly_wide(p) && wire::parse_prefix(wire::to_string(p)) == p);
}

void spf(std::string_view text) {
  const Result<SpfRecord> record = parse_spf("v=spf1 " + std::string(text));
  if (!record) return printable(record.error());
  for (const SpfTerm& term : record->terms) {
    must(term.domain.empty() || is_domain(term.domain));
    must(wire::masked(term.prefix.address, term.prefix.length) == term.prefix.address);
  }
  must(!record->redirect || is_domain(*record->redirect));
}

void filter(std::string_view text) {
  const Result<AnswerFilter> read = parse_answer_filter(text);
  if (!read) return;
  must(read->bits != 0 || (read->low <= read->high && read->low >> 24 == 127 && read->high >> 24 == 127));
  must(parse_answer_filter(to_string(*read)).value() == *read);
}

void answer(const uint8_t* data, size_t size, QueryType type) {
  const DnsAnswer a = parse_answer(data, size, type);
  must(a.addresses.size() + a.names.size() + a.texts.size() <= size);
  must(!a.trouble() || (a.addresses.empty() && a.names.empty() && a.texts.empty()));
}

}  // namespace
}  // namespace mire::lists

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mire::lists;
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const uint8_t what = data[0] % 12;
  if (what < kFeedFormats)
    feed(text, static_cast<FeedFormat>(what));
  else if (what < 7)
    spf(text);
  else if (what == 7)
    filter(text);
  else
    answer(data + 1, size - 1, std::array{QueryType::a, QueryType::aaaa, QueryType::mx, QueryType::txt}[what - 8]);
  return 0;
}
