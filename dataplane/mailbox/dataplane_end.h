// dataplane_end.h - the dataplane's end of the mailbox: listens, believes nobody, never blocks.
//
// Purpose: the control thread's one door to mired. One thread; lcores reach it through the dataplane's own queues.
// mired may be killed, stopped, replaced or mad: what comes from it is validated, what cannot be reported is counted
// and told to the next one. Wakes by poll_fd(); between doorbells it costs nothing. Refuses to know what settings mean
// (lcore/settings_builder.h).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "dataplane/base/result.h"
#include "dataplane/mailbox/layout.h"

namespace mire::mailbox {

class DataplaneEnd {
 public:
  // Listens at socket_path (mode 0600). A stale file is replaced; a live dataplane behind it is an error. lcores: 1 to
  // kMaxLcores. Peers may be root, our own uid, or `also_uid`.
  static Result<std::unique_ptr<DataplaneEnd>> listen(const std::string& socket_path, unsigned lcores,
                                                      std::optional<uid_t> also_uid = {});
  ~DataplaneEnd();
  DataplaneEnd(const DataplaneEnd&) = delete;
  DataplaneEnd& operator=(const DataplaneEnd&) = delete;

  // An epoll descriptor: readable when there is something to do for service(), and then for take() until it returns
  // nothing.
  [[nodiscard]] int poll_fd() const noexcept;

  // Accepts, shakes hands, notices a dead peer, rings the peer's doorbell if something was offered or taken since the
  // last call. Never blocks. Call when poll_fd() is readable, and after each round of offers and takes (a few times a
  // second at least).
  void service();

  // A mired is there, and speaks our layout.
  [[nodiscard]] bool connected() const noexcept;

  // Reports an event. False: nobody there or ring full; it is counted and mired is told the number as soon as that is
  // possible.
  bool offer(unsigned lcore, const FlowEvent&);
  // Reports what a server has taught a lcore, piece by piece. False: nobody there or ring full; not counted, for it is
  // told again when mired's settings show that it has not heard.
  bool offer(const Profile&);
  // Events that were lost before they came here (a full queue between lcore and control thread): told to mired with the
  // others.
  void add_lost(uint64_t count) noexcept;
  [[nodiscard]] uint64_t events_lost() const noexcept;  // since start, told or not

  // The next validated message. An invalid one drops the peer, with one line in take_error(). Between two calls of
  // service() at most one ring's worth comes, so that a mired that never stops talking cannot keep us in a loop.
  std::optional<Down> take();

  // False if nobody is there. If the ring is full the latest is kept and sent later.
  bool tell_applied(uint64_t generation);
  bool tell_refused(uint64_t generation, const std::string& text);

  // Grows with every mired that shakes hands: a changed number means that half a configuration of the last one will
  // never be finished.
  [[nodiscard]] uint64_t connections() const noexcept;

  // The last thing worth a line in the log (a peer refused, dropped or gone), once; empty if there is none.
  [[nodiscard]] std::string take_error();

 private:
  class Impl;
  explicit DataplaneEnd(std::unique_ptr<Impl>) noexcept;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mire::mailbox
