// lists_probe - the lists room from the command line, for tests with real name servers.
//
//   lists_probe [--server A[@PORT]]... [--timeout MS] dnsbl ZONE[=WEIGHT] [ZONE…] -- ADDRESS...
//   lists_probe [--server A[@PORT]]... [--timeout MS] spf DOMAIN...
//
// One JSON line an address or domain, then one with the servers. Everything is asked at once.
#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json.hpp>
#include <cstdlib>
#include <iostream>

#include "controlplane/lists/spf_walk.h"
#include "controlplane/methods/lists.h"

namespace {

namespace asio = boost::asio;
namespace json = boost::json;
using namespace mire;

struct Silent final : lists::Listener {
  void on_class_prefixes(const std::vector<lists::PrefixChange>&) override {}
  void on_group(const lists::Group&) override {}
  void on_dnsbl(const wire::Address&, const lists::Standing&) override {}
  void on_recipient_domain(const std::string&, const std::vector<wire::Prefix>&) override {}
  void on_notice(const std::string& line) override { std::cerr << line << '\n'; }
};

lists::DnsServer server(const std::string& text) {
  const size_t at = text.find('@');
  const auto port = at == std::string::npos ? 53 : std::strtoul(text.c_str() + at + 1, nullptr, 10);
  return {wire::parse_address(text.substr(0, at)).value(), static_cast<uint16_t>(port)};
}

lists::Zone zone(const std::string& text) {
  const size_t at = text.find('=');
  return {text.substr(0, at), at == std::string::npos ? 1 : std::strtod(text.c_str() + at + 1, nullptr), {}};
}

struct Words {
  lists::Settings settings;
  std::string what;
  std::vector<std::string> asked;
};

Words words_of(std::vector<std::string> words) {
  Words read;
  bool zones = false;
  for (size_t i = 0; i < words.size(); ++i) {
    if (read.what.empty() && words[i] == "--server" && i + 1 < words.size())
      read.settings.dns.servers.push_back(server(words[++i]));
    else if (read.what.empty() && words[i] == "--timeout" && i + 1 < words.size())
      read.settings.dns.timeout = std::chrono::milliseconds{std::strtoul(words[++i].c_str(), nullptr, 10)};
    else if (read.what.empty())
      zones = (read.what = words[i]) == "dnsbl";
    else if (zones && words[i] == "--")
      zones = false;
    else if (zones)
      read.settings.zones.push_back(zone(words[i]));
    else
      read.asked.push_back(words[i]);
  }
  return read;
}

asio::awaitable<void> call(const api::Method& method, json::value params) {
  api::Caller nobody;  // named: GCC 12 destroys a temporary inside co_await twice
  const api::Answer answer = co_await method.run(std::move(params), std::move(nobody));
  std::cout << (answer ? json::serialize(*answer) : answer.error()) << '\n';
}

void walk(lists::Resolver& resolver, const std::string& domain, const std::function<void()>& done) {
  lists::walk_spf(resolver, domain, {}, [domain, done](const lists::SpfResult& r) {
    json::array prefixes;
    for (const wire::Prefix& p : r.prefixes) prefixes.emplace_back(wire::to_string(p));
    const std::string_view outcome = to_string(r.outcome);
    std::cout << json::serialize(json::object{{"domain", domain},
                                              {"outcome", json::string_view(outcome.data(), outcome.size())},
                                              {"why", r.why},
                                              {"prefixes", std::move(prefixes)},
                                              {"lookups", r.lookups},
                                              {"void_lookups", r.void_lookups},
                                              {"skipped", r.skipped},
                                              {"too_wide", r.too_wide},
                                              {"ttl", r.ttl_s}})
              << '\n';
    done();
  });
}

}  // namespace

int main(int argc, char** argv) {
  const Words words = words_of({argv + 1, argv + argc});
  asio::io_context io;
  Silent silent;
  const lists::Clock clock = [] { return MonotonicClock::now(); };
  if (words.what == "dnsbl") {
    lists::Lists room(io, io.get_executor(), clock, silent);
    room.configure(words.settings);
    const api::Methods methods = methods::lists_methods(room);
    size_t left = words.asked.size();
    for (const std::string& address : words.asked)
      asio::co_spawn(io, call(methods.at("dnsbl.test"), json::object{{"address", address}}),
                     [&](const std::exception_ptr&) {
                       if (--left == 0) io.stop();
                     });
    io.run();
    io.restart();
    asio::co_spawn(io, call(methods.at("dnsbl.show"), json::object{}), [&](const std::exception_ptr&) { io.stop(); });
    io.run();
    return 0;
  }
  lists::Resolver resolver(io, clock);
  if (const Status taken = resolver.configure(words.settings.dns); !taken) {
    std::cerr << taken.error() << '\n';
    return 1;
  }
  for (const std::string& domain : words.asked) walk(resolver, domain, [] {});
  io.run();
  json::array servers;
  for (const lists::ServerStatus& s : resolver.servers())
    servers.push_back(json::object{{"server", s.server},
                                   {"asked", s.asked},
                                   {"answered", s.answered},
                                   {"timeouts", s.timeouts},
                                   {"failed", s.failed},
                                   {"aside", s.aside}});
  std::cout << json::serialize(json::object{{"servers", std::move(servers)}, {"outstanding", resolver.outstanding()}})
            << '\n';
  return 0;
}
