// mired as its own process against a dataplane's end in this one: settings arrive, events are logged, either side may
// die.
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <fstream>
#include <iterator>
#include <sstream>

#include "dataplane/lcore/settings_builder.h"
#include "dataplane/mailbox/unix_socket.h"
#include "tests/unit/mailbox/support.h"

namespace mire {
namespace {

using mailbox::DataplaneEnd;
using mailbox::eventually;
using mailbox::Folder;

std::string content(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// A child process of this test's, ended with it. Its words are in a file.
class MiredProcess {
 public:
  MiredProcess(const Folder& folder, const std::string& config) : MiredProcess(folder, config, folder.file("words")) {}
  MiredProcess(const Folder& folder, const std::string& config, std::string words) : words_(std::move(words)) {
    std::vector<std::string> arguments{MIRED_EXE,        "--config",           config,
                                       "--socket",       folder.file("api"),   "--state",
                                       folder.file("."), "--dataplane-socket", folder.file("dataplane")};
    std::vector<char*> argv;
    for (std::string& a : arguments) argv.push_back(a.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 2, words_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    EXPECT_EQ(::posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), environ), 0);
    posix_spawn_file_actions_destroy(&actions);
  }
  ~MiredProcess() {
    if (pid_ > 0) end(SIGKILL);
  }
  void signal(int number) const { ::kill(pid_, number); }
  // The exit code, or minus the signal.
  int end(int number) {
    if (number != 0) signal(number);
    int status = 0;
    ::waitpid(std::exchange(pid_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  [[nodiscard]] bool said(const std::string& what) const { return content(words_).find(what) != std::string::npos; }
  // Time on a core since its start, in clock ticks: proc(5), fields 14 and 15, the 12th and 13th behind the name.
  [[nodiscard]] long ticks() const {
    const std::string stat = content(fmt::format("/proc/{}/stat", pid_));
    std::istringstream rest(stat.substr(stat.rfind(')') + 1));
    const std::vector<std::string> fields{std::istream_iterator<std::string>(rest), {}};
    return std::stol(fields.at(11)) + std::stol(fields.at(12));
  }
  [[nodiscard]] std::string words() const { return content(words_); }

 private:
  std::string words_;
  pid_t pid_ = -1;
};

// What the dataplane's control thread does, by hand.
class Dataplane {
 public:
  explicit Dataplane(const Folder& folder) : end(DataplaneEnd::listen(folder.file("dataplane"), 2).value()) {}

  void round() {
    end->service();
    if (std::exchange(connections_, end->connections()) != end->connections()) builder_.reset();
    while (auto message = end->take()) {
      auto outcome = builder_.take(*message, MonotonicClock::now());
      if (!outcome) continue;
      if (!outcome->settings) {
        end->tell_refused(outcome->generation, outcome->refusal);
      } else {
        end->tell_applied(outcome->generation);
        settings = std::move(outcome->settings);
      }
    }
    end->service();
  }
  bool until(const std::function<bool()>& what) {
    return eventually([&] {
      round();
      return what();
    });
  }

  std::unique_ptr<DataplaneEnd> end;
  std::unique_ptr<source::Settings> settings;

 private:
  lcore::SettingsBuilder builder_;
  uint64_t connections_ = 0;
};

class MiredTest : public testing::Test {
 protected:
  void write_config(const std::string& text) {
    std::ofstream(config) << "log { file \"" << folder.file("flows") << "\"; }\n" << text;
  }
  [[nodiscard]] boost::json::value status() const { return ask("status", "{}"); }
  [[nodiscard]] boost::json::value ask(const char* method, const std::string& params) const {
    const mailbox::Descriptor connection(mailbox::connect_to(folder.file("api"), SOCK_STREAM).value());
    const int socket = connection.get();
    ::fcntl(socket, F_SETFL, 0);
    const std::string request =
        fmt::format("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"{}\",\"params\":{}}}\n", method, params);
    EXPECT_EQ(::write(socket, request.data(), request.size()), static_cast<ssize_t>(request.size()));
    std::string line;
    for (char c = 0; ::read(socket, &c, 1) == 1 && c != '\n';) line += c;
    return boost::json::parse(line).at("result");
  }

  Folder folder;
  std::string config = folder.file("mire.conf");
};

mailbox::FlowEvent event_of(policy::Reason reason) {
  mailbox::FlowEvent e;
  e.client = wire::parse_address("192.0.2.77").value();
  e.server = wire::parse_address("203.0.113.25").value();
  e.reason = reason;
  return e;
}

TEST_F(MiredTest, GoesOnWhenItsWordsCannotBeWritten) {
  write_config("");
  Dataplane dataplane(folder);
  MiredProcess mired(folder, config, "/dev/full");
  ASSERT_TRUE(dataplane.until([&] { return dataplane.settings != nullptr; }));
  write_config("observe true;");
  mired.signal(SIGHUP);
  EXPECT_TRUE(dataplane.until([&] { return dataplane.settings->observe; }));
  EXPECT_EQ(mired.end(SIGTERM), 0);
}

TEST_F(MiredTest, HandsItsSettingsDownAndWritesEventsUp) {
  write_config("observe true; protect 203.0.113.25; class blocked { prefix 192.0.2.0/24; }");
  Dataplane dataplane(folder);
  MiredProcess mired(folder, config);
  ASSERT_TRUE(dataplane.until([&] { return mired.said("dataplane applied configuration 1"); })) << mired.words();
  EXPECT_TRUE(mired.said("mired: listening on " + folder.file("api")));
  ASSERT_TRUE(dataplane.settings);
  EXPECT_TRUE(dataplane.settings->observe);
  EXPECT_EQ(dataplane.settings->classes.find(wire::parse_address("192.0.2.77").value()), policy::SourceClass::blocked);
  EXPECT_EQ(dataplane.settings->treatments, policy::default_treatments());
  EXPECT_TRUE(dataplane.settings->early_hello_until.empty());

  dataplane.end->offer(1, event_of(policy::Reason::early_talk));
  ASSERT_TRUE(dataplane.until([&] { return content(folder.file("flows")).find("early_talk") != std::string::npos; }));
  const boost::json::value now = status();
  EXPECT_TRUE(now.at("dataplane").at("connected").as_bool());
  EXPECT_EQ(now.at("generation_applied").as_int64(), 1);
  EXPECT_EQ(now.at("events").at("received").as_int64(), 1);
  EXPECT_EQ(now.at("config_file").as_string(), config);
  EXPECT_EQ(mired.end(SIGTERM), 0);
  EXPECT_FALSE(std::filesystem::exists(folder.file("api")));
}

TEST_F(MiredTest, HandsDownMoreThanARingHolds) {
  std::string text = "class trusted {";
  for (int i = 0; i < 10'000; ++i) text += fmt::format("prefix 10.{}.{}.0/24;\n", i / 256, i % 256);
  write_config(text + " }");
  Dataplane dataplane(folder);
  MiredProcess mired(folder, config);
  ASSERT_TRUE(dataplane.until([&] { return mired.said("dataplane applied configuration 1"); })) << mired.words();
  EXPECT_EQ(dataplane.settings->classes.size(), 10'000u);
}

TEST_F(MiredTest, MayBeKilledAndComesBackWithItsSettingsWhileTheDataplaneGoesOn) {
  write_config("penalty { first 2m; }");
  Dataplane dataplane(folder);
  {
    MiredProcess mired(folder, config);
    ASSERT_TRUE(dataplane.until([&] { return dataplane.settings != nullptr; }));
    EXPECT_EQ(mired.end(SIGKILL), -SIGKILL);
  }
  ASSERT_TRUE(dataplane.until([&] { return !dataplane.end->connected(); }));
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(dataplane.end->offer(0, event_of(policy::Reason::deadline)));
  dataplane.settings.reset();
  const MiredProcess again(folder, config);
  ASSERT_TRUE(dataplane.until([&] { return dataplane.settings != nullptr; }));
  EXPECT_EQ(dataplane.settings->penalty.first, std::chrono::minutes{2});
  EXPECT_TRUE(dataplane.until([&] { return again.said("3 flow events could not be reported"); })) << again.words();
}

TEST_F(MiredTest, OutlivesTheDataplaneAndConfiguresTheNext) {
  write_config("observe true;");
  auto dataplane = std::make_unique<Dataplane>(folder);
  MiredProcess mired(folder, config);
  ASSERT_TRUE(dataplane->until([&] { return dataplane->settings != nullptr; }));
  dataplane.reset();
  ASSERT_TRUE(eventually([&] { return mired.said("waiting for the dataplane"); })) << mired.words();
  dataplane = std::make_unique<Dataplane>(folder);
  ASSERT_TRUE(dataplane->until([&] { return dataplane->settings != nullptr; })) << mired.words();
  EXPECT_TRUE(dataplane->settings->observe);
}

TEST_F(MiredTest, ReadsItsFileAgainOnSighupAndRefusesABadOneWhole) {
  write_config("observe true;");
  Dataplane dataplane(folder);
  MiredProcess mired(folder, config);
  ASSERT_TRUE(dataplane.until([&] { return mired.said("dataplane applied configuration 1"); })) << mired.words();

  write_config("observe false;\ngreeting { max 3s; }\nports { fail-mode closed; }");
  dataplane.settings.reset();
  mired.signal(SIGHUP);
  ASSERT_TRUE(dataplane.until([&] { return mired.said("the old ones stay"); })) << mired.words();
  EXPECT_TRUE(mired.said("mired: " + config + ":3: greeting: not known; use ")) << mired.words();
  EXPECT_FALSE(dataplane.settings) << "nothing of an invalid file goes down";

  write_config("observe false; ports { fail-mode closed; }");
  mired.signal(SIGHUP);
  ASSERT_TRUE(dataplane.until([&] { return mired.said("dataplane applied configuration 2"); })) << mired.words();
  EXPECT_FALSE(dataplane.settings->observe);
  EXPECT_TRUE(dataplane.settings->fail_closed);
}

TEST_F(MiredTest, RemembersWhosePipeconnectWasHiddenBeyondItsOwnEnd) {
  write_config("");
  Dataplane dataplane(folder);
  {
    MiredProcess mired(folder, config);
    ASSERT_TRUE(dataplane.until([&] { return dataplane.settings != nullptr; }));
    dataplane.settings.reset();
    dataplane.end->offer(0, event_of(policy::Reason::pipeconnect_hidden));
    ASSERT_TRUE(dataplane.until([&] { return dataplane.settings != nullptr; })) << "published at once";
    EXPECT_EQ(dataplane.settings->early_hello_until.size(), 1u);
    mired.end(SIGKILL);
  }
  dataplane.settings.reset();
  const MiredProcess again(folder, config);
  ASSERT_TRUE(dataplane.until([&] { return dataplane.settings != nullptr; }));
  const auto until = dataplane.settings->early_hello_until.at(wire::parse_address("203.0.113.25").value());
  EXPECT_NEAR(static_cast<double>((until - MonotonicClock::now()).count()), 30.0 * 86'400e9, 60e9);
}

TEST_F(MiredTest, HandsRunningPenaltiesToTheNextDataplane) {
  write_config("");
  auto dataplane = std::make_unique<Dataplane>(folder);
  MiredProcess mired(folder, config);
  ASSERT_TRUE(dataplane->until([&] { return dataplane->settings != nullptr; }));
  EXPECT_TRUE(dataplane->settings->penalties.empty());
  mailbox::FlowEvent offence = event_of(policy::Reason::early_talk);
  offence.penalty_ms = 3'600'000;
  offence.offences = 4;
  dataplane->end->offer(1, offence);
  dataplane->end->service();
  dataplane.reset();  // ended with its last words unread
  ASSERT_TRUE(eventually([&] { return mired.said("waiting for the dataplane"); })) << mired.words();
  dataplane = std::make_unique<Dataplane>(folder);
  ASSERT_TRUE(dataplane->until([&] { return dataplane->settings != nullptr; })) << mired.words();
  const auto* kept = dataplane->settings->penalty_of(offence.client, MonotonicClock::now());
  ASSERT_NE(kept, nullptr);
  EXPECT_EQ(kept->offences, 4u);
  EXPECT_GT(kept->until, MonotonicClock::now() + std::chrono::minutes{55});
}

TEST_F(MiredTest, KeepsWhatServersTaughtBeyondTheEndOfBoth) {
  write_config("");
  const wire::Address server = wire::parse_address("203.0.113.25").value();
  const std::string greeting = "220-" + std::string(200, 'x') + "\r\n220 mx.example ESMTP\r\n";
  {
    Dataplane dataplane(folder);
    MiredProcess mired(folder, config);
    ASSERT_TRUE(dataplane.until([&] { return dataplane.settings != nullptr; }));
    EXPECT_TRUE(dataplane.settings->profiles.empty());
    for (size_t at = 0; at < greeting.size(); at += mailbox::kPieceBytes)
      EXPECT_TRUE(dataplane.end->offer(
          mailbox::Profile{server, 0, {1460, 65'160, 7, true, true, true}, 60, mailbox::piece_of(greeting, at)}));
    EXPECT_TRUE(dataplane.until([&] { return std::filesystem::exists(folder.file("profiles.json")); }));
    EXPECT_EQ(mired.end(SIGKILL), -SIGKILL);
  }
  Dataplane dataplane(folder);
  const MiredProcess again(folder, config);
  ASSERT_TRUE(dataplane.until([&] { return dataplane.settings != nullptr; })) << again.words();
  ASSERT_EQ(dataplane.settings->profiles.size(), 1u);
  EXPECT_EQ(dataplane.settings->profiles.at({server, 0}),
            (source::KeptProfile{{1460, 65'160, 7, true, true, true}, 60, greeting}));
}

// What was taken for written is there after a kill; how long that takes is told, not judged.
TEST_F(MiredTest, LearnsFromEventsAndLosesNothingOlderToAKill) {
  write_config("");
  const auto source = [](int i) { return wire::Address::v4(wire::be32{0xc0000200u + static_cast<uint32_t>(i)}); };
  const auto shown = [&](int i) {
    return ask("reputation.show", "{\"address\":\"" + wire::to_string(source(i)) + "\"}");
  };
  const auto offend = [&](Dataplane& dataplane, int i) {
    mailbox::FlowEvent e = event_of(policy::Reason::early_talk);
    e.client = source(i);
    e.verdict = policy::Verdict::reset;
    e.penalty_ms = 3'600'000;
    e.offences = 1;
    dataplane.end->offer(1, e);
  };
  Time longest_from{};
  {
    Dataplane dataplane(folder);
    MiredProcess mired(folder, config);
    ASSERT_TRUE(dataplane.until([&] { return dataplane.settings != nullptr; }));
    for (int i = 0; i < 100; ++i) offend(dataplane, i);
    longest_from = MonotonicClock::now();
    ASSERT_TRUE(dataplane.until([&] { return status().at("events").at("received").to_number<int>() == 100; }));
    EXPECT_EQ(shown(7).at("class").as_string(), "suspect");
    EXPECT_EQ(status().at("class_changes").to_number<int>(), 100);
    ASSERT_TRUE(dataplane.until([&] { return status().at("store").at("records_waiting").to_number<int>() == 0; }));
    RecordProperty("event_to_disk_ms", static_cast<int>(to_ms(MonotonicClock::now()) - to_ms(longest_from)));
    for (int i = 100; i < 200; ++i) offend(dataplane, i);
    dataplane.round();
    EXPECT_EQ(mired.end(SIGKILL), -SIGKILL);
  }
  Dataplane dataplane(folder);
  MiredProcess again(folder, config);
  ASSERT_TRUE(dataplane.until([&] { return dataplane.settings != nullptr; })) << again.words();
  EXPECT_TRUE(again.said(" sources brought back in ")) << again.words();
  EXPECT_FALSE(again.said("damaged")) << again.words();
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(shown(i).at("class").as_string(), "suspect") << i;
    EXPECT_EQ(shown(i).at("reasons").at(0).at("kind").as_string(), "early_talk");
  }
  EXPECT_EQ(ask("reputation.clear", R"({"address":"192.0.2.7"})").at("cleared").as_bool(), true);
  EXPECT_EQ(shown(7).at("class").as_string(), "unknown");
  EXPECT_EQ(again.end(SIGTERM), 0);
}

TEST_F(MiredTest, RefusesToStartWithABadFileOrBesideALiveMired) {
  write_config("observe maybe;");
  MiredProcess bad(folder, config);
  EXPECT_EQ(bad.end(0), 1);
  EXPECT_TRUE(bad.said("mired: " + config + ":2: observe maybe: not known; use true or false")) << bad.words();

  write_config("");
  const MiredProcess first(folder, config);
  ASSERT_TRUE(eventually([&] { return first.said("listening on"); }));
  MiredProcess second(folder, config);
  EXPECT_EQ(second.end(0), 1);
  EXPECT_TRUE(second.said("in use by a live mired (pid ")) << second.words();
}

TEST_F(MiredTest, CostsNothingWhileNothingHappens) {
  write_config("");
  Dataplane dataplane(folder);
  MiredProcess mired(folder, config);
  ASSERT_TRUE(dataplane.until([&] { return mired.said("dataplane applied configuration 1"); })) << mired.words();
  dataplane.round();
  const long before = mired.ticks();
  std::this_thread::sleep_for(seconds{1});
  EXPECT_LE(mired.ticks() - before, 2) << "hundredths of a second of a core";
}

}  // namespace
}  // namespace mire
