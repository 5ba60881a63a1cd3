// publication.h - a configuration as the messages that carry it down: all but Begin and Commit, which the link adds.
#pragma once

#include <vector>

#include "controlplane/config/config.h"
#include "dataplane/mailbox/layout.h"

namespace mire::link {

[[nodiscard]] std::vector<mailbox::Down> publication(const config::Config&, const std::vector<mailbox::EarlyHello>&);

}  // namespace mire::link
