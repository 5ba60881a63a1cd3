// netlink.h - ask the kernel one question over netlink and read the attributes of its answer.
//
// Only what ports and features need: one request, one answer. Knows no message's meaning.
#pragma once

#include <linux/netlink.h>

#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <span>
#include <vector>

namespace mire::ebpf::netlink {

class Request {
 public:
  // `fixed` is the family's own header (ifinfomsg, genlmsghdr).
  Request(uint16_t type, std::span<const std::byte> fixed);
  Request& add(uint16_t attribute, const void* value, size_t length);

  // The payload behind the answer's netlink header, or the negative errno that was the answer.
  struct Answer {
    int error = 0;
    std::vector<std::byte> payload;
  };
  [[nodiscard]] Answer ask(int protocol) const;

 private:
  std::vector<std::byte> message_;
};

// Calls `visit` for each attribute of a well-formed list.
void each_attribute(std::span<const std::byte> list,
                    const std::function<void(uint16_t, std::span<const std::byte>)>& visit);

template <typename T>
[[nodiscard]] std::span<const std::byte> bytes_of(const T& value) {
  return std::as_bytes(std::span{&value, 1});
}

template <typename T>
[[nodiscard]] std::optional<T> value_of(std::span<const std::byte> bytes) {
  if (bytes.size() < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

}  // namespace mire::ebpf::netlink
