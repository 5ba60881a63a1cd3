// mired_client.h - one request at a time to mired's socket, and what became of it.
//
// Keeps its connection; a mired that was restarted is found again. Whoever asks decides what is asked again: only what
// was surely not taken may be.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <memory>
#include <string>

namespace mire::follow {

enum class Said : uint8_t {
  taken,
  not_now,  // surely not taken: nobody there, no room, no right, no such method (yet)
  refused,  // surely not taken, and never will be: it says that the request is wrong
  unsure,   // sent, and not answered
};

struct Reply {
  Said said = Said::unsure;
  std::string why;
};

class MiredClient {
 public:
  MiredClient(boost::asio::io_context&, std::string path);
  // `request` ends with its line break.
  boost::asio::awaitable<Reply> ask(std::string request);

 private:
  using Socket = boost::asio::local::stream_protocol::socket;
  boost::asio::awaitable<Reply> once(const std::string& request, bool fresh);
  void limit_time();
  void close();

  std::string path_;
  std::shared_ptr<Socket> socket_;  // shared with the timer that ends what takes too long
  boost::asio::steady_timer timer_;
  boost::asio::io_context& io_;
};

// What mired's answer to a request means.
[[nodiscard]] Reply read_reply(const std::string& line);

}  // namespace mire::follow
