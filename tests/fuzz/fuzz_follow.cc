// fuzz_follow.cc - any bytes as the lines of a mail server's log.
//
// Properties: a line says one thing at most; what is told has an address that the line holds, and a domain that DNS
// could know; what is remembered is bounded and survives being kept.
#include <cstdlib>
#include <string>

#include "tools/follow/exim_log.h"
#include "tools/follow/postfix_log.h"

namespace {

void must(bool right) {
  if (!right) std::abort();
}

void check(const std::optional<mire::follow::Outcome>& outcome) {
  if (!outcome) return;
  must(outcome->amount == 1);
  must((outcome->kind == mire::follow::Kind::outbound) || outcome->domain.empty());
  for (const char c : outcome->domain)
    must((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_');
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mire::follow;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  PostfixLog postfix;
  EximLog exim;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(line.size() < text.size() ? line.size() + 1 : text.size());
    check(postfix.take(line));
    check(exim.take(line));
    // What syslog puts before is soon found by chance; this finds the rest.
    check(postfix.take(std::string("Nov 24 16:00:00 mx postfix/smtpd[1]: ").append(line)));
    check(postfix.take(std::string("Nov 24 16:00:00 mx postfix/smtp[1]: 4ABC: ").append(line)));
    check(exim.take(std::string("2026-11-24 16:00:00 ").append(line)));
  }
  PostfixLog again;
  again.restore(postfix.open());
  must(again.open().size() == postfix.open().size() && postfix.open().size() <= PostfixLog::kMostOpen);
  return 0;
}
