#include "controlplane/api/tokens.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

namespace mire::api {
namespace {

constexpr size_t kDigestDigits = 64;

int nibble(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool read_digest(const std::string& hex, std::array<uint8_t, 32>& out) {
  if (hex.size() != kDigestDigits) return false;
  for (size_t i = 0; i < out.size(); ++i) {
    const int high = nibble(hex[2 * i]);
    const int low = nibble(hex[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    out[i] = static_cast<uint8_t>(high << 4 | low);
  }
  return true;
}

}  // namespace

Result<Tokens> Tokens::parse(std::string_view text, const std::string& file) {
  Tokens out;
  std::istringstream lines{std::string(text)};
  unsigned number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    std::istringstream words(line);
    std::string name;
    std::string right;
    std::string digest;
    std::string more;
    if (!(words >> name) || name.front() == '#') continue;
    Token token;
    const bool whole = words >> right >> digest && !(words >> more);
    if (!whole || (right != "read" && right != "change") || !read_digest(digest, token.digest))
      return Error{
          fmt::format("{}:{}: a line is NAME read|change and the token's SHA-256 in hex (64 digits)", file, number)};
    token.rights = {"token " + name, right == "change"};
    out.tokens_.push_back(std::move(token));
  }
  if (out.tokens_.empty()) return Error{fmt::format("{}: no token in it: nobody could ask; add one", file)};
  return out;
}

Result<Tokens> Tokens::load(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  if (!in || !(text << in.rdbuf()))
    return Error{fmt::format("{}: {}; name a file of tokens that mired may read", file, std::strerror(errno))};
  return parse(text.str(), file);
}

std::optional<Rights> Tokens::owner_of(std::string_view authorization) const {
  constexpr std::string_view kScheme = "Bearer ";
  if (!authorization.starts_with(kScheme)) return std::nullopt;
  authorization.remove_prefix(kScheme.size());
  Digest given;
  ::SHA256(reinterpret_cast<const unsigned char*>(authorization.data()), authorization.size(), given.data());
  std::optional<Rights> out;
  for (const Token& t : tokens_)
    if (::CRYPTO_memcmp(t.digest.data(), given.data(), given.size()) == 0) out = t.rights;
  return out;
}

}  // namespace mire::api
