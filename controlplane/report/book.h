// book.h - the days that are kept, each in a file of its own in the state folder: report-YYYY-MM-DD.json.
//
// A day is written a minute after it changed, and when mired stops: a kill loses a minute of statistics, no more. Days
// older than kDaysKept are removed. The clock is the caller's, in UTC.
#pragma once

#include <boost/json/object.hpp>
#include <chrono>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/report/day.h"
#include "dataplane/base/result.h"

namespace mire::report {

using WallSeconds = std::chrono::sys_seconds;
using Date = std::chrono::sys_days;

inline constexpr std::chrono::days kDaysKept{92};

[[nodiscard]] std::string to_string(Date);  // 2026-11-24
[[nodiscard]] std::optional<Date> parse_date(std::string_view);

class Book {
 public:
  // Empty: nothing is kept beyond this process.
  explicit Book(std::string directory) : directory_(std::move(directory)) {}

  void count(const mailbox::FlowEvent&, WallSeconds now);
  void lost(uint64_t events, WallSeconds now);

  // Of an earlier day from its file. An error names the days that there are.
  [[nodiscard]] Result<boost::json::object> report(Date, WallSeconds now, size_t networks = 20);
  [[nodiscard]] std::vector<Date> dates() const;

  // Writes what changed, removes what is too old. In a failure take_notice() says why.
  void save(WallSeconds now);
  [[nodiscard]] std::string take_notice();

 private:
  Day& day_of(Date);

  std::string directory_;
  Date today_{};
  Day day_;
  bool changed_ = false;
  bool loaded_ = false;
  std::string notice_;
};

}  // namespace mire::report
