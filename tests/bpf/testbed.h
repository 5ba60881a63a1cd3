// testbed.h - a gateway between two hosts, with veth pairs, in network namespaces that live as long as the object.
//
// The calling process is the gateway: ports "wan" and "lan". The hosts' interfaces are "host" in a namespace each;
// frames are sent and received there through packet sockets, VLAN tags whole, whatever offload carries them.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <string>

#include "dataplane/base/time.h"
#include "ebpf/fd.h"
#include "ebpf/offloads.h"
#include "tests/unit/wire/frames.h"

namespace mire::ebpf::test {

using wire::test::Bytes;

inline void shell(const std::string& command) {
  if (std::system(command.c_str()) != 0) throw std::runtime_error("failed: " + command);
}

inline std::string output_of(const std::string& command) {
  std::string text;
  FILE* pipe = popen(command.c_str(), "r");
  for (int c = fgetc(pipe); c != EOF; c = fgetc(pipe)) text += static_cast<char>(c);
  pclose(pipe);
  return text;
}

// A host's interface seen by its packet socket.
class Host {
 public:
  explicit Host(Fd socket) : socket_(std::move(socket)) {}

  void send(const Bytes& frame) const {
    if (::send(socket_.get(), frame.data(), frame.size(), 0) != static_cast<ssize_t>(frame.size()))
      throw std::runtime_error(std::string("send: ") + strerror(errno));
  }

  // The next frame that came in, its tag put back.
  [[nodiscard]] std::optional<Bytes> receive(milliseconds patience) const {
    pollfd ready{socket_.get(), POLLIN, 0};
    if (poll(&ready, 1, static_cast<int>(patience.count())) != 1) return std::nullopt;
    Bytes frame(65536);
    iovec data{frame.data(), frame.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(tpacket_auxdata))];
    sockaddr_ll from{};
    msghdr message{&from, sizeof from, &data, 1, control, sizeof control, 0};
    const ssize_t got = recvmsg(socket_.get(), &message, 0);
    if (got < 14) return std::nullopt;
    if (from.sll_pkttype == PACKET_OUTGOING) return receive(patience);
    frame.resize(static_cast<size_t>(got));
    tpacket_auxdata aux{};
    if (const cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr && c->cmsg_type == PACKET_AUXDATA)
      std::memcpy(&aux, CMSG_DATA(c), sizeof aux);
    if ((aux.tp_status & TP_STATUS_VLAN_VALID) != 0) {
      Bytes tag(4);
      wire::test::put16(tag, 0, aux.tp_vlan_tpid);
      wire::test::put16(tag, 2, aux.tp_vlan_tci);
      frame.insert(frame.begin() + 12, tag.begin(), tag.end());
    }
    return frame;
  }

  // True once `frame` comes, whatever else comes before.
  [[nodiscard]] bool hears(const Bytes& frame, milliseconds patience = milliseconds{300}) const {
    const Time end = MonotonicClock::now() + patience;
    for (Time now = MonotonicClock::now(); now < end; now = MonotonicClock::now()) {
      const auto got = receive(std::chrono::ceil<milliseconds>(end - now));
      if (got && *got == frame) return true;
    }
    return false;
  }

  // How many copies of `frame` wait among others.
  [[nodiscard]] unsigned count(const Bytes& frame) const {
    unsigned copies = 0;
    while (const auto got = receive(milliseconds{50})) copies += *got == frame ? 1 : 0;
    return copies;
  }

 private:
  Fd socket_;
};

class Testbed {
 public:
  Testbed() : mark_("mire-bpf-" + std::to_string(getpid())) {
    if (unshare(CLONE_NEWNET) != 0) throw std::runtime_error("no network namespace");
    for (const char* side : {"wan", "lan"}) {
      const std::string host = mark_ + side, port = side;
      shell("ip netns add " + host);
      shell("ip link add " + port + " type veth peer name host netns " + host);
      shell("ip link set " + port + " up");
      inside(host, [&] {
        shell("echo 1 > /proc/sys/net/ipv6/conf/host/disable_ipv6");  // silent, so that all that is heard was sent
        shell("ip link set host up");
        // A veth takes redirected frames only if its own NAPI runs: GRO switched on after link-up starts it.
        (void)switch_off("host", {"rx-gro"});
        if (!switch_on("host", {"rx-gro"})) throw std::runtime_error("GRO");
      });
    }
  }
  ~Testbed() {
    for (const char* side : {"wan", "lan"}) (void)std::system(("ip netns del " + mark_ + side).c_str());
  }
  Testbed(const Testbed&) = delete;
  Testbed& operator=(const Testbed&) = delete;

  [[nodiscard]] Host host(const std::string& side) const {
    std::optional<Host> made;
    inside(mark_ + side, [&] {
      Fd socket{::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL))};
      sockaddr_ll to{};
      to.sll_family = AF_PACKET;
      to.sll_protocol = htons(ETH_P_ALL);
      to.sll_ifindex = static_cast<int>(if_nametoindex("host"));
      const int on = 1, large = 8 << 20;
      setsockopt(socket.get(), SOL_PACKET, PACKET_AUXDATA, &on, sizeof on);
      setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUFFORCE, &large, sizeof large);
      if (bind(socket.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) throw std::runtime_error("bind");
      made.emplace(std::move(socket));
    });
    return std::move(*made);
  }

  void in_host(const std::string& side, const std::string& command) const {
    inside(mark_ + side, [&] { shell(command); });
  }

 private:
  template <typename Deed>
  static void inside(const std::string& name, const Deed& deed) {
    const Fd here{open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)};
    const Fd there{open(("/run/netns/" + name).c_str(), O_RDONLY | O_CLOEXEC)};
    if (setns(there.get(), CLONE_NEWNET) != 0) throw std::runtime_error("setns " + name);
    deed();
    if (setns(here.get(), CLONE_NEWNET) != 0) std::abort();
  }

  std::string mark_;
};

}  // namespace mire::ebpf::test
