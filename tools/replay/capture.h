// capture.h - a capture file as Ethernet frames with times. Knows nothing of SMTP.
//
// Reads pcap and pcapng through libpcap; Ethernet, Linux cooked (tcpdump -i any, v1 and v2) and raw IP captures. What
// has no Ethernet header gets one with zero addresses, so that the rest sees frames as a port gives them.
#pragma once

#include <pcap/pcap.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/base/result.h"
#include "dataplane/base/time.h"

namespace mire::replay {

struct Frame {
  Time time;                   // as captured: since 1970, not our monotonic clock
  std::vector<uint8_t> bytes;  // from the Ethernet header on
  bool cut = false;            // the capture has fewer bytes than the wire had
};

class Capture {
 public:
  static Result<std::unique_ptr<Capture>> open(const std::string& path);

  // The next frame; nothing at the end, or when the file is broken (then error() says why).
  std::optional<Frame> next();
  [[nodiscard]] const std::string& error() const noexcept { return error_; }

 private:
  struct Close {
    void operator()(pcap_t* p) const noexcept { pcap_close(p); }
  };
  Capture(std::unique_ptr<pcap_t, Close> file, std::string path, int link)
      : file_(std::move(file)), path_(std::move(path)), link_(link) {}
  [[nodiscard]] bool to_ethernet(const uint8_t* data, size_t length, std::vector<uint8_t>& out) const;

  std::unique_ptr<pcap_t, Close> file_;
  std::string path_;
  std::string error_;
  int link_;
};

}  // namespace mire::replay
