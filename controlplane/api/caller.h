// caller.h - who asks: what the transport vouches for, and the way to tell that one something unasked.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <memory>
#include <string>

namespace mire::api {

// Where news for a caller goes (events that it follows). Lives as long as its connection.
class Audience {
 public:
  virtual ~Audience() = default;
  // Queues a JSON-RPC notification. False: the connection is over, or does not read; this one is lost, and it is told
  // how many were with the next that fits.
  virtual bool tell(std::string_view method, const boost::json::value& params) = 0;
};

struct Caller {
  uint64_t session = 0;     // one a connection, never used twice; 0: there is none (a single request over HTTPS)
  std::string name;         // account, or a token's name
  bool may_change = false;  // may call what changes something, too
  std::weak_ptr<Audience> audience;
};

}  // namespace mire::api
