// config.h - what the operator wants, checked: the configuration file as one value.
//
// Either the whole file is right and there is a Config, or there are lines that say FILE:LINE: what: why; what to do.
// Nothing is half taken, nothing unknown is ignored. Refuses to know who obeys it (link/) and where it is kept.
#pragma once

#include <array>
#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "controlplane/config/protect_reader.h"
#include "dataplane/policy/treatment.h"
#include "dataplane/smtp/reply_text.h"
#include "dataplane/wire/address.h"

namespace mire::config {

struct ClassMember {
  wire::Prefix prefix;
  policy::SourceClass source_class = policy::SourceClass::unknown;
  friend bool operator==(const ClassMember&, const ClassMember&) = default;
};

struct Config {
  std::string wan;  // ports are the dataplane's to open; here they are only checked and shown
  std::string lan;
  bool fail_closed = false;
  bool observe = false;
  policy::Treatments treatments = policy::default_treatments();
  std::chrono::milliseconds penalty_first = std::chrono::minutes{1};
  std::chrono::milliseconds penalty_most = std::chrono::hours{24};
  policy::TrapRate trap;
  std::vector<wire::Address> protect;       // empty: every lan address
  std::map<wire::Address, Server> servers;  // those of `protect` of which more is said
  std::vector<ClassMember> members;
  std::array<std::string, smtp::kOwnReplies> texts;   // of our own replies; empty: the default
  std::array<std::string, policy::kClasses> teasers;  // of classes whose treatment has one
  std::string log_file = "-";                         // "-": standard output
  friend bool operator==(const Config&, const Config&) = default;
};

inline constexpr size_t kErrorsShown = 10;

struct Outcome {
  std::optional<Config> config;
  std::vector<std::string> errors;  // none exactly if there is a config; at most kErrorsShown
};

// `file` is only the name that errors carry.
[[nodiscard]] Outcome parse(std::string_view text, std::string_view file);
[[nodiscard]] Outcome load(const std::string& path);

}  // namespace mire::config
