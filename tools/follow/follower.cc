#include "tools/follow/follower.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstdio>
#include <utility>

namespace mire::follow {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;

constexpr milliseconds kLook{200};        // at a file that has nothing new
constexpr milliseconds kGather{1'000};    // before a batch that is not full is sent
constexpr milliseconds kKeep{10'000};     // a position in front of which nothing waits
constexpr milliseconds kFirstPause{500};  // between tries when mired is away
constexpr milliseconds kLongestPause{15'000};
constexpr milliseconds kAfterInput{60'000};  // how long mired is waited for when the input is over
constexpr size_t kInputQueue = 20'000;
constexpr int kLinesAtOnce = 5'000;

bool loopback(const wire::Address& a) {
  static const wire::Prefix kFour = wire::parse_prefix("127.0.0.0/8").value();
  static const wire::Prefix kSix = wire::parse_prefix("::1").value();
  return kFour.contains(a) || kSix.contains(a);
}

}  // namespace

// A reader that went away costs the word, not the follower.
void say(const std::string& text) { std::fprintf(stderr, "mire-follow: %s\n", text.c_str()); }

Follower::Follower(asio::io_context& io, Options options)
    : options_(std::move(options)),
      timer_(io),
      input_(io),
      mired_(io, options_.socket),
      file_(options_.log),
      queue_(options_.log == "-" ? kInputQueue : Queue::kBatch) {}

asio::awaitable<int> Follower::run() {
  if (options_.log != "-") {
    co_await follow_file();
    co_return 0;
  }
  asio::co_spawn(timer_.get_executor(), read_input(), asio::detached);
  const bool all = co_await report_input();
  co_return all ? 0 : 1;
}

void Follower::stop() {
  stopped_ = true;
  if (options_.log != "-" && queue_.empty()) keep();
}

asio::awaitable<void> Follower::wait(milliseconds time) {
  boost::system::error_code ignored;
  auto token = asio::redirect_error(asio::use_awaitable, ignored);
  timer_.expires_after(time);
  co_await timer_.async_wait(token);
}

void Follower::say_news(const std::string& text) {
  if (std::exchange(said_, text) != text && !text.empty()) say(text);
}

// --- lines

void Follower::take(std::string_view line) {
  ++counters_.lines;
  std::optional<Outcome> outcome = options_.format == Format::postfix ? postfix_.take(line) : exim_.take(line);
  if (!outcome) return;
  const bool ours =
      loopback(outcome->source) || std::any_of(options_.ours.begin(), options_.ours.end(),
                                               [&](const wire::Prefix& p) { return p.contains(outcome->source); });
  if (ours) {
    ++counters_.ours;
    return;
  }
  ++counters_.outcomes;
  if (!options_.print) return queue_.add(*std::move(outcome));
  std::fputs(feedback_line(*outcome).c_str(), stdout);
  std::fflush(stdout);
}

// --- a file

void Follower::keep() {
  if (!kept_) return;
  const Position position = file_.position();
  if (last_kept_ == position) return;
  last_kept_ = position;
  const bool postfix = options_.format == Format::postfix;
  kept_->save({position, postfix_.open(), postfix ? postfix_.last_delivery() : exim_.last_delivery()});
  if (const std::string notice = kept_->take_notice(); !notice.empty()) say(notice);
}

asio::awaitable<void> Follower::follow_file() {
  std::optional<Kept> kept;
  if (!options_.print) {
    kept_.emplace(options_.state, options_.log);
    kept = kept_->load();
    if (const std::string notice = kept_->take_notice(); !notice.empty()) say(notice);
  }
  if (kept) {
    postfix_.restore(kept->open);
    postfix_.set_last_delivery(kept->last_delivery);
    exim_.set_last_delivery(kept->last_delivery);
  }
  file_.begin(kept ? std::optional(kept->position) : std::nullopt, options_.from_start);
  keep();  // a first run that is ended before its first batch begins where it began
  milliseconds gathered{0}, idle{0};
  std::string line;
  while (!stopped_) {
    int lines = 0;
    while (!queue_.full() && lines < kLinesAtOnce && file_.next(line)) {
      take(line);
      ++lines;
    }
    for (const std::string& notice : file_.take_notices()) say(notice);
    if (queue_.full() || (!queue_.empty() && gathered >= kGather)) {
      gathered = milliseconds{0};
      co_await deliver();
      continue;
    }
    if (queue_.empty() && idle >= kKeep) {
      keep();
      idle = milliseconds{0};
    }
    if (lines == kLinesAtOnce) {
      co_await wait(milliseconds{0});
      continue;
    }
    co_await wait(kLook);
    gathered = queue_.empty() ? milliseconds{0} : gathered + kLook;
    idle += kLook;
  }
}

// --- standard input

asio::awaitable<void> Follower::read_input() {
  struct stat st {};
  if (::fstat(STDIN_FILENO, &st) == 0 && S_ISREG(st.st_mode)) {  // epoll takes none: it never waits, either
    for (ssize_t n; !stopped_ && (n = ::read(STDIN_FILENO, piece_, sizeof piece_)) > 0;) {
      take_input(static_cast<size_t>(n));
      while (!stopped_ && queue_.size() > kInputQueue / 2) co_await pause_reading();
    }
  } else {
    boost::system::error_code failure;
    auto token = asio::redirect_error(asio::use_awaitable, failure);
    input_.assign(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3), failure);
    while (!failure && !stopped_) {
      const auto buffer = asio::buffer(piece_);
      const size_t n = co_await input_.async_read_some(buffer, token);
      if (!failure) take_input(n);
    }
  }
  input_over_ = true;
}

asio::awaitable<void> Follower::pause_reading() {
  boost::system::error_code ignored;
  auto token = asio::redirect_error(asio::use_awaitable, ignored);
  asio::steady_timer timer(timer_.get_executor(), kLook);
  co_await timer.async_wait(token);
}

void Follower::take_input(size_t length) {
  std::string_view text(piece_, length);
  while (!text.empty()) {
    const size_t end = text.find('\n');
    if (half_.size() < LogFile::kLongestLine) half_.append(text.substr(0, end));
    if (end == std::string_view::npos) return;
    text.remove_prefix(end + 1);
    if (half_.size() < LogFile::kLongestLine) take(half_);
    half_.clear();
  }
}

asio::awaitable<bool> Follower::report_input() {
  while (!stopped_) {
    const bool over = input_over_;
    if (!queue_.empty()) {
      const bool delivered = co_await deliver();
      if (!delivered) break;
    } else if (over) {
      co_return true;
    }
    if (!over && queue_.size() < Queue::kBatch) co_await wait(queue_.empty() ? kLook : kGather);
  }
  co_return queue_.empty();
}

// --- mired

// False: it was ended, or the input is over and mired did not come back.
asio::awaitable<bool> Follower::deliver() {
  if (options_.log != "-") keep();
  std::vector<Outcome> batch = queue_.take();
  const std::string request = feedback_request(batch, ++requests_);
  milliseconds pause = kFirstPause, waited{0};
  while (!stopped_) {
    const Reply reply = co_await mired_.ask(request);
    switch (reply.said) {
      case Said::taken:
        counters_.reported += batch.size();
        if (!said_.empty()) say("mired takes reports again");
        said_.clear();
        co_return true;
      case Said::refused:
        counters_.refused += batch.size();
        say(fmt::format("mired refused {} observations: {}", batch.size(), reply.why));
        co_return true;
      case Said::unsure:
        counters_.unsure += batch.size();
        say(fmt::format("{} observations were sent and not answered ({}); they are not sent again", batch.size(),
                        reply.why));
        co_return true;
      case Said::not_now: break;
    }
    say_news(fmt::format("mired takes no reports: {}; waiting", reply.why));
    if (input_over_ && waited >= kAfterInput) break;
    co_await wait(pause);
    waited += pause;
    pause = std::min(pause * 2, kLongestPause);
  }
  queue_.put_back(std::move(batch));
  co_return false;
}

std::string Follower::sum() const {
  return fmt::format(
      "{} lines, {} outcomes ({} more of our own), {} reported, {} refused, {} unsure, {} lost from a full queue, {} "
      "waiting, {} lines too long",
      counters_.lines, counters_.outcomes, counters_.ours, counters_.reported, counters_.refused, counters_.unsure,
      queue_.lost(), queue_.size(), file_.lines_too_long());
}

}  // namespace mire::follow
