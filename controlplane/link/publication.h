// publication.h - a configuration as the messages that carry it down: all but Begin and Commit, which the link adds.
#pragma once

#include <vector>

#include "controlplane/config/config.h"
#include "dataplane/mailbox/layout.h"

namespace mire::link {

// What mired remembers for the dataplane, which forgets it when it ends.
struct Remembered {
  std::vector<mailbox::EarlyHello> early_hellos;
  std::vector<mailbox::Penalty> penalties;
  std::vector<mailbox::Profile> profiles;
};

[[nodiscard]] std::vector<mailbox::Down> publication(const config::Config&, const Remembered&);

}  // namespace mire::link
