#include "controlplane/reputation/kind.h"

#include <array>

namespace mire::reputation {
namespace {

struct Words {
  std::string_view name;
  std::string_view text;
  Side side;
};
constexpr std::array<Words, kKinds> kWords = {
#define X(name, side, weight, text) Words{#name, text, Side::side},
    MIRE_KINDS(X)
#undef X
};

}  // namespace

Side side_of(Kind k) noexcept { return kWords[index(k)].side; }
std::string_view to_string(Kind k) noexcept { return kWords[index(k)].name; }
std::string_view describe(Kind k) noexcept { return kWords[index(k)].text; }

std::optional<Kind> kind_named(std::string_view name) noexcept {
  for (size_t i = 0; i < kKinds; ++i)
    if (kWords[i].name == name) return kind_at(i);
  return std::nullopt;
}

}  // namespace mire::reputation
