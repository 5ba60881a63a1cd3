#include "ebpf/netdev.h"

#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <cstring>

#include "ebpf/fd.h"

namespace mire::ebpf {
namespace {

// Of linux/netdev.h, which Debian 12's headers do not have yet.
constexpr uint8_t kDevGet = 1;
constexpr uint16_t kAttrIfindex = 1;
constexpr uint16_t kAttrXdpFeatures = 3;

struct Request {
  nlmsghdr netlink{};
  genlmsghdr generic{};
  std::array<uint8_t, 64> attributes{};

  Request(uint16_t family, uint8_t command) {
    netlink.nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN);
    netlink.nlmsg_type = family;
    netlink.nlmsg_flags = NLM_F_REQUEST;
    generic.cmd = command;
    generic.version = 1;
  }
  void add(uint16_t type, const void* data, uint16_t length) {
    nlattr a{static_cast<uint16_t>(NLA_HDRLEN + length), type};
    const size_t at = netlink.nlmsg_len - NLMSG_LENGTH(GENL_HDRLEN);
    std::memcpy(&attributes[at], &a, sizeof a);
    std::memcpy(&attributes[at + NLA_HDRLEN], data, length);
    netlink.nlmsg_len += NLA_HDRLEN + NLA_ALIGN(length);
  }
};

using Reply = std::array<uint8_t, 8192>;

// The attribute's bytes in the kernel's answer.
const uint8_t* ask(int fd, const Request& request, uint16_t attribute, size_t length, Reply& reply) {
  if (send(fd, &request, request.netlink.nlmsg_len, 0) < 0) return nullptr;
  const ssize_t got = recv(fd, reply.data(), reply.size(), 0);
  if (got < static_cast<ssize_t>(NLMSG_LENGTH(GENL_HDRLEN))) return nullptr;
  nlmsghdr header{};
  std::memcpy(&header, reply.data(), sizeof header);
  if (header.nlmsg_type == NLMSG_ERROR || header.nlmsg_len > static_cast<size_t>(got)) return nullptr;
  for (size_t at = NLMSG_LENGTH(GENL_HDRLEN); at + NLA_HDRLEN <= header.nlmsg_len;) {
    nlattr a{};
    std::memcpy(&a, &reply[at], sizeof a);
    if (a.nla_len < NLA_HDRLEN || at + a.nla_len > header.nlmsg_len) return nullptr;
    if ((a.nla_type & NLA_TYPE_MASK) == attribute && a.nla_len >= NLA_HDRLEN + length) return &reply[at + NLA_HDRLEN];
    at += NLA_ALIGN(a.nla_len);
  }
  return nullptr;
}

}  // namespace

std::optional<uint64_t> xdp_features(uint32_t ifindex) {
  const Fd fd{socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC)};
  if (!fd) return std::nullopt;
  const timeval patience{1, 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  Reply reply{};
  Request find{GENL_ID_CTRL, CTRL_CMD_GETFAMILY};
  constexpr char kName[] = "netdev";
  find.add(CTRL_ATTR_FAMILY_NAME, kName, sizeof kName);
  uint16_t family = 0;
  const uint8_t* id = ask(fd.get(), find, CTRL_ATTR_FAMILY_ID, sizeof family, reply);
  if (id == nullptr) return std::nullopt;
  std::memcpy(&family, id, sizeof family);
  Request get{family, kDevGet};
  get.add(kAttrIfindex, &ifindex, sizeof ifindex);
  uint64_t features = 0;
  const uint8_t* bits = ask(fd.get(), get, kAttrXdpFeatures, sizeof features, reply);
  if (bits == nullptr) return std::nullopt;
  std::memcpy(&features, bits, sizeof features);
  return features;
}

}  // namespace mire::ebpf
