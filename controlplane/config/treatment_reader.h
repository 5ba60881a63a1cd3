// treatment_reader.h - `treatment CLASS { … }` over the class's default treatment.
#pragma once

#include "controlplane/config/block.h"
#include "controlplane/config/problems.h"
#include "controlplane/config/tree.h"
#include "dataplane/policy/treatment.h"

namespace mire::config {

// The class that a word names; reports one that is none.
[[nodiscard]] std::optional<policy::SourceClass> read_class(const Word&, std::string_view setting, Problems&);
// "true" or "false"; reports what is neither.
[[nodiscard]] std::optional<bool> read_bool(const Statement&, const Place&, Problems&);

// Changes what the block names, if all of it is right.
void read_treatment(const Statement&, policy::Treatments&, std::array<std::string, policy::kClasses>& teasers,
                    Problems&);

}  // namespace mire::config
