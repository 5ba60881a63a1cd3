// kept_position.h - how far a log was reported, in a file: so that a restart counts nothing twice.
#pragma once

#include <optional>
#include <string>

#include "controlplane/state/state_file.h"
#include "tools/follow/log_file.h"
#include "tools/follow/postfix_log.h"

namespace mire::follow {

struct Kept {
  Position position;
  PostfixLog::Open open;      // messages under way
  std::string last_delivery;  // so that its other recipients are not counted after a restart
};

class KeptPosition {
 public:
  // DIR/position.json, which knows the log that it is of.
  KeptPosition(const std::string& directory, std::string log);
  [[nodiscard]] std::optional<Kept> load();
  void save(const Kept&);
  [[nodiscard]] std::string take_notice() { return file_.take_notice(); }

 private:
  state::StateFile file_;
  std::string log_;
};

}  // namespace mire::follow
