#include "controlplane/link/link.h"

#include <utility>
#include <variant>

namespace mire::link {
namespace {
constexpr std::chrono::milliseconds kRetry{200};

template <typename... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};
template <typename... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;
}  // namespace

Link::Link(boost::asio::io_context& io, std::string socket_path, Listener& listener)
    : path_(std::move(socket_path)), listener_(listener), timer_(io), readable_(io) {}

Link::~Link() { stop(); }

uint64_t Link::publish() {
  ++generation_;
  if (connected_) {
    begin_handing();
    hand_down();
    end_->service();  // rings; what else it notices, the readable descriptor tells too
  }
  return generation_;
}

void Link::start() {
  stopped_ = false;
  attempt();
}

void Link::stop() {
  stopped_ = true;
  connected_ = false;
  timer_.cancel();
  if (readable_.is_open()) readable_.release();  // the descriptor is the end's
  end_.reset();
}

void Link::attempt() {
  Result<std::unique_ptr<mailbox::MiredEnd>> end = mailbox::MiredEnd::connect(path_);
  if (!end) return retry_later(end.error());
  end_ = std::move(end).value();
  readable_.assign(end_->fd());
  wait();
}

void Link::retry_later(const std::string& why) {
  connected_ = false;
  if (readable_.is_open()) readable_.release();
  if (std::exchange(told_, why) != why) listener_.on_waiting(why);
  end_.reset();
  timer_.expires_after(kRetry);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error && !stopped_) attempt();
  });
}

void Link::wait() {
  readable_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                       [this](const boost::system::error_code& error) {
                         if (!error && !stopped_) on_readable();
                       });
}

void Link::on_readable() {
  if (end_->service() == mailbox::MiredEnd::Condition::connected) {
    if (!std::exchange(connected_, true)) {
      told_.clear();
      listener_.on_connected(end_->dataplane_pid());
      begin_handing();
    }
    take_up();
    hand_down();
  }
  if (end_->service() == mailbox::MiredEnd::Condition::over) return retry_later(end_->error());
  wait();
}

void Link::take_up() {
  while (std::optional<mailbox::Up> up = end_->receive()) {
    std::visit(Overloaded{[this](const mailbox::FlowEvent& e) { listener_.on_event(e); },
                          [this](const mailbox::Applied& a) { listener_.on_applied(a.generation); },
                          [this](const mailbox::Refused& r) { listener_.on_refused(r.generation, r.text); },
                          [this](const mailbox::Lost& l) { listener_.on_lost(l.count); },
                          [this](const mailbox::Profile& p) { listener_.on_profile(p); }},
               *up);
  }
}

mailbox::Down Link::message(size_t n) const {
  if (n == 0) return mailbox::Begin{generation_};
  if (n <= body_.size()) return body_[n - 1];
  return mailbox::Commit{generation_, body_.size()};
}

// A Begin discards a half-told older one.
void Link::begin_handing() {
  body_ = listener_.settings();
  handed_ = 0;
}

// As much as there is room for; the dataplane rings when it has taken some.
void Link::hand_down() {
  if (generation_ == 0) return;
  while (handed_ < body_.size() + 2 && end_->send(message(handed_))) ++handed_;
}

}  // namespace mire::link
