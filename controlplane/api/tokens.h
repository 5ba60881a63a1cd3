// tokens.h - who may ask from afar: names with rights, known by the SHA-256 of a secret that only they have.
//
// The file holds no secret: whoever reads it can ask nothing. A line each, `NAME read|change SHA256-IN-HEX`; empty
// lines and lines that begin with # are for people. Made by `openssl rand -hex 32`, then `printf %s SECRET |
// sha256sum`.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/api/rights.h"
#include "dataplane/base/result.h"

namespace mire::api {

class Tokens {
 public:
  // `file` is only the name that errors carry. Whole or not at all.
  static Result<Tokens> parse(std::string_view text, const std::string& file);
  static Result<Tokens> load(const std::string& file);

  // The owner of `Bearer SECRET` (RFC 6750, 2.1). Takes as long for a wrong secret as for a right one.
  [[nodiscard]] std::optional<Rights> owner_of(std::string_view authorization) const;
  [[nodiscard]] size_t size() const noexcept { return tokens_.size(); }

 private:
  using Digest = std::array<uint8_t, 32>;
  struct Token {
    Rights rights;
    Digest digest;
  };
  std::vector<Token> tokens_;
};

}  // namespace mire::api
