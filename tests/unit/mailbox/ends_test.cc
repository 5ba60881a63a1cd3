#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include <fstream>

#include "dataplane/mailbox/hello.h"
#include "dataplane/mailbox/shared_memory.h"
#include "tests/unit/mailbox/support.h"

namespace {
bool out_of_watches = false;
}
// Instead of the C library's: what a user at fs.epoll.max_user_watches gets.
extern "C" int epoll_ctl(int epoll, int what, int fd, epoll_event* event) noexcept {
  if (out_of_watches && what == EPOLL_CTL_ADD) {
    errno = ENOSPC;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_epoll_ctl, epoll, what, fd, event));
}

namespace mire::mailbox {
namespace {

bool readable(int fd, int patience_ms = 0) {
  pollfd p{fd, POLLIN, 0};
  return ::poll(&p, 1, patience_ms) == 1;
}

FlowEvent numbered(uint32_t n) {
  FlowEvent event;
  event.accepted = n;
  return event;
}

TEST(Ends, CarrySettingsDownAndEventsUp) {
  const Folder folder;
  auto dataplane = listening(folder.file("s"));
  auto mired = connected(folder.file("s"), *dataplane);
  EXPECT_EQ(mired->lcores(), 2u);
  EXPECT_EQ(mired->dataplane_pid(), static_cast<uint32_t>(::getpid()));

  EXPECT_TRUE(mired->send(Begin{1}));
  EXPECT_TRUE(mired->send(Commit{1, 0}));
  EXPECT_TRUE(dataplane->take());
  EXPECT_EQ(std::get<Commit>(dataplane->take().value()).generation, 1u);
  EXPECT_FALSE(dataplane->take());
  EXPECT_TRUE(dataplane->offer(0, numbered(10)));
  EXPECT_TRUE(dataplane->offer(1, numbered(11)));
  EXPECT_TRUE(dataplane->tell_applied(1));
  std::vector<uint32_t> seen;
  bool applied = false;
  while (auto up = mired->receive()) {
    if (const auto* event = std::get_if<FlowEvent>(&*up)) seen.push_back(event->accepted);
    if (const auto* a = std::get_if<Applied>(&*up)) applied = a->generation == 1;
  }
  EXPECT_EQ(seen, (std::vector<uint32_t>{10, 11}));
  EXPECT_TRUE(applied);
}

TEST(Ends, WakeEachOtherOnlyWhenThereIsSomething) {
  const Folder folder;
  auto dataplane = listening(folder.file("s"));
  auto mired = connected(folder.file("s"), *dataplane);
  mired->service();
  mired->receive();
  dataplane->service();
  EXPECT_FALSE(dataplane->take());
  EXPECT_FALSE(readable(mired->fd()));
  EXPECT_FALSE(readable(dataplane->poll_fd()));

  dataplane->offer(0, numbered(1));
  dataplane->service();
  EXPECT_TRUE(readable(mired->fd(), 1000));
  mired->service();
  EXPECT_TRUE(readable(mired->fd())) << "not before the event was read";
  EXPECT_TRUE(mired->receive());
  EXPECT_FALSE(readable(mired->fd()));

  mired->send(Begin{1});
  mired->service();
  EXPECT_TRUE(readable(dataplane->poll_fd(), 1000));
  dataplane->service();
  EXPECT_TRUE(readable(dataplane->poll_fd())) << "not before the message was taken";
  EXPECT_TRUE(dataplane->take());
  EXPECT_FALSE(readable(dataplane->poll_fd()));
  dataplane->service();
  EXPECT_TRUE(readable(mired->fd(), 1000)) << "there is room again: a waiting mired must hear of it";
}

TEST(Ends, CountWhatCouldNotBeReportedAndTellTheNextMired) {
  const Folder folder;
  auto dataplane = listening(folder.file("s"));
  EXPECT_FALSE(dataplane->offer(0, numbered(1)));
  EXPECT_FALSE(dataplane->offer(0, numbered(2)));
  dataplane->add_lost(40);
  auto mired = connected(folder.file("s"), *dataplane);
  dataplane->service();
  auto up = mired->receive();
  ASSERT_TRUE(up);
  EXPECT_EQ(std::get<Lost>(*up).count, 42u);

  for (uint32_t i = 0; i < kUpSlots; ++i) ASSERT_TRUE(dataplane->offer(1, numbered(i)));
  EXPECT_FALSE(dataplane->offer(1, numbered(0)));
  mired.reset();  // dies with a ring full of unread events
  dataplane->service();
  EXPECT_FALSE(dataplane->connected());
  EXPECT_EQ(dataplane->events_lost(), 42u + kUpSlots + 1);
  mired = connected(folder.file("s"), *dataplane);
  dataplane->service();
  up = mired->receive();
  ASSERT_TRUE(up);
  EXPECT_EQ(std::get<Lost>(*up).count, kUpSlots + 1u);
}

TEST(Ends, CountNoAnswerAsALostEventAndTellAgainWhatNobodyRead) {
  const Folder folder;
  auto dataplane = listening(folder.file("s"));
  dataplane->add_lost(5);
  auto mired = connected(folder.file("s"), *dataplane);
  dataplane->service();  // the five are told
  EXPECT_TRUE(dataplane->tell_applied(1));
  EXPECT_TRUE(dataplane->offer(0, numbered(1)));
  mired.reset();  // and nothing of it was read
  dataplane->service();
  EXPECT_EQ(dataplane->events_lost(), 6u);
  mired = connected(folder.file("s"), *dataplane);
  dataplane->service();
  EXPECT_EQ(std::get<Lost>(mired->receive().value()).count, 6u);
  EXPECT_TRUE(dataplane->tell_applied(1));
  EXPECT_TRUE(mired->receive());
  mired.reset();  // this time all of it was
  dataplane->service();
  EXPECT_EQ(dataplane->events_lost(), 6u);
}

TEST(Ends, NoticeADeadMiredAndTakeTheNext) {
  const Folder folder;
  auto dataplane = listening(folder.file("s"));
  auto mired = connected(folder.file("s"), *dataplane);
  EXPECT_EQ(dataplane->connections(), 1u);
  mired->send(Begin{1});
  mired.reset();
  EXPECT_TRUE(readable(dataplane->poll_fd(), 1000));
  mired = connected(folder.file("s"), *dataplane);
  EXPECT_EQ(dataplane->connections(), 2u);
  EXPECT_FALSE(dataplane->take()) << "what the dead one wrote is forgotten with its memory";
  EXPECT_TRUE(mired->send(Begin{2}));
  EXPECT_EQ(std::get<Begin>(dataplane->take().value()).generation, 2u);
}

TEST(Ends, LetMiredReadWhatADeadDataplaneLeft) {
  const Folder folder;
  auto dataplane = listening(folder.file("s"));
  auto mired = connected(folder.file("s"), *dataplane);
  dataplane->offer(0, numbered(5));
  dataplane.reset();
  EXPECT_EQ(mired->service(), MiredEnd::Condition::connected);
  EXPECT_TRUE(mired->receive());
  EXPECT_EQ(mired->service(), MiredEnd::Condition::over);
  EXPECT_EQ(mired->error(), "the dataplane is gone");
  EXPECT_FALSE(std::filesystem::exists(folder.file("s")));
}

TEST(Ends, RefuseASecondLiveMired) {
  const Folder folder;
  auto dataplane = listening(folder.file("s"));
  auto first = connected(folder.file("s"), *dataplane);
  auto second = std::move(MiredEnd::connect(folder.file("s"))).value();
  dataplane->service();
  EXPECT_EQ(second->service(), MiredEnd::Condition::over);
  EXPECT_EQ(second->error(), "another mired is connected to it; stop that one first");
  EXPECT_NE(dataplane->take_error().find("refused a second mired"), std::string::npos);
  EXPECT_EQ(dataplane->take_error(), "");
  EXPECT_TRUE(first->send(Begin{1}));
}

TEST(Ends, RefuseAMiredThatCannotBeWatchedAndTakeItOnceItCan) {
  const Folder folder;
  auto dataplane = listening(folder.file("s"));
  auto refused = MiredEnd::connect(folder.file("s"));
  out_of_watches = true;
  dataplane->service();
  EXPECT_FALSE(DataplaneEnd::listen(folder.file("t"), 1).ok());
  out_of_watches = false;
  EXPECT_NE(dataplane->take_error().find("raise fs.epoll.max_user_watches"), std::string::npos);
  EXPECT_FALSE(dataplane->connected());
  EXPECT_TRUE(connected(folder.file("s"), *dataplane));
}

TEST(Ends, LetNoSilentNewcomerKeepOthersOutForLong) {
  const Folder folder;
  auto dataplane = listening(folder.file("s"));
  const Descriptor silent = connect_to(folder.file("s"), SOCK_SEQPACKET).value();
  dataplane->service();
  std::this_thread::sleep_for(milliseconds{1100});
  auto mired = connected(folder.file("s"), *dataplane);
  EXPECT_TRUE(dataplane->connected());
}

TEST(Ends, RefuseAMiredOfAnotherVersion) {
  const Folder folder;
  auto dataplane = listening(folder.file("s"));
  {
    Descriptor old_mired = connect_to(folder.file("s"), SOCK_SEQPACKET).value();
    dataplane->service();
    Hello theirs;
    Descriptor memory;
    ASSERT_EQ(receive_hello(old_mired.get(), theirs, &memory), Arrived::hello);
    ASSERT_TRUE(memory.open());
    Hello mine = theirs;
    mine.layout_version = kLayoutVersion + 1;
    ASSERT_TRUE(send_hello(old_mired.get(), mine));
    dataplane->service();
    EXPECT_FALSE(dataplane->connected());
    EXPECT_NE(dataplane->take_error().find(
                  fmt::format("its mailbox layout is {}, ours {}", kLayoutVersion + 1, kLayoutVersion)),
              std::string::npos);
  }
  EXPECT_TRUE(connected(folder.file("s"), *dataplane)) << "a refused one keeps nobody out";
}

TEST(Ends, SayOnceOfAMiredThatIsRefusedAgainAndAgain) {
  const Folder folder;
  auto dataplane = listening(folder.file("s"));
  const auto come_and_go = [&](uint32_t version) {
    Descriptor mired = connect_to(folder.file("s"), SOCK_SEQPACKET).value();
    dataplane->service();
    Hello hello;
    EXPECT_EQ(receive_hello(mired.get(), hello, nullptr), Arrived::hello);
    hello.layout_version = version;
    if (version != 0) {
      EXPECT_TRUE(send_hello(mired.get(), hello));
    }
    mired.close();
    dataplane->service();
  };
  come_and_go(kLayoutVersion + 1);
  EXPECT_NE(dataplane->take_error(), "");
  come_and_go(kLayoutVersion + 1);
  EXPECT_EQ(dataplane->take_error(), "") << "the log would have a line every 200 ms";
  come_and_go(0);
  EXPECT_NE(dataplane->take_error().find("left before its hello"), std::string::npos) << "another reason is news";
  come_and_go(0);
  EXPECT_EQ(dataplane->take_error(), "");
  EXPECT_TRUE(connected(folder.file("s"), *dataplane));
  EXPECT_EQ(dataplane->take_error(), "");
  dataplane->service();
  EXPECT_NE(dataplane->take_error(), "") << "that one was connected, and is gone";
  come_and_go(0);
  EXPECT_NE(dataplane->take_error(), "") << "and after it the story begins anew";
}

TEST(Ends, RefuseADataplaneOfAnotherVersion) {
  const Folder folder;
  auto opened = Listener::open(folder.file("s"), SOCK_SEQPACKET, 0600, "test");
  ASSERT_TRUE(opened.ok());
  auto mired = std::move(MiredEnd::connect(folder.file("s"))).value();
  Descriptor accepted(::accept(opened->fd(), nullptr, nullptr));
  Hello hello = own_hello(2);
  hello.layout_version = kLayoutVersion + 1;
  ASSERT_TRUE(send_hello(accepted.get(), hello));
  EXPECT_EQ(mired->service(), MiredEnd::Condition::over);
  EXPECT_EQ(mired->error(),
            fmt::format("its mailbox layout is {}, ours {}; install mired and mire-dataplane of one release",
                        kLayoutVersion + 1, kLayoutVersion));
  Hello answer;
  ASSERT_EQ(receive_hello(accepted.get(), answer, nullptr), Arrived::hello) << "so that the dataplane can say it too";
  EXPECT_EQ(answer.layout_version, kLayoutVersion);
}

TEST(Ends, RefuseMemoryThatCouldShrinkUnderneath) {
  const int fd = ::memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  ASSERT_EQ(::ftruncate(fd, static_cast<off_t>(memory_size(1))), 0);
  EXPECT_FALSE(SharedMemory::attach(fd, 1).ok());

  auto ours = SharedMemory::create(1);
  ASSERT_TRUE(ours.ok());
  EXPECT_NE(::ftruncate(ours.value()->fd(), 0), 0);
  EXPECT_FALSE(SharedMemory::attach(::dup(ours.value()->fd()), 2).ok());
}

TEST(Ends, DropAMiredThatSendsNonsense) {
  const Folder folder;
  auto dataplane = listening(folder.file("s"));
  auto mired = connected(folder.file("s"), *dataplane);
  EXPECT_TRUE(mired->send(Begin{0}));
  EXPECT_FALSE(dataplane->take());
  EXPECT_FALSE(dataplane->connected());
  EXPECT_EQ(dataplane->take_error(),
            "mired sent nonsense: message begin: generation is 0, outside 1 to 18446744073709551615; dropped it (pid " +
                std::to_string(::getpid()) + ")");
  EXPECT_EQ(mired->service(), MiredEnd::Condition::over);
}

TEST(Ends, TakeNoMoreThanARingBetweenTwoServices) {
  const Folder folder;
  auto dataplane = listening(folder.file("s"));
  auto mired = connected(folder.file("s"), *dataplane);
  unsigned taken = 0;
  for (; taken < 3 * kDownSlots; ++taken) {  // a mired that never stops talking
    mired->send(Begin{1});
    if (!dataplane->take()) break;
  }
  EXPECT_EQ(taken, kDownSlots);
  dataplane->service();
  EXPECT_TRUE(dataplane->take());
}

TEST(Ends, SendTheLatestAnswerOnceThereIsRoom) {
  const Folder folder;
  auto dataplane = listening(folder.file("s"));
  auto mired = connected(folder.file("s"), *dataplane);
  while (dataplane->offer(0, numbered(0))) {
  }
  EXPECT_TRUE(dataplane->tell_refused(4, "no"));
  EXPECT_TRUE(dataplane->tell_applied(5));
  mired->service();
  while (mired->receive()) {
  }
  dataplane->service();
  mired->service();
  auto up = mired->receive();
  ASSERT_TRUE(up);
  EXPECT_EQ(std::get<Applied>(*up).generation, 5u);
}

TEST(Ends, ReplaceAStaleSocketAndRefuseALiveOne) {
  const Folder folder;
  const std::string path = folder.file("s");
  std::ofstream(folder.file("plain")) << "kept";
  {
    const Descriptor killed(::socket(AF_UNIX, SOCK_SEQPACKET, 0));  // its file stays behind
    sockaddr_un a{};
    a.sun_family = AF_UNIX;
    path.copy(a.sun_path, sizeof(a.sun_path) - 1);
    ASSERT_EQ(::bind(killed.get(), reinterpret_cast<const sockaddr*>(&a), sizeof(a)), 0);
  }
  ASSERT_TRUE(std::filesystem::exists(path));
  auto dataplane = listening(path);
  auto second = DataplaneEnd::listen(path, 1);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error(), "socket " + path + ": in use by a live mire-dataplane (pid " + std::to_string(::getpid()) +
                                "); stop it or choose another path");
  auto plain = DataplaneEnd::listen(folder.file("plain"), 1);
  ASSERT_FALSE(plain.ok());
  EXPECT_NE(plain.error().find("a file that is no socket"), std::string::npos);
  EXPECT_TRUE(std::filesystem::exists(folder.file("plain")));
  struct stat st {};
  ASSERT_EQ(::stat(path.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600u);
}

}  // namespace
}  // namespace mire::mailbox
