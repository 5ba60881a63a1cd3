#include "controlplane/api/rights.h"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <vector>

namespace mire::api {
namespace {

constexpr size_t kBuffer = 64 * 1024;  // of the name service: a group's line names all of its members
constexpr int kMostGroups = 65'536;    // NGROUPS_MAX of Linux

std::optional<gid_t> group_named(const char* name) {
  std::vector<char> buffer(kBuffer);
  group entry{};
  group* found = nullptr;
  if (::getgrnam_r(name, &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) return std::nullopt;
  return found->gr_gid;
}

struct Account {
  std::string name;
  std::vector<gid_t> groups;
};

Account account_of(uid_t uid, gid_t primary) {
  std::vector<char> buffer(kBuffer);
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr)
    return {"uid " + std::to_string(uid), {primary}};
  std::vector<gid_t> groups(64);
  int count = static_cast<int>(groups.size());
  while (::getgrouplist(found->pw_name, primary, groups.data(), &count) < 0 && count <= kMostGroups)
    groups.resize(static_cast<size_t>(count));
  groups.resize(static_cast<size_t>(std::max(count, 0)));
  return {found->pw_name, std::move(groups)};
}

bool is_in(const Account& account, const char* name) {
  const std::optional<gid_t> group = group_named(name);
  return group && std::find(account.groups.begin(), account.groups.end(), *group) != account.groups.end();
}

}  // namespace

std::optional<Rights> rights_of(uid_t uid, gid_t primary, const char* readers, const char* admins) {
  const Account account = account_of(uid, primary);
  if (uid == 0 || uid == ::geteuid() || is_in(account, admins)) return Rights{account.name, true};
  if (is_in(account, readers)) return Rights{account.name, false};
  return std::nullopt;
}

}  // namespace mire::api
