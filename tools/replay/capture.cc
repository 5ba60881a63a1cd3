#include "tools/replay/capture.h"

#include <array>
#include <cstring>

#include "dataplane/wire/byteorder.h"

namespace mire::replay {
namespace {

constexpr size_t kEthernet = 14;
constexpr int kRaw = 12;  // DLT_RAW is 12 or 14 by system; LINKTYPE_RAW in files is 101

bool known_link(int link) {
  return link == DLT_EN10MB || link == DLT_LINUX_SLL || link == DLT_LINUX_SLL2 || link == DLT_RAW || link == kRaw;
}

void with_header(uint16_t ether_type, const uint8_t* data, size_t length, std::vector<uint8_t>& out) {
  out.assign(kEthernet + length, 0);
  wire::store16(&out[12], ether_type);
  std::memcpy(out.data() + kEthernet, data, length);
}

}  // namespace

Result<std::unique_ptr<Capture>> Capture::open(const std::string& path) {
  std::array<char, PCAP_ERRBUF_SIZE> why{};
  std::unique_ptr<pcap_t, Close> file{
      pcap_open_offline_with_tstamp_precision(path.c_str(), PCAP_TSTAMP_PRECISION_NANO, why.data())};
  if (file == nullptr) return Error{path + ": cannot be read as a capture: " + why.data()};
  const int link = pcap_datalink(file.get());
  if (!known_link(link)) {
    const char* name = pcap_datalink_val_to_name(link);
    return Error{path + ": link type " + (name != nullptr ? name : std::to_string(link)) +
                 " is not one we read; capture with tcpdump on an Ethernet interface or -i any"};
  }
  return std::unique_ptr<Capture>(new Capture(std::move(file), path, link));
}

bool Capture::to_ethernet(const uint8_t* data, size_t length, std::vector<uint8_t>& out) const {
  if (link_ == DLT_EN10MB) {
    out.assign(data, data + length);
    return true;
  }
  if (link_ == DLT_LINUX_SLL || link_ == DLT_LINUX_SLL2) {
    const size_t header = link_ == DLT_LINUX_SLL ? 16 : 20;
    const size_t type_at = link_ == DLT_LINUX_SLL ? 14 : 0;
    if (length < header) return false;
    with_header(wire::load16(data + type_at), data + header, length - header, out);
    return true;
  }
  if (length == 0) return false;
  with_header((data[0] >> 4) == 6 ? 0x86dd : 0x0800, data, length, out);
  return true;
}

std::optional<Frame> Capture::next() {
  for (;;) {
    pcap_pkthdr* header = nullptr;
    const u_char* data = nullptr;
    const int got = pcap_next_ex(file_.get(), &header, &data);
    if (got == PCAP_ERROR_BREAK) return std::nullopt;
    if (got != 1) {
      error_ = path_ + ": broken after what was read so far: " + pcap_geterr(file_.get());
      return std::nullopt;
    }
    Frame f;
    f.time = Time{seconds{header->ts.tv_sec} + Duration{header->ts.tv_usec}};  // nanoseconds, as asked for at open
    f.cut = header->caplen < header->len;
    if (header->caplen <= UINT16_MAX && to_ethernet(data, header->caplen, f.bytes) && f.bytes.size() <= UINT16_MAX)
      return f;
  }
}

}  // namespace mire::replay
