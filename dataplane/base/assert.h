// assert.h - assert what we did; handle what they did.
//
// A broken MIRE_ASSERT is our own mistake, never a peer's: it names the place and aborts, and the eBPF programs close
// the wire behind us. It stays on in release builds: one predictable branch.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace mire {

[[noreturn, gnu::cold, gnu::noinline]] inline void assertion_failed(const char* what, const char* file, int line) {
  std::fprintf(stderr, "mire: assertion failed: %s (%s:%d)\n", what, file, line);
  std::abort();
}

}  // namespace mire

#define MIRE_ASSERT(condition)                                 \
  (__builtin_expect(static_cast<bool>(condition), 1) ? void(0) \
                                                     : ::mire::assertion_failed(#condition, __FILE__, __LINE__))
