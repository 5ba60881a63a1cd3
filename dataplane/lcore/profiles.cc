// What servers teach us, what mired kept of it from an earlier dataplane, and what it is told of it.
#include <algorithm>

#include "dataplane/lcore/pipeline_impl.h"

namespace mire::lcore {

namespace {
constexpr Duration kTellAgain = std::chrono::minutes{1};  // a greeting with the time of day changes with each dialogue
}

// What strangers will be greeted with.
void Pipeline::Impl::learn_greeting(uint32_t server, std::span<const uint8_t> greeting, uint16_t segment) {
  const uint32_t id = banners_.acquire(greeting, segment);
  if (id == 0) return;
  ServerFacts& known = known_servers_[server];
  const uint32_t before = known.profile.saw_greeting(id, static_cast<uint32_t>(greeting.size()));
  if (before != 0) banners_.release(before);
  if (now_ >= known.tell_after) tell(server);
}

// With each commit: what is kept of servers that we have not learned ourselves, so that strangers are met from the
// first SYN on. Whatever mired does not have of the others it is told; it may have been away.
void Pipeline::Impl::recall_profiles() {
  for (const auto& [key, kept] : settings_->profiles) {
    const Endpoint e{key.first, key.second};
    if (!settings_->protects(e.address) || endpoints_.find(e) != 0) continue;
    if (endpoints_.size() >= endpoints_.capacity() / 2) break;  // room for those who are there today
    if (const uint32_t id = endpoints_.acquire(e); id != 0) {
      known_servers_[id] = facts_of(e.address);
      heed(id);
    }
  }
  for (uint32_t id = 1; id <= endpoints_.capacity(); ++id) {
    if (!known_servers_[id].is_protected) continue;
    const auto found = settings_->profiles.find({endpoints_[id].address, endpoints_[id].vlan});
    const source::KeptProfile* kept = found == settings_->profiles.end() ? nullptr : &found->second;
    if (kept != nullptr) recall(id, *kept);
    if (!is_kept(id, kept)) {
      known_servers_[id].told = 0;
      tell(id);
    }
  }
}

// What the operator says of a server, with each commit.
void Pipeline::Impl::heed(uint32_t server) {
  ServerFacts& known = known_servers_[server];
  const auto said = settings_->servers.find(endpoints_[server].address);
  known.strangers.reset();
  uint32_t greeting = 0;
  if (said != settings_->servers.end()) {
    const std::string& text = said->second.greeting;
    known.strangers = said->second.strangers;
    greeting = banners_.acquire({reinterpret_cast<const uint8_t*>(text.data()), text.size()}, kLeastMss);
    if (greeting == 0 && !text.empty()) count(Reason::banner_pool_full);
  }
  if (const uint32_t before = known.profile.write(greeting); before != 0) banners_.release(before);
}

void Pipeline::Impl::recall(uint32_t server, const source::KeptProfile& kept) {
  const std::span<const uint8_t> bytes{reinterpret_cast<const uint8_t*>(kept.greeting.data()), kept.greeting.size()};
  const uint32_t id = banners_.acquire(bytes, kept.largest_segment);
  if (id == 0) return;
  ServerFacts& known = known_servers_[server];
  if (known.profile.recall(kept.offer, id, static_cast<uint32_t>(bytes.size()))) {
    known.told = known.profile.revision();
  } else {
    banners_.release(id);
  }
}

bool Pipeline::Impl::is_kept(uint32_t server, const source::KeptProfile* kept) const {
  const defer::ServerProfile& ours = known_servers_[server].profile;
  if (!ours.learned()) return true;  // nothing to tell
  if (kept == nullptr || kept->offer != ours.offer()) return false;
  const auto greeting = banners_.bytes(ours.learned_greeting());
  return std::equal(greeting.begin(), greeting.end(), kept->greeting.begin(), kept->greeting.end(),
                    [](uint8_t a, char b) { return a == static_cast<uint8_t>(b); });
}

void Pipeline::Impl::tell(uint32_t server) {
  ServerFacts& known = known_servers_[server];
  const defer::ServerProfile& profile = known.profile;
  if (!profile.learned() || known.told == profile.revision()) return;
  const auto bytes = banners_.bytes(profile.learned_greeting());
  const std::string_view greeting{reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  if (greeting.size() > mailbox::kMaxGreeting) return;
  const size_t count = mailbox::pieces(greeting.size());
  for (size_t i = 0; i < count; ++i)
    telling_[i] = {endpoints_[server].address, endpoints_[server].vlan, profile.offer(),
                   banners_.largest_segment(profile.learned_greeting()),
                   mailbox::piece_of(greeting, i * mailbox::kPieceBytes)};
  if (!events_.tell(std::span<const mailbox::Profile>{telling_}.first(count))) return;
  known.told = profile.revision();
  known.tell_after = now_ + kTellAgain;
}

}  // namespace mire::lcore
