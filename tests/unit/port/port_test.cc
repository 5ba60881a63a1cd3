#include "dataplane/port/port.h"

#include <gtest/gtest.h>

namespace mire::port {
namespace {

TEST(Port, IsOutgrownByAFullPacketWithFourTags) {
  for (uint32_t mtu = 68; mtu <= 9000; ++mtu) {
    const uint32_t largest = xsk_buffer(mtu).largest_frame;
    EXPECT_EQ(may_outgrow(mtu, largest), mtu + 14 + 16 > largest) << mtu;
    EXPECT_FALSE(may_outgrow(mtu, 0)) << "no limit";
  }
  EXPECT_FALSE(may_outgrow(1500, 1530));
  EXPECT_TRUE(may_outgrow(1500, 1529)) << "it fits untagged, and clients may be tagged";
}

}  // namespace
}  // namespace mire::port
