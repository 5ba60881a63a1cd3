// follower.h - a log's lines become outcomes, and these are reported to mired in batches.
//
// Nothing is counted twice: the position behind a batch is kept before the batch is sent, and a batch that was sent and
// not answered is not sent again (it is counted as unsure). While mired is away a file is not read on, for it keeps its
// lines itself; standard input is, into a queue of fixed size whose oldest entries give way.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <optional>
#include <string>

#include "tools/follow/exim_log.h"
#include "tools/follow/kept_position.h"
#include "tools/follow/log_file.h"
#include "tools/follow/mired_client.h"
#include "tools/follow/options.h"
#include "tools/follow/postfix_log.h"
#include "tools/follow/queue.h"

namespace mire::follow {

struct Counters {
  uint64_t lines = 0;
  uint64_t outcomes = 0;
  uint64_t ours = 0;      // outcomes of our own addresses
  uint64_t reported = 0;  // observations, taken by mired
  uint64_t refused = 0;   // observations that mired refused for good
  uint64_t unsure = 0;    // observations sent and not answered
};

class Follower {
 public:
  Follower(boost::asio::io_context&, Options);

  // Until standard input ends (0: all was reported), or stop(). For ever with a file.
  boost::asio::awaitable<int> run();
  // What is not reported is not forgotten: a file's position stays before it.
  void stop();
  [[nodiscard]] std::string sum() const;

 private:
  boost::asio::awaitable<void> follow_file();
  boost::asio::awaitable<void> read_input();
  boost::asio::awaitable<void> pause_reading();
  boost::asio::awaitable<bool> report_input();
  boost::asio::awaitable<bool> deliver();
  boost::asio::awaitable<void> wait(std::chrono::milliseconds);
  void take(std::string_view line);
  void take_input(size_t length);
  void keep();
  void say_news(const std::string& text);

  Options options_;
  boost::asio::steady_timer timer_;
  boost::asio::posix::stream_descriptor input_;
  MiredClient mired_;
  PostfixLog postfix_;
  EximLog exim_;
  LogFile file_;
  std::optional<KeptPosition> kept_;
  std::optional<Position> last_kept_;
  Queue queue_;
  Counters counters_;
  std::string half_;  // of standard input: a line that has not ended
  char piece_[16'384];
  std::string said_;
  uint64_t requests_ = 0;
  bool input_over_ = false;
  bool stopped_ = false;
};

// One line to standard error.
void say(const std::string& text);

}  // namespace mire::follow
