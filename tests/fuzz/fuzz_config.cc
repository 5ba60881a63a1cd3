// Any bytes as a configuration file: a configuration whose every hold is within the cap, or lines that say what is
// wrong.
#include <cstdlib>

#include "controlplane/config/config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const mire::config::Outcome outcome = mire::config::parse(text, "f");
  if (outcome.config.has_value() != outcome.errors.empty()) std::abort();
  if (outcome.errors.size() > mire::config::kErrorsShown) std::abort();
  for (const std::string& line : outcome.errors)
    for (const char c : line)
      if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f) std::abort();
  if (!outcome.config) return 0;
  for (const mire::policy::Treatment& t : outcome.config->treatments) {
    if (t.greeting.min_ms > t.greeting.max_ms || t.syn_ack.min_ms > t.syn_ack.max_ms) std::abort();
    if (t.greeting.max_ms + uint32_t{t.syn_ack.max_ms} > mire::policy::kHoldCapMs) std::abort();
  }
  return 0;
}
