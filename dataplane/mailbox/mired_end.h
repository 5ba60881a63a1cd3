// mired_end.h - mired's end of the mailbox: connects, compares layouts, sends and receives. Never blocks.
//
// One object is one connection: when it is over, throw it away and connect again (link/ does so every 200 ms). Refuses
// to know what the messages mean and which event loop waits on fd().
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "dataplane/base/result.h"
#include "dataplane/mailbox/layout.h"

namespace mire::mailbox {

class MiredEnd {
 public:
  static Result<std::unique_ptr<MiredEnd>> connect(const std::string& socket_path);
  ~MiredEnd();
  MiredEnd(const MiredEnd&) = delete;
  MiredEnd& operator=(const MiredEnd&) = delete;

  // Readable when there is something to do for service(), and then for receive() until it returns nothing.
  [[nodiscard]] int fd() const noexcept;

  enum class Condition : uint8_t { greeting, connected, over };
  // Shakes hands, empties doorbells, notices the dataplane's end, rings the doorbell if something was sent. When it
  // says `over`, error() says why.
  Condition service();

  [[nodiscard]] unsigned lcores() const noexcept;
  [[nodiscard]] uint32_t dataplane_pid() const noexcept;

  // False: no room now; the dataplane rings when it has taken something.
  bool send(const Down&);
  // The next event or answer of any lcore. After a broken ring or message: nothing, and service() says `over`. Between
  // two calls of service() at most one ring's worth a lcore comes.
  std::optional<Up> receive();

  [[nodiscard]] const std::string& error() const noexcept;

 private:
  class Impl;
  explicit MiredEnd(std::unique_ptr<Impl>) noexcept;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mire::mailbox
