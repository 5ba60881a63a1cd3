#include "controlplane/config/config.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <set>

#include "controlplane/config/block.h"
#include "controlplane/config/treatment_reader.h"
#include "controlplane/config/values.h"
#include "dataplane/mailbox/layout.h"

namespace mire::config {
namespace {

using policy::SourceClass;
using Shape = Key::Shape;

constexpr size_t kLargestFile = 64u << 20;  // a million prefixes fit
constexpr size_t kLongestPortName = 127;    // an interface, a PCI address or a --vdev

class ConfigReader {
 public:
  explicit ConfigReader(Problems& problems) : problems_(problems) {}

  Config read(const std::vector<Statement>& top) {
    read_block(top, Place{},
               {{"ports", Shape::block, [this](const Statement& s) { ports(s); }},
                {"protect", Shape::any, [this](const Statement& s) { protect(s); }},
                {"treatment", Shape::named_block,
                 [this](const Statement& s) { read_treatment(s, config_.treatments, config_.teasers, problems_); }},
                {"class", Shape::named_block, [this](const Statement& s) { members(s); }},
                {"penalty", Shape::block, [this](const Statement& s) { penalty(s); }},
                {"trap", Shape::block, [this](const Statement& s) { trap(s); }},
                {"observe", Shape::value,
                 [this](const Statement& s) {
                   if (auto on = read_bool(s, Place{}, problems_)) config_.observe = *on;
                 }},
                {"texts", Shape::block, [this](const Statement& s) { texts(s); }},
                {"log", Shape::block, [this](const Statement& s) { log(s); }}},
               problems_);
    return std::move(config_);
  }

 private:
  void ports(const Statement& s) {
    const Place place{"ports"};
    const auto port = [&](std::string& out) {
      return [this, &place, &out](const Statement& v) {
        const std::string& name = v.words[1].text;
        const bool odd =
            name.empty() || name.size() > kLongestPortName || name.find_first_of("/ \t") != std::string::npos;
        if (odd)
          return problems_.add(v.line(), place.at(v.key() + " " + printable(name)),
                               "no name of a port; write it like eth1");
        out = name;
      };
    };
    read_block(s.block, place,
               {{"wan", Shape::value, port(config_.wan)},
                {"lan", Shape::value, port(config_.lan)},
                {"fail-mode", Shape::value, [&](const Statement& v) { fail_mode(v, place); }}},
               problems_);
    if (!config_.wan.empty() && config_.wan == config_.lan)
      problems_.add(s.line(), place.at("lan " + printable(config_.lan)), "the same port as wan; the wire has two ends");
  }

  void fail_mode(const Statement& v, const Place& place) {
    static constexpr std::array<std::string_view, 2> kModes{"open", "closed"};
    const std::string& mode = v.words[1].text;
    if (mode != kModes[0] && mode != kModes[1])
      return problems_.add(v.line(), place.at("fail-mode " + printable(mode)), not_known(mode, kModes));
    config_.fail_closed = mode == kModes[1];
  }

  // `protect A;` or `protect { A; B; }` or `protect A { … }`
  void protect(const Statement& s) {
    if (s.words.size() > 2 || (s.words.size() == 1 && !s.has_block))
      return problems_.add(s.line(), "protect", "takes addresses; write protect ADDRESS; or protect { ADDRESS; ... }");
    if (s.words.size() == 2) {
      const std::optional<wire::Address> server = protect(s.words[1]);
      if (!s.has_block) return;
      Server more = read_server(s, problems_);
      if (server) config_.servers[*server] = std::move(more);
      return;
    }
    for (const Statement& inside : s.block) {
      if (inside.has_block || inside.words.size() != 1) {
        problems_.add(inside.line(), "protect " + printable(inside.key()), "one address a line; is a ; missing?");
      } else {
        protect(inside.words[0]);
      }
    }
  }

