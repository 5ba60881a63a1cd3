// lesson.h - what one flow event teaches about its client. Pure.
//
// An event tells of one thing that happened, and a flow has several; so each lesson is taught by one kind of event
// only. A connection is counted with the event that ends its flow. Refuses to know what evidence is worth.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <span>

#include "controlplane/reputation/observation.h"
#include "dataplane/mailbox/flow_event.h"

namespace mire::learning {

struct Lesson {
  bool connection = false;
  uint8_t observed = 0;
  std::array<reputation::Observation, 2> room;
  std::chrono::seconds penalty{};  // 0: none
  uint32_t offences = 0;
  [[nodiscard]] std::span<const reputation::Observation> observations() const noexcept {
    return {room.data(), observed};
  }
};

// `observing`: nothing was enforced, so nobody had to be patient.
[[nodiscard]] Lesson lesson_of(const mailbox::FlowEvent&, bool observing) noexcept;

}  // namespace mire::learning
