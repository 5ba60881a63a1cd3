#include "tools/follow/options.h"

#include <fmt/format.h>

#include <optional>
#include <string_view>

namespace mire::follow {

Result<Options> parse_options(int argc, const char* const* argv) {
  Options options;
  std::optional<Format> format;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    const auto value = [&]() -> std::optional<std::string> {
      if (i + 1 >= argc) return {};
      return argv[++i];
    };
    if (word == "-h" || word == "--help") {
      options.help = true;
      return options;
    }
    if (word == "--postfix" || word == "--exim") {
      format = word == "--exim" ? Format::exim : Format::postfix;
    } else if (word == "--from-start") {
      options.from_start = true;
    } else if (word == "--print") {
      options.print = true;
    } else if (word == "--socket" || word == "--state" || word == "--ours") {
      const std::optional<std::string> text = value();
      if (!text) return Error{fmt::format("{}: a value is wanted behind it; see --help", word)};
      if (word == "--socket") options.socket = *text;
      if (word == "--state") options.state = *text;
      if (word != "--ours") continue;
      const std::optional<wire::Prefix> prefix = wire::parse_prefix(*text);
      if (!prefix) return Error{fmt::format("--ours {}: no address and no prefix; try 198.51.100.0/24", *text)};
      options.ours.push_back(*prefix);
    } else if (word.starts_with("-") && word != "-") {
      return Error{fmt::format("{}: not known; see --help", word)};
    } else if (!options.log.empty()) {
      return Error{fmt::format("{}: one log at a time; run one mire-follow for each", word)};
    } else {
      options.log = word;
    }
  }
  if (!format) return Error{"say whose log it is: --postfix or --exim"};
  if (options.log.empty()) return Error{"say which log: a file, or - for standard input"};
  options.format = *format;
  return options;
}

}  // namespace mire::follow
