// rights.h - what a local account may ask of mired: members of `mire` may read, members of `mire-admin` may change.
//
// Assumes that the kernel vouches for the account (SO_PEERCRED): nothing that a client says is believed. root, and the
// account that mired itself runs as, may do both, so that a checkout works without either group.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

namespace mire::api {

struct Rights {
  std::string name;  // the account's, or "uid N"
  bool may_change = false;
};

inline constexpr const char* kReaders = "mire";
inline constexpr const char* kAdmins = "mire-admin";

// Nothing: may not even read. Looks the account up with the system's name service: once a connection.
[[nodiscard]] std::optional<Rights> rights_of(uid_t, gid_t primary, const char* readers = kReaders,
                                              const char* admins = kAdmins);

}  // namespace mire::api
