// support.h - days that pass in no time, and sources by number.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "controlplane/reputation/judge.h"
#include "dataplane/wire/address.h"

namespace mire::reputation {

inline constexpr WallSeconds kStart{std::chrono::seconds{1'800'000'000 / 86'400 * 86'400}};  // a midnight
inline constexpr std::chrono::seconds kMinute{60}, kHour{3600}, kDay{86'400};

inline wire::Address v4(uint32_t n) { return wire::Address::v4(wire::be32{n}); }
inline wire::Address address(const char* text) { return wire::parse_address(text).value(); }
inline wire::Prefix prefix(const char* text) { return wire::parse_prefix(text).value(); }

inline policy::SourceClass class_of(const Evidence& e, WallSeconds now, const Settings& s = {}) {
  return judge(e, {}, s, now).source_class;
}
inline double score_of(const Evidence& e, WallSeconds now, const Settings& s = {}) {
  return judge(e, {}, s, now).score;
}

}  // namespace mire::reputation
