#include "controlplane/report/book.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>
#include <filesystem>
#include <optional>

#include "controlplane/state/state_file.h"

namespace mire::report {
namespace {

namespace json = boost::json;

constexpr int64_t kFormat = 1;
constexpr const char* kKey = "day";
constexpr std::string_view kPrefix = "report-";
constexpr std::string_view kSuffix = ".json";

std::string file_of(Date date) { return fmt::format("{}{}{}", kPrefix, to_string(date), kSuffix); }

std::optional<int> whole_number(std::string_view text) {
  int out = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (failure != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return out;
}

// Nothing: there is none, or it cannot be read (`notice` says why).
std::optional<Day> load(const std::string& directory, Date date, std::string& notice) {
  const std::string name = file_of(date);
  state::StateFile file(directory, name.c_str(), "daily reports");
  const std::optional<json::object> content = file.load(kFormat, kKey);
  notice = file.take_notice();
  if (!content) return std::nullopt;
  try {
    return Day::load(*content);
  } catch (const std::exception& trouble) {
    notice = fmt::format("{}/{}: not a day of a report ({}); begun anew", directory, name, trouble.what());
    return std::nullopt;
  }
}

}  // namespace

std::string to_string(Date date) {
  const std::chrono::year_month_day d(date);
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(d.year()), static_cast<unsigned>(d.month()),
                     static_cast<unsigned>(d.day()));
}

std::optional<Date> parse_date(std::string_view text) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return std::nullopt;
  const auto year = whole_number(text.substr(0, 4));
  const auto month = whole_number(text.substr(5, 2));
  const auto day = whole_number(text.substr(8, 2));
  if (!year || !month || !day || *month < 1 || *day < 1) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year{*year}, std::chrono::month{static_cast<unsigned>(*month)},
                                         std::chrono::day{static_cast<unsigned>(*day)}};
  if (!date.ok()) return std::nullopt;
  return Date(date);
}

void Book::count(const mailbox::FlowEvent& e, WallSeconds now) {
  const Date date = std::chrono::floor<std::chrono::days>(now);
  const auto hour = std::chrono::duration_cast<std::chrono::hours>(now - date).count();
  day_of(date).count(e, static_cast<unsigned>(hour));
  changed_ = true;
}

void Book::lost(uint64_t events, WallSeconds now) {
  day_of(std::chrono::floor<std::chrono::days>(now)).lost(events);
  changed_ = true;
}

Day& Book::day_of(Date date) {
  if (loaded_ && date == today_) return day_;
  if (loaded_) save(WallSeconds(date));
  loaded_ = true;
  today_ = date;
  day_ = directory_.empty() ? Day{} : load(directory_, date, notice_).value_or(Day{});
  return day_;
}

Result<json::object> Book::report(Date date, WallSeconds now, size_t networks) {
  json::object out;
  const Date today = std::chrono::floor<std::chrono::days>(now);
  if (date == today) {
    out = day_of(date).report(networks);
  } else {
    std::string notice;
    const std::optional<Day> day = directory_.empty() ? std::nullopt : load(directory_, date, notice);
    if (!day) {
      const std::vector<Date> there = dates();
      return Error{fmt::format("date {}: no report of that day; {}", to_string(date),
                               there.empty() ? std::string("none is kept yet")
                                             : fmt::format("there are those from {} to {}", to_string(there.front()),
                                                           to_string(there.back())))};
    }
    out = day->report(networks);
  }
  out["date"] = to_string(date);
  out["complete"] = date != today;
  return out;
}

std::vector<Date> Book::dates() const {
  std::vector<Date> out;
  std::error_code ignored;
  if (!directory_.empty())
    for (const auto& entry : std::filesystem::directory_iterator(directory_, ignored)) {
      const std::string name = entry.path().filename().string();
      if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) continue;
      const std::string_view date =
          std::string_view(name).substr(kPrefix.size(), name.size() - kPrefix.size() - kSuffix.size());
      if (const auto parsed = parse_date(date)) out.push_back(*parsed);
    }
  if (loaded_ && std::find(out.begin(), out.end(), today_) == out.end()) out.push_back(today_);
  std::sort(out.begin(), out.end());
  return out;
}

void Book::save(WallSeconds now) {
  if (directory_.empty() || !changed_) return;
  const std::string name = file_of(today_);
  state::StateFile file(directory_, name.c_str(), "daily reports");
  file.save(kFormat, kKey, day_.save());
  notice_ = file.take_notice();
  changed_ = false;
  for (const Date date : dates()) {
    if (WallSeconds(date) + kDaysKept >= now) continue;
    std::error_code ignored;
    std::filesystem::remove(std::filesystem::path(directory_) / file_of(date), ignored);
  }
}

std::string Book::take_notice() { return std::exchange(notice_, {}); }

}  // namespace mire::report
