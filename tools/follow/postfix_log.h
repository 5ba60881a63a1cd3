// postfix_log.h - Postfix's log, line by line, becomes outcomes.
//
// Wants `smtpd_client_port_logging = yes` for the client's port; works without. A message counts as accepted when the
// queue manager takes it, not at its end of data: a milter may refuse it in between. So the clients of messages under
// way are remembered by queue id, a bounded number of them. Authenticated clients and submission services are not
// strangers and are not counted. Pure: no file, no clock.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tools/follow/log_text.h"
#include "tools/follow/outcome.h"

namespace mire::follow {

class PostfixLog {
 public:
  static constexpr size_t kMostOpen = 20'000;

  // What the line says; most say nothing.
  std::optional<Outcome> take(std::string_view line);

  // Messages under way: what must be kept with a position in the log.
  using Open = std::vector<std::pair<std::string, Peer>>;
  [[nodiscard]] Open open() const;
  void restore(const Open&);

  // The latest delivery, so that its other recipients are not counted after a restart.
  [[nodiscard]] const std::string& last_delivery() const noexcept { return last_delivery_; }
  void set_last_delivery(std::string text) { last_delivery_ = std::move(text); }

 private:
  std::optional<Outcome> smtpd(Line);
  std::optional<Outcome> queue_manager(std::string_view id, Line);
  std::optional<Outcome> cleanup(std::string_view id, Line);
  std::optional<Outcome> delivery(std::string_view id, Line);
  void remember(std::string_view id, Peer);

  std::unordered_map<std::string, Peer> open_;
  std::deque<std::string> order_;  // of opening; may name what is closed
  std::string last_delivery_;      // a message to many of one domain is one
};

}  // namespace mire::follow
