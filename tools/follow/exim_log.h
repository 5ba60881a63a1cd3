// exim_log.h - Exim's main log, line by line, becomes outcomes.
//
// Wants `log_selector = +incoming_port` for the client's port; works without. Exim logs a message when it has taken it,
// so nothing needs to be remembered. Its log has no reply codes: that a recipient is unknown is told by the words of
// the refusal. Pure: no file, no clock.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "tools/follow/log_text.h"
#include "tools/follow/outcome.h"

namespace mire::follow {

class EximLog {
 public:
  // What the line says; most say nothing.
  std::optional<Outcome> take(std::string_view line);

  // The latest delivery, so that its other recipients are not counted after a restart.
  [[nodiscard]] const std::string& last_delivery() const noexcept { return last_delivery_; }
  void set_last_delivery(std::string text) { last_delivery_ = std::move(text); }

 private:
  std::optional<Outcome> delivery(std::string_view id, Line);
  std::string last_delivery_;  // a message to many of one domain is one
};

}  // namespace mire::follow
