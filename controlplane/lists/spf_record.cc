#include "controlplane/lists/spf_record.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "controlplane/lists/feed_reader.h"
#include "controlplane/lists/settings.h"

namespace mire::lists {
namespace {

constexpr std::string_view kVersion = "v=spf1";
constexpr std::array<std::string_view, 8> kMechanisms = {"all", "include", "a", "mx", "ptr", "ip4", "ip6", "exists"};

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  return out;
}

Error broken(std::string_view term, std::string_view why) { return Error{fmt::format("{}: {}", shown(term), why)}; }

std::optional<uint8_t> length_of(std::string_view text, unsigned most) {
  unsigned n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc{} || end != text.data() + text.size() || n > most) return {};
  if (text.size() > 1 && text.front() == '0') return {};
  return static_cast<uint8_t>(n);
}

// Takes "/24//64", "/24", "//64" off the end (RFC 7208 5.3). False: it is none.
bool take_lengths(std::string_view& text, SpfTerm& term) {
  if (const size_t two = text.find("//"); two != std::string_view::npos) {
    const std::optional<uint8_t> length = length_of(text.substr(two + 2), 128);
    if (!length) return false;
    term.v6_length = *length;
    text = text.substr(0, two);
  }
  if (const size_t one = text.find('/'); one != std::string_view::npos) {
    const std::optional<uint8_t> length = length_of(text.substr(one + 1), 32);
    if (!length) return false;
    term.v4_length = *length;
    text = text.substr(0, one);
  }
  return true;
}

// ip4:192.0.2.1/24 means 192.0.2.0/24 (RFC 7208 5.6).
std::optional<wire::Prefix> network(std::string_view text, bool v4) {
  const size_t slash = text.find('/');
  const std::optional<wire::Address> address = wire::parse_address(text.substr(0, slash));
  if (!address || address->is_v4() != v4) return {};
  std::optional<uint8_t> length = static_cast<uint8_t>(v4 ? 32 : 128);
  if (slash != std::string_view::npos) length = length_of(text.substr(slash + 1), *length);
  if (!length) return {};
  return wire::Prefix{wire::masked(*address, *length), *length};
}

bool take_domain(std::string_view text, std::string& domain, bool& macro) {
  macro = text.find('%') != std::string_view::npos;
  if (macro) return true;
  if (!is_domain(text)) return false;
  if (text.ends_with('.')) text.remove_suffix(1);
  domain = lower(text);
  return true;
}

Result<SpfTerm> mechanism(std::string_view word) {
  SpfTerm term;
  std::string_view rest = word;
  if (std::string_view("+-~?").find(rest.front()) != std::string_view::npos) {
    term.qualifier = rest.front();
    rest.remove_prefix(1);
  }
  const std::string name = lower(rest.substr(0, rest.find_first_of(":/")));
  const auto known = std::find(kMechanisms.begin(), kMechanisms.end(), name);
  if (known == kMechanisms.end()) return broken(word, "no mechanism of SPF");
  term.mechanism = static_cast<SpfMechanism>(known - kMechanisms.begin());
  rest.remove_prefix(name.size());
  const bool said = rest.starts_with(':');
  if (said) rest.remove_prefix(1);
  switch (term.mechanism) {
    case SpfMechanism::all: return said || !rest.empty() ? Result<SpfTerm>(broken(word, "all takes nothing")) : term;
    case SpfMechanism::ip4:
    case SpfMechanism::ip6: {
      const std::optional<wire::Prefix> prefix = network(rest, term.mechanism == SpfMechanism::ip4);
      if (!said || !prefix) return broken(word, "no network of its family");
      term.prefix = *prefix;
      return term;
    }
    case SpfMechanism::a:
    case SpfMechanism::mx: {
      const bool macro = rest.find('%') != std::string_view::npos;  // its delimiters may be slashes
      if (!macro && !take_lengths(rest, term)) return broken(word, "no prefix length");
      break;
    }
    case SpfMechanism::include:
    case SpfMechanism::exists:
      if (!said) return broken(word, "no domain");
      break;
    case SpfMechanism::ptr: break;
  }
  if (said ? !take_domain(rest, term.domain, term.macro) : !rest.empty()) return broken(word, "no domain name");
  return term;
}

bool is_modifier(std::string_view word) {
  const size_t sign = word.find('=');
  return sign != std::string_view::npos && word.find_first_of(":/%") > sign;
}

}  // namespace

bool is_spf(std::string_view text) noexcept {
  if (text.size() < kVersion.size() || lower(text.substr(0, kVersion.size())) != kVersion) return false;
  return text.size() == kVersion.size() || text[kVersion.size()] == ' ';
}

Result<SpfRecord> parse_spf(std::string_view text) {
  if (!is_spf(text)) return broken(text, "no SPF record");
  SpfRecord record;
  bool explained = false;
  text.remove_prefix(kVersion.size());
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(word.size() + 1, text.size()));
    if (word.empty()) continue;
    if (!is_modifier(word)) {
      Result<SpfTerm> term = mechanism(word);
      if (!term) return Error{term.error()};
      record.terms.push_back(std::move(term).value());
      continue;
    }
    const std::string name = lower(word.substr(0, word.find('=')));
    if (name == "exp" && std::exchange(explained, true)) return broken(word, "said twice");
    if (name != "redirect") continue;
    if (record.redirect || record.redirect_macro) return broken(word, "said twice");
    std::string domain;
    if (!take_domain(word.substr(name.size() + 1), domain, record.redirect_macro))
      return broken(word, "no domain name");
    if (!record.redirect_macro) record.redirect = std::move(domain);
  }
  return record;
}

}  // namespace mire::lists
