// mire-follow: its command line, its signals, its end.
#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <cstdio>
#include <exception>

#include "tools/follow/follower.h"

int main(int argc, char** argv) {
  using namespace mire;
  const Result<follow::Options> options = follow::parse_options(argc, argv);
  if (!options) {
    follow::say(options.error());
    return 2;
  }
  if (options->help) {
    std::fputs(follow::kUsage, stdout);
    return 0;
  }
  boost::asio::io_context io;
  boost::asio::signal_set signals(io, SIGTERM, SIGINT);
  follow::Follower follower(io, *options);
  int code = 0;
  signals.async_wait([&](const boost::system::error_code& cancelled, int) {
    if (cancelled) return;
    follower.stop();
    io.stop();
  });
  boost::asio::co_spawn(io, follower.run(), [&](const std::exception_ptr& thrown, int result) {
    code = thrown ? 1 : result;
    io.stop();
  });
  io.run();
  follow::say(follower.sum());
  return code;
}
