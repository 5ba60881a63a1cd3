#include "controlplane/config/problems.h"

#include <fmt/format.h>

#include <algorithm>

#include "controlplane/config/config.h"

namespace mire::config {
namespace {
constexpr size_t kKept = 1000;  // a file of a million wrong lines fills no memory
constexpr size_t kPrintable = 80;
}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, kPrintable)) {
    const auto byte = static_cast<unsigned char>(c);
    out += byte >= 0x20 && byte < 0x7f ? std::string(1, c) : fmt::format("\\x{:02x}", byte);
  }
  return text.size() > kPrintable ? out + "..." : out;
}

void Problems::add(unsigned line, std::string_view what, std::string_view why) {
  if (found_.size() < kKept) found_.push_back({line, fmt::format("{}:{}: {}: {}", file_, line, what, why)});
}

std::vector<std::string> Problems::lines() const {
  std::vector<Problem> sorted = found_;
  std::stable_sort(sorted.begin(), sorted.end(), [](const Problem& a, const Problem& b) { return a.line < b.line; });
  std::vector<std::string> out;
  for (size_t i = 0; i < std::min(sorted.size(), kErrorsShown); ++i) out.push_back(std::move(sorted[i].text));
  return out;
}

}  // namespace mire::config
