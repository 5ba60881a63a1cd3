#include "ebpf/netlink.h"

#include <sys/socket.h>

#include <cerrno>

#include "ebpf/fd.h"

namespace mire::ebpf::netlink {
namespace {

void append(std::vector<std::byte>& to, const void* from, size_t length) {
  const auto* bytes = static_cast<const std::byte*>(from);
  to.insert(to.end(), bytes, bytes + length);
  to.resize(NLMSG_ALIGN(to.size()));
}

}  // namespace

Request::Request(uint16_t type, std::span<const std::byte> fixed) {
  nlmsghdr header{};
  header.nlmsg_type = type;
  header.nlmsg_flags = NLM_F_REQUEST;
  append(message_, &header, sizeof header);
  append(message_, fixed.data(), fixed.size());
}

Request& Request::add(uint16_t attribute, const void* value, size_t length) {
  const nlattr header{static_cast<uint16_t>(NLA_HDRLEN + length), attribute};
  append(message_, &header, sizeof header);
  append(message_, value, length);
  return *this;
}

Request::Answer Request::ask(int protocol) const {
  const Fd socket{::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol)};
  if (!socket) return {-errno, {}};
  auto message = message_;
  const auto length = static_cast<uint32_t>(message.size());
  std::memcpy(message.data(), &length, sizeof length);  // nlmsg_len stands first
  if (::send(socket.get(), message.data(), message.size(), 0) < 0) return {-errno, {}};

  std::vector<std::byte> buffer(32768);
  const ssize_t got = ::recv(socket.get(), buffer.data(), buffer.size(), 0);
  if (got < 0) return {-errno, {}};
  const auto header = value_of<nlmsghdr>(std::span{buffer}.first(static_cast<size_t>(got)));
  if (!header || header->nlmsg_len < NLMSG_HDRLEN || header->nlmsg_len > static_cast<size_t>(got))
    return {-EBADMSG, {}};
  const auto payload = std::span{buffer}.subspan(NLMSG_HDRLEN, header->nlmsg_len - NLMSG_HDRLEN);
  if (header->nlmsg_type == NLMSG_ERROR) return {value_of<int>(payload).value_or(-EBADMSG), {}};
  return {0, {payload.begin(), payload.end()}};
}

void each_attribute(std::span<const std::byte> list,
                    const std::function<void(uint16_t, std::span<const std::byte>)>& visit) {
  while (const auto header = value_of<nlattr>(list)) {
    if (header->nla_len < NLA_HDRLEN || header->nla_len > list.size()) return;
    visit(header->nla_type & NLA_TYPE_MASK, list.subspan(NLA_HDRLEN, header->nla_len - NLA_HDRLEN));
    const size_t step = NLA_ALIGN(header->nla_len);
    list = step < list.size() ? list.subspan(step) : std::span<const std::byte>{};
  }
}

}  // namespace mire::ebpf::netlink
