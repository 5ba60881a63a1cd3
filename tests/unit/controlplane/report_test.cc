#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <fstream>

#include "controlplane/report/book.h"
#include "tests/unit/mailbox/support.h"

namespace mire::report {
namespace {

using mailbox::FlowEvent;
using policy::Reason;
using policy::Verdict;
using std::chrono::days;
using std::chrono::hours;

constexpr Date kDay = std::chrono::year{2026} / 11 / 24;

FlowEvent event(const char* client, Verdict verdict, Reason reason, uint32_t hold_ms = 0) {
  FlowEvent e;
  e.client = *wire::parse_address(client);
  e.verdict = verdict;
  e.reason = reason;
  e.hold_ms = hold_ms;
  return e;
}

int64_t at(const boost::json::value& v, std::string_view pointer) {
  return v.at_pointer(boost::json::string_view(pointer.data(), pointer.size())).to_number<int64_t>();
}

TEST(TopNetworks, FindsTheHeavyOnesAmongAFloodOfOthers) {
  TopNetworks top(50);
  for (uint32_t i = 0; i < 20'000; ++i) {
    top.count(wire::Address::v4(wire::be32(0x0a000000u + i * 256)));  // each once
    if (i % 10 == 0) top.count(*wire::parse_address("192.0.2.77"));
    if (i % 20 == 0) top.count(*wire::parse_address("2001:db8:1:2::3"));
  }
  const std::vector<Network> first = top.top(2);
  ASSERT_EQ(first.size(), 2u);
  EXPECT_EQ(wire::to_string(first[0].prefix), "192.0.2.0/24");
  EXPECT_EQ(wire::to_string(first[1].prefix), "2001:db8:1::/48");
  EXPECT_LE(first[0].count - first[0].over, 2000u);
  EXPECT_GE(first[0].count, 2000u);
}

TEST(Day, CountsByHourReasonClassAndNetwork) {
  Day day;
  for (int i = 0; i < 3; ++i) day.count(event("192.0.2.1", Verdict::reset, Reason::early_talk), 5);
  day.count(event("192.0.2.2", Verdict::release, Reason::deadline, 2950), 5);
  FlowEvent delivered = event("192.0.2.2", Verdict::pass, Reason::delivered);
  delivered.accepted = 4;
  day.count(delivered, 6);
  const boost::json::value r = day.report(10);
  EXPECT_EQ(at(r, "/stopped"), 3);
  EXPECT_EQ(at(r, "/hours/5/stopped"), 3);
  EXPECT_EQ(at(r, "/hours/5/held"), 1);
  EXPECT_EQ(at(r, "/hours/6/messages"), 4);
  EXPECT_EQ(r.at_pointer("/reasons/0/reason"), "early_talk");
  EXPECT_EQ(at(r, "/reasons/0/classes/unknown"), 3);
  EXPECT_EQ(r.at_pointer("/networks/0/network"), "192.0.2.0/24");
  EXPECT_EQ(at(r, "/hold/median_ms"), 2950);
  EXPECT_EQ(at(r, "/hold/longest_ms"), 2950);
}

TEST(Day, SaysWhatObservingLetThroughAndHowMuchOfItWasMail) {
  Day day;
  FlowEvent would = event("192.0.2.1", Verdict::count, Reason::early_talk_observed);
  would.observed = 1;
  day.count(would, 0);
  day.count(would, 0);
  FlowEvent mail = event("192.0.2.1", Verdict::pass, Reason::delivered);
  mail.observed = 1;
  mail.accepted = 1;
  day.count(mail, 0);
  const boost::json::value r = day.report(10);
  EXPECT_EQ(at(r, "/observe/would_have_stopped"), 2);
  EXPECT_EQ(at(r, "/observe/of_these_delivered"), 1);
  EXPECT_EQ(at(r, "/stopped"), 0);
}

TEST(Day, IsTheSameAfterItsFile) {
  Day day;
  for (int i = 0; i < 3; ++i) day.count(event("2001:db8::1", Verdict::drop, Reason::blocked), 23);
  day.count(event("192.0.2.2", Verdict::release, Reason::deadline, 40'000), 5);
  day.lost(9);
  EXPECT_EQ(Day::load(day.save()).report(10), day.report(10));
}

TEST(Book, KeepsEachDayInAFileAndGoesOnAfterARestart) {
  mailbox::Folder folder;
  const std::string directory = folder.file("");
  const FlowEvent e = event("192.0.2.1", Verdict::reset, Reason::early_talk);
  {
    Book book(directory);
    book.count(e, WallSeconds(kDay) + hours{23});
    book.count(e, WallSeconds(kDay) + hours{25});  // turns the page
    book.save(WallSeconds(kDay) + hours{25});
    EXPECT_EQ(book.take_notice(), "");
  }
  Book book(directory);
  book.count(e, WallSeconds(kDay) + hours{26});
  const WallSeconds now = WallSeconds(kDay) + hours{27};
  EXPECT_EQ(at(book.report(kDay, now).value(), "/stopped"), 1);
  EXPECT_EQ(book.report(kDay, now)->at("complete"), true);
  EXPECT_EQ(at(book.report(kDay + days{1}, now).value(), "/stopped"), 2);
  EXPECT_EQ(book.report(kDay - days{1}, now).error(),
            "date 2026-11-23: no report of that day; there are those from 2026-11-24 to 2026-11-25");
}

TEST(Book, ForgetsDaysThatAreTooOldAndBeginsBrokenOnesAnew) {
  mailbox::Folder folder;
  const std::string directory = folder.file("");
  std::ofstream(directory + "/report-2026-01-01.json") << "old";
  std::ofstream(directory + "/report-2026-11-24.json") << R"({"format":1,"day":{}})";
  Book book(directory);
  book.count(event("192.0.2.1", Verdict::reset, Reason::early_talk), WallSeconds(kDay));
  EXPECT_NE(book.take_notice().find("report-2026-11-24.json: not a day of a report"), std::string::npos);
  EXPECT_EQ(book.dates().size(), 2u);
  book.save(WallSeconds(kDay));
  EXPECT_EQ(book.dates(), std::vector<Date>{kDay});
}

TEST(Date, IsReadStrictly) {
  EXPECT_EQ(parse_date("2026-11-24"), kDay);
  for (const char* wrong :
       {"", "2026-11-31", "2026-13-01", "2026-1-1", "26-11-24", "2026-11-24x", "2026-11-2x", "2026-00-10"})
    EXPECT_FALSE(parse_date(wrong)) << wrong;
}

}  // namespace
}  // namespace mire::report
