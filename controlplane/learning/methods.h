// methods.h - what operators and outside filters may ask and say of reputation, as JSON.
//
// Parameters are an object; each is checked, and a refusal says which one, why, and what to do. Times are wall seconds
// since 1970.
#pragma once

#include <functional>

#include "controlplane/api/method.h"
#include "controlplane/reputation/engine.h"

namespace mire::learning {

// reputation.show {address}             all that is known of a source, with the reasons of its score
// reputation.summary                    how many, of which classes, where
// reputation.top {n, by}                by: worst (the default), best, busiest; n: 10, at most 1000
// reputation.clear {address}            forgets a source                                       (changes)
// report {source, verdict, weight}      an outside filter's word: ham or spam; weight 1, at most 100   (changes)
void add_methods(api::Methods&, reputation::Engine&, std::function<reputation::WallSeconds()> clock,
                 std::function<void()> changed);

}  // namespace mire::learning
