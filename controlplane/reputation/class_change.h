// class_change.h - what the engine tells whoever keeps the dataplane informed.
#pragma once

#include <optional>

#include "dataplane/policy/types.h"
#include "dataplane/wire/address.h"

namespace mire::reputation {

// A prefix (IPv4 /32, IPv6 /64, or a group's or network's, shorter) has this learned class from now on; without one it
// is what the next shorter prefix says, or unknown. The longest prefix counts.
struct ClassChange {
  wire::Prefix prefix;
  std::optional<policy::SourceClass> source_class;
  friend bool operator==(const ClassChange&, const ClassChange&) = default;
};

// Called from within the engine: takes note, and does not call back.
class ClassSink {
 public:
  virtual ~ClassSink() = default;
  virtual void on_class(const ClassChange&) = 0;
};

}  // namespace mire::reputation
