#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/json.hpp>
#include <fstream>

#include "controlplane/methods/lists.h"
#include "tests/unit/lists/support.h"
#include "tests/unit/mailbox/support.h"

namespace mire::methods {
namespace {

namespace asio = boost::asio;
namespace json = boost::json;
using policy::SourceClass;

struct Heard final : lists::Listener {
  void on_class_prefixes(const std::vector<lists::PrefixChange>& c) override {
    changes.insert(changes.end(), c.begin(), c.end());
  }
  void on_group(const lists::Group&) override {}
  void on_dnsbl(const wire::Address&, const lists::Standing&) override {}
  void on_recipient_domain(const std::string&, const std::vector<wire::Prefix>&) override {}
  void on_notice(const std::string&) override {}
  std::vector<lists::PrefixChange> changes;
};

// Nobody answers its DNS: the discard port of the loopback.
class ListsMethods : public testing::Test {
 protected:
  ListsMethods() {
    std::ofstream(folder.file("drop")) << "192.0.2.0/24 ; SBL1\n";
    settings.feeds = {{"drop", folder.file("drop"), lists::FeedFormat::drop, SourceClass::blocked}};
    settings.zones = {{"bl.example", 4, {lists::parse_answer_filter("127.0.0.2-11").value()}}};
    settings.domains = {{"big.example", SourceClass::trusted, ""}, {"other.example", std::nullopt, "partners"}};
    settings.dns = {{{lists::address("127.0.0.1"), 9}}, std::chrono::milliseconds{50}, 100};
    room.configure(settings);
    io.run_for(std::chrono::milliseconds{200});
  }
  api::Answer call(const char* method, const char* params) {
    std::optional<api::Answer> answer;
    json::value given = json::parse(params);
    const auto run = [&]() -> asio::awaitable<void> {
      api::Caller nobody;
      answer = co_await methods.at(method).run(std::move(given), std::move(nobody));
    };
    asio::co_spawn(io, run, asio::detached);
    io.restart();
    while (!answer) io.run_one();
    return *std::move(answer);
  }

  mailbox::Folder folder;
  asio::io_context io;
  Heard heard;
  lists::Settings settings;
  lists::Lists room{io, io.get_executor(), [] { return MonotonicClock::now(); }, heard};
  api::Methods methods = lists_methods(room);
};

TEST_F(ListsMethods, ShowFeedsAndClassDomains) {
  const json::value shown = call("lists.show", "{}").value();
  EXPECT_EQ(shown.at("lists").as_array().size(), 2u);
  EXPECT_EQ(shown.at("lists").at(0).at("name"), "drop");
  EXPECT_EQ(shown.at("lists").at(0).at("class"), "blocked");
  EXPECT_EQ(shown.at("lists").at(0).at("prefixes"), 1);
  EXPECT_EQ(shown.at("lists").at(1).at("name"), "big.example");
  EXPECT_EQ(shown.at("published"), 1);
  EXPECT_EQ(heard.changes, (std::vector<lists::PrefixChange>{{lists::prefix("192.0.2.0/24"), SourceClass::blocked}}));
}

TEST_F(ListsMethods, ShowWhichListsHoldAnAddress) {
  const json::value shown = call("lists.show", R"({"address":"192.0.2.9"})").value();
  EXPECT_EQ(
      json::serialize(shown),
      R"({"address":"192.0.2.9","lists":[{"list":"feed drop","prefix":"192.0.2.0/24"}],"class":"blocked","by":"feed drop"})");
  EXPECT_TRUE(call("lists.show", R"({"address":"198.51.100.1"})").value().at("class").is_null());
}

TEST_F(ListsMethods, ShowZonesAndTestThem) {
  const json::value tested = call("dnsbl.test", R"({"address":"192.0.2.9"})").value();
  EXPECT_EQ(tested.at("weight").to_number<double>(), 0);
  EXPECT_FALSE(tested.at("asking").as_bool()) << "it waited for the answer that never came, or for the refusal";
  const json::value shown = call("dnsbl.show", "{}").value();
  EXPECT_EQ(shown.at("zones").at(0).at("zone"), "bl.example");
  EXPECT_EQ(shown.at("zones").at(0).at("rules").at(0).at("answers").at(0), "127.0.0.2-11");
  EXPECT_EQ(shown.at("counters").at("asked"), 1);
}

TEST_F(ListsMethods, ShowGroups) {
  const json::value shown = call("groups.show", "{}").value();
  ASSERT_EQ(shown.at("groups").as_array().size(), 2u);
  EXPECT_EQ(shown.at("groups").at(0).at("name"), "big.example");
  EXPECT_EQ(shown.at("groups").at(1).at("name"), "partners");
  EXPECT_EQ(shown.at("groups").at(1).at("domains").at(0).at("outcome"), "trouble");
  EXPECT_EQ(call("groups.show", R"({"group":"partners"})").value().at("groups").at(0).at("list"), json::array{});
}

TEST_F(ListsMethods, RefuseWhatTheyCannotRead) {
  EXPECT_EQ(call("lists.show", R"({"address":"x"})").error(), "address x: no IP address; try 192.0.2.1 or 2001:db8::1");
  EXPECT_FALSE(call("lists.show", R"({"adress":"192.0.2.1"})").ok());
  EXPECT_FALSE(call("dnsbl.test", "{}").ok());
  EXPECT_EQ(call("groups.show", R"({"group":"x"})").error(), "group x: not known; see show groups");
  EXPECT_FALSE(call("groups.show", R"({"group":3})").ok());
}

TEST_F(ListsMethods, TheCheckBeforeACommitNamesTheFeedsLine) {
  EXPECT_TRUE(lists::Lists::check(settings).ok());
  std::ofstream(folder.file("drop")) << "192.0.2.0/24 ; SBL1\nx\n";
  const Status refused = lists::Lists::check(settings);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().find("feed drop: " + folder.file("drop") + ":2: x: "), std::string::npos)
      << refused.error();
  settings.zones[0].name = "bl";
  EXPECT_EQ(lists::Lists::check(settings).error(), "dnsbl bl: not a domain name; try zen.example");
}

}  // namespace
}  // namespace mire::methods
