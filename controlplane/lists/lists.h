// lists.h - the room put together: feeds, DNSBL zones and domains under one Settings, and what mired hears of them.
//
// Standing facts, which do not decay: what is said here holds until something else is said. One thread runs the
// io_context; feeds are read on the worker. Refuses to know what a class or a weight leads to.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/lists/class_prefixes.h"
#include "controlplane/lists/dnsbl.h"
#include "controlplane/lists/domains.h"
#include "controlplane/lists/feeds.h"
#include "controlplane/lists/resolver.h"
#include "controlplane/lists/settings.h"

namespace mire::lists {

struct Group {
  std::string name;
  std::vector<std::string> domains;
  std::vector<wire::Prefix> prefixes;  // aggregated
};

// Who hears; all calls come from handlers of the io_context, or from within configure().
class Listener {
 public:
  virtual ~Listener() = default;
  // Feeds and class domains, one by one: what differs from what was said before.
  virtual void on_class_prefixes(const std::vector<PrefixChange>&) = 0;
  // A group as it is now, whole; without prefixes when it is gone.
  virtual void on_group(const Group&) = 0;
  // The source (IPv4 /32, IPv6 /64). Replaces what was said of it before.
  virtual void on_dnsbl(const wire::Address& source, const Standing&) = 0;
  // The senders of a domain that our servers deliver to, when they become known or change.
  virtual void on_recipient_domain(const std::string& domain, const std::vector<wire::Prefix>&) = 0;
  // A line for the operator.
  virtual void on_notice(const std::string&) = 0;
};

class Lists {
 public:
  Lists(boost::asio::io_context&, boost::asio::any_io_executor worker, Clock, Listener&);
  ~Lists();
  Lists(const Lists&) = delete;
  Lists& operator=(const Lists&) = delete;

  // For the check before a commit: reads every feed, on this thread. The error names the feed's file and line.
  [[nodiscard]] static Status check(const Settings&);
  // What changes is told to the listener as it becomes known.
  void configure(const Settings&);
  void stop();

  // A client proved its handshake: the zones are asked about it. What is known already is returned, and not told again.
  Standing proven(const wire::Address& client);
  // Our servers delivered mail to this domain: the prefixes of its senders, if they are known; else they are told
  // later. Empty without outbound trust.
  std::vector<wire::Prefix> delivered_to(std::string_view domain);

  [[nodiscard]] const Settings& settings() const noexcept;
  [[nodiscard]] const Feeds& feeds() const noexcept;
  [[nodiscard]] const Dnsbl& dnsbl() const noexcept;
  [[nodiscard]] const Domains& domains() const noexcept;
  [[nodiscard]] const Resolver& resolver() const noexcept;
  [[nodiscard]] std::vector<Group> groups() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace mire::lists
