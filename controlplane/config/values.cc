#include "controlplane/config/values.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <numeric>
#include <vector>

namespace mire::config {
namespace {

struct Unit {
  std::string_view name;
  uint64_t ms;
};
constexpr std::array kUnits{Unit{"h", 3'600'000}, Unit{"m", 60'000}, Unit{"s", 1000}, Unit{"ms", 1}};
constexpr size_t kFew = 3;
constexpr size_t kMostDigits = 9;  // times an hour's milliseconds still fits

// Insertions, deletions and changes that make one word the other.
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, changed});
    }
  }
  return row.back();
}

}  // namespace

Result<uint64_t> parse_duration_ms(std::string_view text) {
  const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const std::string_view unit = text.substr(digits);
  if (digits == 0) return Error{"not a duration; write it like 200ms, 5s, 2m or 1h"};
  if (unit.empty() && digits <= kMostDigits) return Error{fmt::format("no unit; try {}s", text)};
  if (unit.starts_with('.')) return Error{"not a whole number; use a smaller unit, like 1500ms"};
  if (digits > kMostDigits) return Error{"too long; write it like 200ms, 5s, 2m or 1h"};
  uint64_t number = 0;
  std::from_chars(text.data(), text.data() + digits, number);
  for (const Unit& u : kUnits)
    if (u.name == unit) return number * u.ms;
  return Error{"not a unit of time; use ms, s, m or h"};
}

std::string duration_text(uint64_t ms) {
  for (const Unit& u : kUnits)
    if (ms % u.ms == 0 && ms != 0) return fmt::format("{}{}", ms / u.ms, u.name);
  return "0s";
}

Result<uint32_t> parse_number(std::string_view text, uint32_t low, uint32_t high) {
  uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (end != text.data() + text.size() || error == std::errc::invalid_argument)
    return Error{fmt::format("not a whole number; use {} to {}", low, high)};
  if (error != std::errc{} || number < low || number > high)
    return Error{fmt::format("out of range; use {} to {}", low, high)};
  return number;
}

std::string_view nearest(std::string_view word, std::span<const std::string_view> known) {
  if (word.size() > 64) return {};
  std::string_view best;
  size_t best_distance = word.size() > 4 ? 3 : 2;  // two slips of the finger are forgiven, one in a short word
  for (const std::string_view k : known) {
    const size_t d = distance(word, k);
    if (d < best_distance && d < k.size() - 1) {
      best = k;
      best_distance = d;
    }
  }
  return best;
}

std::string not_known(std::string_view word, std::span<const std::string_view> known) {
  // Of a few words all are named: for a later release's "reject", "did you mean reset?" would be bad advice.
  if (const std::string_view meant = nearest(word, known); !meant.empty() && known.size() > kFew)
    return fmt::format("not known; did you mean {}?", meant);
  std::string list;
  for (size_t i = 0; i < known.size(); ++i)
    list += fmt::format("{}{}", i == 0 ? "" : (i + 1 == known.size() ? " or " : ", "), known[i]);
  return "not known; use " + list;
}

}  // namespace mire::config