  // Nothing: reported.
  std::optional<wire::Address> protect(const Word& word) {
    const auto refuse = [&](const std::string& why) {
      problems_.add(word.line, "protect " + printable(word.text), why);
      return std::nullopt;
    };
    const std::optional<wire::Address> address = wire::parse_address(word.text);
    if (!address) return refuse("not an address; write it like 203.0.113.25 or 2001:db8::25");
    const auto [first, is_first] = protected_.try_emplace(*address, word.line);
    if (!is_first) return refuse(fmt::format("given twice, first in line {}; keep one", first->second));
    if (config_.protect.size() == mailbox::kMaxProtected)
      return refuse(
          fmt::format("more than {} addresses; protect nothing by name, and all are", mailbox::kMaxProtected));
    config_.protect.push_back(*address);
    return address;
  }

  void members(const Statement& s) {
    const std::optional<SourceClass> source_class = read_class(s.words[1], "class", problems_);
    if (!source_class) return;
    const Place place{"class " + s.words[1].text};
    read_block(s.block, place,
               {{"prefix", Shape::many, [&](const Statement& v) { member(v.words[1], place, *source_class); }}},
               problems_);
  }

  void member(const Word& word, const Place& place, SourceClass source_class) {
    const std::string what = place.at("prefix " + printable(word.text));
    const std::optional<wire::Prefix> prefix = wire::parse_prefix(word.text);
    if (!prefix) return problems_.add(word.line, what, why_no_prefix(word.text));
    const auto key = std::make_pair(prefix->address, prefix->length);
    const auto [first, is_first] = listed_.try_emplace(key, Listed{word.line, source_class});
    if (!is_first) {
      const Listed& before = first->second;
      const std::string why =
          before.source_class == source_class
              ? fmt::format("given twice, first in line {}; keep one", before.line)
              : fmt::format("also in class {}, line {}; keep one", policy::to_string(before.source_class), before.line);
      return problems_.add(word.line, what, why);
    }
    if (config_.members.size() == mailbox::kMaxClassPrefixes)
      return problems_.add(word.line, what,
                           fmt::format("more than {} prefixes; join neighbours", mailbox::kMaxClassPrefixes));
    config_.members.push_back({*prefix, source_class});
  }

  static std::string why_no_prefix(std::string_view text) {
    const size_t slash = text.find('/');
    const std::optional<wire::Address> address = wire::parse_address(text.substr(0, slash));
    if (!address) return "not a prefix; write it like 198.51.100.0/24 or 2001:db8::/32";
    const uint32_t longest = address->is_v4() ? 32 : 128;
    const Result<uint32_t> length = parse_number(text.substr(slash + 1), 0, longest);
    if (!length) return fmt::format("no such length; use /0 to /{}", longest);
    const wire::Prefix meant{wire::masked(*address, length.value()), static_cast<uint8_t>(length.value())};
    return fmt::format("has bits beyond its length; try {}", wire::to_string(meant));
  }

  void penalty(const Statement& s) {
    const Place place{"penalty"};
    unsigned first_line = 0;
    const auto time = [&](std::chrono::milliseconds& out, unsigned* line) {
      return [this, &place, &out, line](const Statement& v) {
        const std::string what = place.at(v.key() + " " + printable(v.words[1].text));
        if (line != nullptr) *line = v.line();
        const Result<uint64_t> ms = parse_duration_ms(v.words[1].text);
        if (!ms) return problems_.add(v.line(), what, ms.error());
        if (ms.value() < 1000) return problems_.add(v.line(), what, "shorter than 1s; try 1m");
        if (ms.value() > mailbox::kPenaltyCapMs)
          return problems_.add(
              v.line(), what,
              fmt::format("longer than the limit of {}; try 24h", duration_text(mailbox::kPenaltyCapMs)));
        out = std::chrono::milliseconds{ms.value()};
      };
    };
    read_block(s.block, place,
               {{"first", Shape::value, time(config_.penalty_first, &first_line)},
                {"most", Shape::value, time(config_.penalty_most, nullptr)}},
               problems_);
    if (config_.penalty_first > config_.penalty_most)
      problems_.add(first_line != 0 ? first_line : s.line(),
                    place.at("first " + duration_text(static_cast<uint64_t>(config_.penalty_first.count()))),
                    fmt::format("longer than most {}; penalties only grow",
                                duration_text(static_cast<uint64_t>(config_.penalty_most.count()))));
  }

