#include "controlplane/lists/lists.h"

#include <fmt/format.h>

#include <boost/asio/steady_timer.hpp>
#include <map>
#include <utility>

#include "controlplane/lists/prefix_set.h"

namespace mire::lists {
namespace {

namespace asio = boost::asio;
constexpr Duration kNoSooner = milliseconds{1};

}  // namespace

struct Lists::State {
  State(asio::io_context& io, asio::any_io_executor worker, Clock the_clock, Listener& the_listener)
      : listener(the_listener),
        clock(std::move(the_clock)),
        timer(io),
        resolver(io, clock),
        dnsbl(resolver, clock,
              [this](const wire::Address& source, const Standing& standing) { listener.on_dnsbl(source, standing); }),
        domains(resolver, clock,
                {[this](const std::string& domain, bool configured) { domain_changed(domain, configured); },
                 [this] { wind(); }}),
        feeds(io, std::move(worker), clock,
              {[this](const std::vector<PrefixChange>& changes) { listener.on_class_prefixes(changes); },
               [this](const std::string& line) { listener.on_notice(line); }}) {}

  Listener& listener;
  Clock clock;
  asio::steady_timer timer;
  Settings settings;
  bool resolving = false;  // the resolver took its settings
  Resolver resolver;
  Dnsbl dnsbl;
  Domains domains;
  Feeds feeds;
  std::map<std::string, Group> told_groups;

  void wind();
  void domain_changed(const std::string& domain, bool configured);
  void tell_groups();
  void tell_class_domains();
  [[nodiscard]] std::vector<Group> groups() const;
};

Lists::Lists(asio::io_context& io, asio::any_io_executor worker, Clock clock, Listener& listener)
    : state_(std::make_shared<State>(io, std::move(worker), std::move(clock), listener)) {}
Lists::~Lists() { stop(); }

void Lists::stop() { state_->timer.cancel(); }

Status Lists::check(const Settings& settings) {
  for (const Zone& zone : settings.zones)
    if (!is_domain(zone.name)) return Error{fmt::format("dnsbl {}: not a domain name; try zen.example", zone.name)};
  for (const Domain& domain : settings.domains)
    if (!is_domain(domain.name))
      return Error{fmt::format("domain {}: not a domain name; try example.com", domain.name)};
  for (const Feed& feed : settings.feeds)
    if (const Result<FeedContent> content = load_feed(feed); !content)
      return Error{fmt::format("feed {}: {}", feed.name, content.error())};
  return success();
}

void Lists::configure(const Settings& settings) {
  State& s = *state_;
  if (!s.resolving || s.settings.dns != settings.dns) {
    const Status taken = s.resolver.configure(settings.dns);
    if (!taken) s.listener.on_notice(taken.error());
    s.resolving = s.resolving || taken.ok();
  }
  s.settings = settings;
  s.dnsbl.configure(settings.zones, settings.dnsbl_per_second, settings.dnsbl_cache);
  s.domains.configure(settings);
  s.feeds.configure(settings.feeds);
  s.tell_class_domains();
  s.tell_groups();
}

// Not at once: wake() comes from within the domains.
void Lists::State::wind() {
  const std::optional<Time> next = domains.next_due();
  if (!next) return;
  timer.expires_after(std::max<Duration>(*next - clock(), kNoSooner));
  timer.async_wait([this](const boost::system::error_code& cancelled) {
    if (cancelled) return;
    domains.run_due();
    wind();
  });
}

void Lists::State::domain_changed(const std::string& domain, bool configured) {
  if (!configured) {
    const auto prefixes = domains.prefixes(domain);
    listener.on_recipient_domain(domain, prefixes ? *prefixes : std::vector<wire::Prefix>{});
    return;
  }
  tell_class_domains();
  tell_groups();
}

void Lists::State::tell_class_domains() {
  std::vector<NamedList> lists;
  for (const Domain& domain : settings.domains)
    if (domain.source_class)
      lists.push_back({"domain " + domain.name, *domain.source_class, domains.prefixes(domain.name)});
  feeds.set_others(std::move(lists));
}

std::vector<Group> Lists::State::groups() const {
  std::map<std::string, Group> by_name;
  for (const Domain& domain : settings.domains) {
    Group& group = by_name[domain.group.empty() ? domain.name : domain.group];
    group.domains.push_back(domain.name);
    if (const auto prefixes = domains.prefixes(domain.name))
      group.prefixes.insert(group.prefixes.end(), prefixes->begin(), prefixes->end());
  }
  std::vector<Group> all;
  for (auto& [name, group] : by_name) {
    group.name = name;
    group.prefixes = aggregated(std::move(group.prefixes));
    all.push_back(std::move(group));
  }
  return all;
}

void Lists::State::tell_groups() {
  std::map<std::string, Group> before = std::exchange(told_groups, {});
  for (Group& group : groups()) {
    const auto old = before.find(group.name);
    const bool news = old == before.end() ? !group.prefixes.empty() : old->second.prefixes != group.prefixes;
    if (news) listener.on_group(group);
    if (old != before.end()) before.erase(old);
    told_groups.emplace(group.name, std::move(group));
  }
  for (auto& [name, group] : before)
    if (!group.prefixes.empty()) listener.on_group({name, {}, {}});
}

Standing Lists::proven(const wire::Address& client) { return state_->dnsbl.want(client); }

std::vector<wire::Prefix> Lists::delivered_to(std::string_view domain) { return state_->domains.delivered_to(domain); }

const Settings& Lists::settings() const noexcept { return state_->settings; }
const Feeds& Lists::feeds() const noexcept { return state_->feeds; }
const Dnsbl& Lists::dnsbl() const noexcept { return state_->dnsbl; }
const Domains& Lists::domains() const noexcept { return state_->domains; }
const Resolver& Lists::resolver() const noexcept { return state_->resolver; }
std::vector<Group> Lists::groups() const { return state_->groups(); }

}  // namespace mire::lists
