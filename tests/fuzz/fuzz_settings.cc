// Any bytes as messages of mired: each is refused or decoded, and whatever sequence of them becomes settings is within
// all limits.
#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "dataplane/lcore/settings_builder.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mire;
  lcore::SettingsBuilder builder;
  const Time now{};
  while (size > 0) {
    // One byte says how much of a message follows: most of a message is padding, and padding must be zero.
    const size_t length = std::min<size_t>({size - 1, data[0] % 64u, sizeof(mailbox::DownMessage)});
    mailbox::DownMessage message;
    std::memcpy(static_cast<void*>(&message), data + 1, std::min<size_t>(length, 1));
    if (length > 1) std::memcpy(message.body.data(), data + 2, length - 1);
    data += 1 + length;
    size -= 1 + length;
    const Result<mailbox::Down> down = mailbox::decode(message);
    if (!down) {
      builder.reset();
      continue;
    }
    const auto outcome = builder.take(down.value(), now);
    if (!outcome) continue;
    if ((outcome->settings != nullptr) != outcome->refusal.empty()) std::abort();
    if (outcome->settings == nullptr) continue;
    if (outcome->settings->generation == 0) std::abort();
    for (const policy::Treatment& t : outcome->settings->treatments)
      if (t.greeting.min_ms > t.greeting.max_ms || t.greeting.max_ms + uint32_t{t.syn_ack.max_ms} > policy::kHoldCapMs)
        std::abort();
  }
  return 0;
}
