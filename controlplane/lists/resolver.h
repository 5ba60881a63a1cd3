// resolver.h - asks DNS servers by c-ares, driven by Asio: no thread, no blocking call.
//
// Each server has a channel of its own, so that one that fails is put aside (backoff.h) and the next one is asked. A
// question is tried twice, at two servers if there are two that answer. A truncated answer is asked for again over TCP.
// Bounded: questions on their way. Refuses to know what the questions are for, and keeps no cache.
// Assumes: one thread, which runs the io_context; it outlives the io_context's last handler only by stop().
#pragma once

#include <array>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "controlplane/lists/dns.h"
#include "controlplane/lists/settings.h"
#include "dataplane/base/time.h"

namespace mire::lists {

struct ServerStatus {
  std::string server;  // "192.0.2.53:53", or "system"
  uint64_t asked = 0;
  uint64_t answered = 0;
  uint64_t timeouts = 0;
  uint64_t failed = 0;
  bool aside = false;
};

class Resolver final : public DnsSource {
 public:
  Resolver(boost::asio::io_context&, Clock);
  ~Resolver() override;
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // Questions on their way to the old servers are asked anew.
  Status configure(const Dns&);
  void ask(const std::string& name, QueryType, Done) override;

  [[nodiscard]] std::vector<ServerStatus> servers() const;
  [[nodiscard]] size_t outstanding() const noexcept;
  [[nodiscard]] const std::array<uint64_t, kDnsOutcomes>& outcomes() const noexcept;

 private:
  class Channel;
  struct Question;
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace mire::lists
