// observation.h - one thing that was seen of a source.
#pragma once

#include "controlplane/reputation/kind.h"
#include "dataplane/wire/address.h"

namespace mire::reputation {

struct Observation {
  wire::Address client;  // any address of the source
  Kind kind = Kind::accepted;
  double amount = 1;  // greater than 0: messages, recipients, reports by their weight
};

}  // namespace mire::reputation
