#include "controlplane/lists/spf_walk.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "controlplane/lists/prefix_set.h"
#include "controlplane/lists/settings.h"
#include "controlplane/lists/spf_record.h"

namespace mire::lists {
namespace {

constexpr std::array<std::string_view, kSpfOutcomes> kNames = {"found", "cut_short", "none", "trouble"};

// Records that lie within each other are a stack, so that a deep tree costs no call stack; the handlers of questions on
// their way keep it alive.
class Walk : public std::enable_shared_from_this<Walk> {
 public:
  Walk(DnsSource& dns, const SpfLimits& limits, std::function<void(SpfResult)> done)
      : dns_(dns), limits_(limits), done_(std::move(done)) {}

  void begin(const std::string& domain) { open(domain); }

 private:
  struct Frame {
    std::string domain;
    SpfRecord record;
    size_t next = 0;
    bool all = false;
  };
  struct Lengths {
    uint8_t v4 = 32;
    uint8_t v6 = 128;
  };

  // Takes terms until one must wait for DNS.
  void go_on() {
    while (!over_ && waiting_ == 0) {
      if (frames_.empty()) return finish(SpfOutcome::found, {});
      Frame& frame = frames_.back();
      if (frame.next < frame.record.terms.size() && !frame.all) {
        take(frame.record.terms[frame.next++], frame);
      } else if (!frame.all && frame.record.redirect_macro) {
        ++result_.skipped;
        frames_.pop_back();
      } else if (!frame.all && frame.record.redirect) {
        const std::string target = std::move(*frame.record.redirect);
        frame.all = true;  // it is taken once; the frame stays, for the loop that it would close
        if (count_lookup()) open(target);
      } else {
        frames_.pop_back();
      }
    }
  }

  void take(const SpfTerm& term, Frame& frame) {
    const bool trusted = term.qualifier == '+' && !term.macro;
    switch (term.mechanism) {
      case SpfMechanism::all:
        frame.all = true;  // RFC 7208 5.1: what follows is ignored
        if (trusted) ++result_.too_wide;
        return;
      case SpfMechanism::ip4:
      case SpfMechanism::ip6:
        if (trusted) add(term.prefix);
        return;
      case SpfMechanism::ptr:
      case SpfMechanism::exists:
        if (count_lookup()) ++result_.skipped;  // they ask about a client, and we ask about none
        return;
      case SpfMechanism::include:
        if (!count_lookup() || !wanted(term)) return;
        return open(term.domain);
      case SpfMechanism::a:
        if (!count_lookup() || !wanted(term)) return;
        return addresses_of({term.domain.empty() ? frame.domain : term.domain}, {term.v4_length, term.v6_length});
      case SpfMechanism::mx:
        if (!count_lookup() || !wanted(term)) return;
        return exchanges_of(term.domain.empty() ? frame.domain : term.domain, {term.v4_length, term.v6_length});
    }
  }

  bool wanted(const SpfTerm& term) {
    if (term.macro) ++result_.skipped;
    return term.qualifier == '+' && !term.macro;
  }

  void open(const std::string& domain) {
    const bool first = frames_.empty();
    for (const Frame& frame : frames_)
      if (frame.domain == domain) return finish(SpfOutcome::cut_short, domain + ": includes itself");
    ask(domain, QueryType::txt, [this, domain, first](const DnsAnswer& answer) {
      if (answer.empty()) count_void(domain);
      if (over_) return;
      std::vector<const std::string*> records;
      for (const std::string& text : answer.texts)
        if (is_spf(text)) records.push_back(&text);
      if (records.empty()) return finish(first ? SpfOutcome::none : SpfOutcome::cut_short, domain + ": no SPF record");
      if (records.size() > 1) return finish(SpfOutcome::cut_short, domain + ": more than one SPF record");
      Result<SpfRecord> record = parse_spf(*records.front());
      if (!record) return finish(SpfOutcome::cut_short, domain + ": " + record.error());
      frames_.push_back({domain, std::move(record).value(), 0, false});
    });
  }

