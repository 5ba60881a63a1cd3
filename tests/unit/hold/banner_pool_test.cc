// Greetings interned by content, against a model that simply remembers.
#include "dataplane/hold/banner_pool.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>

namespace mire::hold {
namespace {

std::span<const uint8_t> span_of(const std::string& s) {
  return {reinterpret_cast<const uint8_t*>(s.data()), s.size()};
}
std::string text(const BannerPool& p, uint32_t id) { return {p.bytes(id).begin(), p.bytes(id).end()}; }

TEST(BannerPool, EqualBytesShareOneEntryUntilTheLastUserGoes) {
  BannerPool p(4096, 1);
  const std::string greeting = "220 mx ESMTP\r\n";
  const uint32_t a = p.acquire(span_of(greeting), 14), b = p.acquire(span_of(greeting), 14);
  EXPECT_NE(a, 0u);
  EXPECT_EQ(a, b);
  EXPECT_NE(p.acquire(span_of(greeting), 7), a) << "sent in smaller segments: another entry";
  EXPECT_EQ(text(p, a), greeting);
  p.release(a);
  EXPECT_EQ(text(p, b), greeting);
  p.release(b);
  EXPECT_EQ(p.size(), 1u);
}

TEST(BannerPool, RefusesWhatIsEmptyOrTooLarge) {
  BannerPool p(1 << 16, 1);
  EXPECT_EQ(p.acquire({}, 1), 0u);
  const std::string most(BannerPool::kLargest, 'x'), more(BannerPool::kLargest + 1, 'x');
  EXPECT_NE(p.acquire(span_of(most), 1), 0u);
  EXPECT_EQ(p.acquire(span_of(more), 1), 0u);
}

TEST(BannerPool, BehavesAsItsModelUnderRandomUse) {
  std::mt19937 chance{7};
  BannerPool p(16 * 1024, 1);
  std::map<std::string, std::pair<uint32_t, uint32_t>> model;  // content: number, users
  uint32_t full = 0;
  for (int i = 0; i < 200'000; ++i) {
    if (chance() % 2 == 0) {
      std::string s(1 + chance() % (chance() % 8 == 0 ? 4000 : 120), static_cast<char>('a' + chance() % 20));
      s += std::to_string(chance() % 40);
      const uint32_t id = p.acquire(span_of(s), 100);
      const auto known = model.find(s);
      if (known != model.end()) {
        ASSERT_EQ(id, known->second.first);
        ++known->second.second;
      } else if (id == 0) {
        ++full;
      } else {
        for (const auto& [other, entry] : model) ASSERT_NE(entry.first, id) << other;
        model[s] = {id, 1};
      }
    } else if (!model.empty()) {
      auto it = model.begin();
      std::advance(it, static_cast<long>(chance() % model.size()));
      ASSERT_EQ(text(p, it->second.first), it->first);
      p.release(it->second.first);
      if (--it->second.second == 0) model.erase(it);
    }
    ASSERT_EQ(p.size(), model.size());
  }
  EXPECT_GT(full, 100u) << "the pool was full now and then";
  for (auto& [content, entry] : model)
    while (entry.second-- != 0) p.release(entry.first);
  EXPECT_EQ(p.size(), 0u);
}

}  // namespace
}  // namespace mire::hold