  void trap(const Statement& s) {
    const Place place{"trap"};
    const auto rate = [&](uint32_t& out, unsigned& line) {
      return [this, &place, &out, &line](const Statement& v) {
        line = v.line();
        const Result<uint32_t> number = parse_number(v.words[1].text, 1, mailbox::kTrapRateCap);
        if (!number)
          return problems_.add(v.line(), place.at(v.key() + " " + printable(v.words[1].text)), number.error());
        out = number.value();
      };
    };
    unsigned all_line = 0, one_line = 0;
    read_block(s.block, place,
               {{"per-second", Shape::value, rate(config_.trap.per_second, all_line)},
                {"per-source", Shape::value, rate(config_.trap.per_source, one_line)}},
               problems_);
    const auto [all, one] = config_.trap;
    if (one <= all) return;
    if (one_line != 0)
      problems_.add(one_line, place.at(fmt::format("per-source {}", one)),
                    fmt::format("more than per-second {}{}; try {}", all, all_line == 0 ? " (the default)" : "", all));
    else
      problems_.add(all_line, place.at(fmt::format("per-second {}", all)),
                    fmt::format("less than per-source {} (the default); give per-source too", one));
  }

  void texts(const Statement& s) {
    const Place place{"texts"};
    std::vector<Key> keys;
    for (size_t i = 0; i < smtp::kOwnReplies; ++i)
      keys.push_back(
          {smtp::to_string(static_cast<smtp::OwnReply>(i)), Shape::value, [this, &place, i](const Statement& v) {
             const std::string& text = v.words[1].text;
             if (const auto why = smtp::why_unfit(text); !why.empty())
               return problems_.add(v.line(), place.at(v.key()), std::string(why));
             config_.texts[i] = text;
           }});
    read_block(s.block, place, keys, problems_);
  }

  void log(const Statement& s) {
    const Place place{"log"};
    read_block(s.block, place,
               {{"file", Shape::value,
                 [&](const Statement& v) {
                   const std::string& path = v.words[1].text;
                   if (path != "-" && !path.starts_with('/'))
                     return problems_.add(
                         v.line(), place.at("file " + printable(path)),
                         "not a path from /; write it like /var/log/mire/flows.json, or - for standard output");
                   config_.log_file = path;
                 }}},
               problems_);
  }

  struct Listed {
    unsigned line;
    SourceClass source_class;
  };
  Problems& problems_;
  Config config_;
  std::map<wire::Address, unsigned> protected_;
  std::map<std::pair<wire::Address, uint8_t>, Listed> listed_;
};

struct CloseFile {
  void operator()(std::FILE* file) const noexcept { std::fclose(file); }
};

}  // namespace

Outcome parse(std::string_view text, std::string_view file) {
  Problems problems(file);
  Outcome outcome;
  if (const auto tree = read_tree(text, problems)) {
    Config config = ConfigReader(problems).read(*tree);
    if (problems.none()) outcome.config = std::move(config);
  }
  outcome.errors = problems.lines();
  return outcome;
}

Outcome load(const std::string& path) {
  const auto cannot = [&](const char* why) {
    return Outcome{{},
                   {fmt::format("{}: cannot be read: {}; name a file with --config, or leave it out for the defaults",
                                path, why)}};
  };
  const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path.c_str(), "re"));
  if (!file) return cannot(std::strerror(errno));
  std::string text;
  std::array<char, 65536> part;
  for (size_t n = 0; (n = std::fread(part.data(), 1, part.size(), file.get())) > 0;) {
    text.append(part.data(), n);
    if (text.size() > kLargestFile) return cannot("larger than 64 MB");
  }
  if (std::ferror(file.get()) != 0) return cannot(std::strerror(errno));
  return parse(text, path);
}

}  // namespace mire::config