  // In both families, where a receiver asks in one (RFC 7208 5.3): so it is void only if both are.
  void addresses_of(const std::vector<std::string>& names, Lengths lengths) {
    for (const std::string& name : names) {
      auto empty_families = std::make_shared<int>(0);
      for (const QueryType type : {QueryType::a, QueryType::aaaa})
        ask(name, type, [this, name, lengths, empty_families](const DnsAnswer& answer) {
          for (const wire::Address& address : answer.addresses) {
            const uint8_t length = address.is_v4() ? lengths.v4 : lengths.v6;
            add({wire::masked(address, length), length});
          }
          if (answer.empty() && ++*empty_families == 2) count_void(name);
        });
    }
  }

  void exchanges_of(const std::string& domain, Lengths lengths) {
    ask(domain, QueryType::mx, [this, domain, lengths](const DnsAnswer& answer) {
      if (answer.empty()) return count_void(domain);
      if (answer.names.size() > limits_.exchanges)
        return finish(SpfOutcome::cut_short, fmt::format("{}: more than {} mail exchanges", domain, limits_.exchanges));
      std::vector<std::string> names;
      for (const std::string& name : answer.names)
        if (is_domain(name)) names.push_back(name);  // "." is the null MX (RFC 7505)
      addresses_of(names, lengths);
    });
  }

  void ask(const std::string& name, QueryType type, std::function<void(const DnsAnswer&)> then) {
    ++waiting_;
    dns_.ask(name, type, [self = shared_from_this(), name, then = std::move(then)](const DnsAnswer& answer) {
      --self->waiting_;
      if (self->over_) return;
      if (answer.trouble())
        return self->finish(SpfOutcome::trouble, fmt::format("{}: {}", name, to_string(answer.outcome)));
      if (answer.ttl_s != 0 || answer.outcome == DnsOutcome::answered)
        self->ttl_s_ = std::min(self->ttl_s_, answer.ttl_s);
      then(answer);
      self->go_on();
    });
  }

  bool count_lookup() {
    if (++result_.lookups <= limits_.lookups) return true;
    finish(SpfOutcome::cut_short, fmt::format("more than {} look-ups", limits_.lookups));
    return false;
  }

  void count_void(const std::string& name) {
    if (++result_.void_lookups <= limits_.void_lookups) return;
    finish(SpfOutcome::cut_short, fmt::format("{}: more than {} void look-ups", name, limits_.void_lookups));
  }

  void add(const wire::Prefix& prefix) {
    if (over_) return;
    if (absurdly_wide(prefix)) {
      ++result_.too_wide;
      return;
    }
    if (result_.prefixes.size() >= limits_.prefixes)
      return finish(SpfOutcome::cut_short, fmt::format("more than {} prefixes", limits_.prefixes));
    result_.prefixes.push_back(prefix);
  }

  void finish(SpfOutcome outcome, std::string why) {
    if (std::exchange(over_, true)) return;
    result_.outcome = outcome;
    result_.why = std::move(why);
    result_.ttl_s = ttl_s_ == ~uint32_t{0} ? 0 : ttl_s_;
    if (outcome == SpfOutcome::trouble || outcome == SpfOutcome::none) result_.prefixes.clear();
    result_.prefixes = aggregated(std::move(result_.prefixes));
    if (absurdly_wide(result_.prefixes)) {
      result_.outcome = SpfOutcome::cut_short;
      result_.why = "its prefixes together are wider than any provider (/8, IPv6 /19): refused";
      result_.too_wide += static_cast<uint32_t>(result_.prefixes.size());
      result_.prefixes.clear();
    }
    done_(std::move(result_));
  }

  DnsSource& dns_;
  SpfLimits limits_;
  std::function<void(SpfResult)> done_;
  std::vector<Frame> frames_;
  SpfResult result_;
  uint32_t ttl_s_ = ~uint32_t{0};
  uint32_t waiting_ = 0;
  bool over_ = false;
};

}  // namespace

std::string_view to_string(SpfOutcome outcome) noexcept { return kNames[static_cast<size_t>(outcome)]; }

void walk_spf(DnsSource& dns, const std::string& domain, const SpfLimits& limits, std::function<void(SpfResult)> done) {
  std::make_shared<Walk>(dns, limits, std::move(done))->begin(domain);
}

}  // namespace mire::lists
