// prefetch.h - asks for a cache line ahead of time.
//
// Not __builtin_prefetch alone: GCC 12 takes a function that does nothing else for one without effects and drops the
// calls to it (both stages of the flow look-up were gone from the pipeline). The empty asm is the effect.
#pragma once

namespace mire {

[[gnu::always_inline]] inline void prefetch_line(const void* p) noexcept {
  __builtin_prefetch(p, 1);
  asm volatile("" : : "r"(p));
}

}  // namespace mire
