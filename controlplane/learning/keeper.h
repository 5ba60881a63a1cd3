// keeper.h - keeps the engine's memory in the store: brings it back at the start, and writes what changes.
//
// What was learned is on disk within a second: half a second after the first change a batch is taken and written,
// synced, on a thread of its own; the next one follows when it is done. A write that fails is tried again. Without a
// store that can be opened the engine lives in memory only, and the operator hears of it. Assumes: the io_context's
// thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <functional>
#include <memory>
#include <string>

#include "controlplane/reputation/engine.h"
#include "controlplane/store/store.h"

namespace mire::learning {

struct Loaded {
  uint64_t sources = 0;
  uint64_t skipped = 0;  // records of another version, or broken
};
// All three columns into an engine that is empty. An error: the store cannot be read. The caller says loaded().
[[nodiscard]] Result<Loaded> load(store::Store&, reputation::Engine&, reputation::WallSeconds now);

// What was touched as writes. Pure.
void add_to(store::Batch&, const std::vector<reputation::Touched>&);

class Keeper {
 public:
  using Say = std::function<void(const std::string&)>;
  Keeper(boost::asio::io_context&, reputation::Engine&, store::Store&, Say);
  ~Keeper();
  Keeper(const Keeper&) = delete;
  Keeper& operator=(const Keeper&) = delete;

  // Something may have changed.
  void changed();
  // Writes all that is left, on this thread.
  void stop();

  [[nodiscard]] uint64_t written() const noexcept { return written_; }
  // Records that are not on disk yet.
  [[nodiscard]] size_t waiting() const noexcept { return engine_.touched() + batch_.size(); }

 private:
  void wait(std::chrono::milliseconds);
  void write();
  void wrote(const Status&);
  void take();

  reputation::Engine& engine_;
  store::Store& store_;
  Say say_;
  boost::asio::io_context& io_;
  boost::asio::steady_timer timer_;
  boost::asio::thread_pool writer_{1};
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for answers that come after us
  store::Batch batch_;                                          // being written, or to be tried again
  bool busy_ = false;                                           // a batch waits, or is on its way
  std::string trouble_;                                         // told already
  uint64_t written_ = 0;
};

}  // namespace mire::learning
