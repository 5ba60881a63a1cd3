#include "dataplane/lcore/control.h"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <utility>

namespace mire::lcore {
namespace {

constexpr int kBusyTickMs = 10, kQuietTickMs = 50, kIdleTickMs = 200;
constexpr unsigned kQuietRounds = 20;  // without an event before the tick grows
constexpr Duration kObedience = seconds{1};
constexpr Duration kLastFrames = milliseconds{5};

void nap(Duration time) {
  timespec t{};
  t.tv_nsec = time.count();
  nanosleep(&t, nullptr);
}

}  // namespace

Result<std::unique_ptr<Control>> Control::open(const std::string& socket_path, unsigned lcores) {
  sigset_t stops;
  sigemptyset(&stops);
  sigaddset(&stops, SIGTERM);
  sigaddset(&stops, SIGINT);
  pthread_sigmask(SIG_BLOCK, &stops, nullptr);
  std::signal(SIGPIPE, SIG_IGN);

  auto mailbox = mailbox::DataplaneEnd::listen(socket_path, lcores);
  if (!mailbox) return Error{mailbox.error()};
  const int signals = signalfd(-1, &stops, SFD_NONBLOCK | SFD_CLOEXEC);
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  if (signals < 0 || epoll < 0)
    return Error{fmt::format("no descriptors left ({}): raise ulimit -n", std::strerror(errno))};
  std::unique_ptr<Control> control(new Control(std::move(mailbox).value(), signals, epoll));
  for (const int fd : {signals, control->mailbox_->poll_fd()}) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
  }
  return control;
}

Control::Control(std::unique_ptr<mailbox::DataplaneEnd> mailbox, int signals, int epoll)
    : mailbox_(std::move(mailbox)), signals_(signals), epoll_(epoll) {}

Control::~Control() {
  close(signals_);
  close(epoll_);
}

void Control::attend(const std::vector<Worker*>& workers, ebpf::WireState* wire) {
  workers_ = workers;
  wire_ = wire;
  events_lost_.assign(workers.size(), 0);
}

void Control::run(const std::vector<Worker*>& workers, ebpf::WireState* wire) {
  attend(workers, wire);
  unsigned quiet = 0;
  for (;;) {
    const int tick = swapping_ || quiet < kQuietRounds ? kBusyTickMs
                     : quiet < 2 * kQuietRounds        ? kQuietTickMs
                                                       : kIdleTickMs;
    std::array<epoll_event, 2> events{};
    // Messages that wait behind a swap keep the socket readable: a hung lcore must not make us spin.
    if (swapping_) nap(milliseconds{1});
    const int ready = epoll_wait(epoll_, events.data(), events.size(), tick);
    for (int i = 0; i < ready; ++i)
      if (events[static_cast<size_t>(i)].data.fd == signals_) return;
    const bool busy = carry_events() || ready > 0;
    quiet = busy ? 0 : quiet + 1;
    round(MonotonicClock::now());
  }
}

void Control::round(Time now) {
  mailbox_->service();
  carry_events();
  take_messages(now);
  swap_settings();
  mailbox_->service();
  log_trouble();
}

bool Control::carry_events() {
  bool any = false;
  for (unsigned i = 0; i < workers_.size(); ++i) {
    any |= workers_[i]->events().consume_all([&](const mailbox::FlowEvent& e) { mailbox_->offer(i, e); }) != 0;
    any |= workers_[i]->profiles().consume_all([&](const mailbox::Profile& p) { mailbox_->offer(p); }) != 0;
    const uint64_t lost = peek(workers_[i]->pipeline_counters().events_lost);
    if (lost != events_lost_[i]) mailbox_->add_lost(lost - std::exchange(events_lost_[i], lost));
  }
  return any;
}

void Control::take_messages(Time now) {
  if (const uint64_t n = mailbox_->connections(); n != connections_) {
    connections_ = n;
    builder_.reset();
  }
  // One configuration at a time: what comes behind it waits in the ring.
  while (!swapping_) {
    const auto message = mailbox_->take();
    if (!message) return;
    auto outcome = builder_.take(*message, now);
    if (!outcome) continue;
    if (outcome->settings == nullptr) {
      std::fprintf(stderr, "mire-dataplane: configuration %llu refused: %s\n",
                   static_cast<unsigned long long>(outcome->generation), outcome->refusal.c_str());
      mailbox_->tell_refused(outcome->generation, outcome->refusal);
      continue;
    }
    former_ = std::exchange(current_, std::move(outcome->settings));
    swapping_ = true;
    if (wire_ != nullptr) wire_->set_fail_mode(current_->fail_closed ? ebpf::FailMode::closed : ebpf::FailMode::open);
    tell_all({Command::Kind::use, current_.get()});
  }
}

void Control::swap_settings() {
  if (!swapping_) return;
  for (const Worker* worker : workers_)
    if (worker->settings_in_use() != current_.get()) return;
  swapping_ = false;
  former_.reset();
  // Somebody judges from the first settings on; before that the programs pass or refuse SMTP by the fail mode.
  if (wire_ != nullptr) wire_->set_ready(true);
  mailbox_->tell_applied(current_->generation);
}

void Control::log_trouble() {
  if (const std::string trouble = mailbox_->take_error(); !trouble.empty())
    std::fprintf(stderr, "mire-dataplane: %s\n", trouble.c_str());
}

void Control::tell_all(Command command) {
  for (Worker* worker : workers_)
    while (!worker->tell(command)) nap(milliseconds{1});
}

void Control::stop_workers() {
  if (wire_ != nullptr) wire_->set_ready(false);
  std::vector<uint64_t> want;
  for (const Worker* worker : workers_) want.push_back(worker->commands_done() + 1);
  // A lcore that hangs must not keep us: the wire is closed without it.
  const Time end = MonotonicClock::now() + kObedience;
  tell_all({Command::Kind::release_all, nullptr});
  for (size_t i = 0; i < workers_.size(); ++i)
    while (workers_[i]->commands_done() < want[i] && MonotonicClock::now() < end) nap(milliseconds{1});
  nap(kLastFrames);
  tell_all({Command::Kind::stop, nullptr});
  round(MonotonicClock::now());
}

}  // namespace mire::lcore
