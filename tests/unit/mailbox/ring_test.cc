#include "dataplane/mailbox/ring.h"

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <random>
#include <thread>

namespace mire::mailbox {
namespace {

struct Message {
  uint64_t number = 0;
  uint64_t twice = 0;
};
using Ring = SharedRing<Message, 8>;

struct Both {
  std::unique_ptr<Ring> ring = std::make_unique<Ring>();
  RingProducer<Ring> producer{ring.get()};
  RingConsumer<Ring> consumer{ring.get()};
};

TEST(Ring, BehavesLikeABoundedQueueUnderRandomPushesAndPops) {
  Both b;
  std::deque<uint64_t> model;
  std::mt19937 chance(1);
  for (uint64_t i = 0; i < 100'000; ++i) {
    if (chance() % 2 == 0) {
      const RingResult pushed = b.producer.push({i, 2 * i});
      ASSERT_EQ(pushed, model.size() < 8 ? RingResult::done : RingResult::nothing);
      if (pushed == RingResult::done) model.push_back(i);
    } else {
      Message m;
      const RingResult popped = b.consumer.pop(m);
      ASSERT_EQ(popped, model.empty() ? RingResult::nothing : RingResult::done);
      if (model.empty()) continue;
      ASSERT_EQ(m.number, model.front());
      ASSERT_EQ(m.twice, 2 * model.front());
      model.pop_front();
    }
    ASSERT_EQ(b.producer.unread(), model.size());
    ASSERT_EQ(b.consumer.empty(), model.empty());
  }
}

TEST(Ring, LosesAndReordersNothingBetweenTwoThreads) {
  constexpr uint64_t kMessages = 300'000;
  Both b;
  std::thread writer([&] {
    for (uint64_t i = 0; i < kMessages;) {
      if (b.producer.push({i, 2 * i}) == RingResult::done) {
        ++i;
      } else {
        std::this_thread::yield();
      }
    }
  });
  for (uint64_t expected = 0; expected < kMessages;) {
    Message m;
    if (b.consumer.pop(m) != RingResult::done) {
      std::this_thread::yield();
      continue;
    }
    ASSERT_EQ(m.number, expected);
    ASSERT_EQ(m.twice, 2 * expected);
    ++expected;
  }
  writer.join();
}

TEST(Ring, RefusesAProducerIndexFurtherAwayThanTheRingIsLong) {
  for (const uint64_t written : {uint64_t{9}, uint64_t{1} << 63, UINT64_MAX}) {
    Both b;
    b.ring->written.store(written);
    Message m;
    EXPECT_EQ(b.consumer.pop(m), RingResult::peer_broken) << written;
  }
}

TEST(Ring, RefusesAProducerIndexThatMovesBackwards) {
  Both b;
  for (uint64_t i = 0; i < 4; ++i) ASSERT_EQ(b.producer.push({i, i}), RingResult::done);
  Message m;
  ASSERT_EQ(b.consumer.pop(m), RingResult::done);  // it has seen 4 written, 1 read
  b.ring->written.store(3);
  EXPECT_EQ(b.consumer.pop(m), RingResult::peer_broken);
  b.ring->written.store(0);
  EXPECT_EQ(b.consumer.pop(m), RingResult::peer_broken);
}

TEST(Ring, RefusesAConsumerIndexAheadOfWhatWasWrittenOrBehindWhatItWas) {
  for (const uint64_t read : {uint64_t{0}, uint64_t{5}, uint64_t{1} << 40, UINT64_MAX}) {
    Both b;
    Message m;
    for (uint64_t i = 0; i < 3; ++i) ASSERT_EQ(b.producer.push({i, i}), RingResult::done);
    ASSERT_EQ(b.consumer.pop(m), RingResult::done);
    ASSERT_EQ(b.producer.push({3, 3}), RingResult::done);  // it has seen 4 written, 1 read
    b.ring->read.store(read);
    EXPECT_EQ(b.producer.push({9, 9}), RingResult::peer_broken) << read;
    EXPECT_LE(b.producer.unread(), 8u);
  }
}

TEST(Ring, KeepsItsOwnIndexWhateverIsWrittenOverThePublishedCopy) {
  Both b;
  ASSERT_EQ(b.producer.push({1, 2}), RingResult::done);
  b.ring->written.store(77);  // our own copy, scribbled over by the peer
  ASSERT_EQ(b.producer.push({2, 4}), RingResult::done);
  EXPECT_EQ(b.ring->written.load(), 2u);
}

TEST(Ring, SurvivesAnyIndicesAtAll) {
  Both b;
  std::mt19937_64 chance(7);
  Message m;
  for (int i = 0; i < 200'000; ++i) {
    b.ring->written.store(chance() >> (chance() % 64));
    b.ring->read.store(chance() >> (chance() % 64));
    (void)b.producer.push(m);
    (void)b.consumer.pop(m);
    ASSERT_LE(b.producer.unread(), 8u);
  }
}

}  // namespace
}  // namespace mire::mailbox
