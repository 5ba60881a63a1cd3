// result.h - a value, or one line that a person can act on. Cold paths only.
//
// C++20 has no std::expected and GCC 12 none either; this is the part of it that we use.
#pragma once

#include <string>
#include <utility>
#include <variant>

#include "dataplane/base/assert.h"

namespace mire {

// What went wrong, why, and what to do about it, in one line without a line break at its end.
struct Error {
  std::string text;
};

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : held_(std::in_place_index<0>, std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(Error error) : held_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(google-explicit-constructor)

  [[nodiscard]] bool ok() const noexcept { return held_.index() == 0; }
  explicit operator bool() const noexcept { return ok(); }

  T& value() & {
    MIRE_ASSERT(ok());
    return std::get<0>(held_);
  }
  const T& value() const& {
    MIRE_ASSERT(ok());
    return std::get<0>(held_);
  }
  T&& value() && {
    MIRE_ASSERT(ok());
    return std::get<0>(std::move(held_));
  }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }

  [[nodiscard]] const std::string& error() const {
    MIRE_ASSERT(!ok());
    return std::get<1>(held_).text;
  }

 private:
  std::variant<T, Error> held_;
};

struct Nothing {};
using Status = Result<Nothing>;
inline Status success() { return Nothing{}; }

}  // namespace mire
