// link.h - keeps mired and the dataplane in touch: connects, hands over the configuration, receives events, and begins
// again when either side restarts.
//
// One thread, one io_context. Waits by descriptor and timer only: without events it costs nothing but one attempt each
// 200 ms while there is no dataplane. Refuses to know what a configuration means.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "dataplane/mailbox/layout.h"
#include "dataplane/mailbox/mired_end.h"

namespace mire::link {

// Who is asked and hears of it. Called on the io_context's thread; must not call publish() or stop() from inside.
class Listener {
 public:
  virtual ~Listener() = default;
  // What the dataplane should have, as of now: times that remain are counted from here. Asked at each publication and
  // each new connection.
  [[nodiscard]] virtual std::vector<mailbox::Down> settings() = 0;
  virtual void on_event(const mailbox::FlowEvent&) = 0;
  // A piece of what a server has taught the dataplane.
  virtual void on_profile(const mailbox::Profile&) = 0;
  virtual void on_lost(uint64_t events) = 0;
  virtual void on_applied(uint64_t generation) = 0;
  virtual void on_refused(uint64_t generation, const std::string& why) = 0;
  virtual void on_connected(uint32_t dataplane_pid) = 0;
  // Not connected, for a reason that differs from the last one told.
  virtual void on_waiting(const std::string& why) = 0;
};

class Link {
 public:
  Link(boost::asio::io_context&, std::string socket_path, Listener&);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  // The listener's settings have changed: they go down at once, and after each reconnection. Returns their generation.
  uint64_t publish();

  void start();
  void stop();

  [[nodiscard]] bool connected() const noexcept { return connected_; }
  [[nodiscard]] uint64_t generation() const noexcept { return generation_; }

 private:
  void attempt();
  void retry_later(const std::string& why);
  void wait();
  void on_readable();
  void take_up();
  void begin_handing();
  void hand_down();
  [[nodiscard]] mailbox::Down message(size_t n) const;

  std::string path_;
  Listener& listener_;
  boost::asio::steady_timer timer_;
  boost::asio::posix::stream_descriptor readable_;
  std::unique_ptr<mailbox::MiredEnd> end_;
  std::vector<mailbox::Down> body_;
  size_t handed_ = 0;  // messages of this generation that went down on this connection, Begin and Commit included
  uint64_t generation_ = 0;
  bool connected_ = false;
  bool stopped_ = true;
  std::string told_;
};

}  // namespace mire::link
