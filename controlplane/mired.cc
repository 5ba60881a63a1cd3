#include "controlplane/mired.h"

#include <fmt/format.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <csignal>
#include <cstdio>

#include "controlplane/link/publication.h"
#include "controlplane/methods/events.h"
#include "controlplane/methods/report.h"

namespace mire {
namespace {

namespace asio = boost::asio;
namespace json = boost::json;

// New servers that hide PIPECONNECT come in bursts after a start: one publication for all of them.
constexpr std::chrono::milliseconds kSoon{50};
// Likewise profiles: one writing of the file. What is lost with a kill before it the dataplane tells again.
constexpr std::chrono::seconds kKeepAfter{1};
constexpr std::chrono::minutes kReportEach{1};

state::WallSeconds wall_now() { return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()); }

}  // namespace

// A reader that went away costs the word, not mired: fmt::print() would throw.
void say(const std::string& text) { std::fprintf(stderr, "mired: %s\n", text.c_str()); }

Mired::Mired(Options options)
    : options_(std::move(options)),
      signals_(io_, SIGTERM, SIGINT, SIGHUP),
      soon_(io_),
      keeping_(io_),
      reporting_(io_),
      book_(options_.state),
      memory_(options_.state),
      profiles_(options_.state),
      link_(io_, options_.dataplane_socket, *this) {}

int Mired::run() {
  if (!take_config()) return 1;
  learning_ = std::make_unique<learning::Learning>(io_, options_.state, reputation::Settings{},
                                                   static_cast<reputation::ClassSink&>(*this), wall_now, say);
  api::Hooks hooks;
  hooks.on_closed = [this](uint64_t session) { recent_.forget(session); };
  Result<std::unique_ptr<api::Server>> server =
      api::Server::listen(io_, options_.socket, methods(), {}, std::move(hooks));
  if (!server) {
    say(server.error());
    return 1;
  }
  api_ = std::move(server).value();
  say_notice(memory_.take_notice());
  say_notice(profiles_.take_notice());
  publish();
  wait_for_signal();
  say("listening on " + options_.socket);
  link_.start();
  keep_report();
  io_.run();
  keep_profiles();
  book_.save(wall_now());
  learning_->stop();
  log_.reset();  // writes what is queued
  return 0;
}

// The file's settings, whole, or the old ones stay.
bool Mired::take_config() {
  config::Outcome outcome;
  outcome.config = config::Config{};
  if (!options_.config.empty()) outcome = config::load(options_.config);
  for (const std::string& error : outcome.errors) say(error);
  if (!outcome.config || !take_log(outcome.config->log_file)) return false;
  config_ = std::move(*outcome.config);
  return true;
}

bool Mired::take_log(const std::string& path) {
  if (log_ && log_->path() == path) {
    // Log rotation moved the file away. If that goes wrong the old one is still written: no reason to refuse the
    // settings.
    if (Status reopened = log_->reopen(); !reopened) say(reopened.error());
    return true;
  }
  Result<std::unique_ptr<log::FlowLog>> opened = log::FlowLog::open(path);
  if (!opened) {
    say(opened.error());
    return false;
  }
  log_ = std::move(opened).value();
  return true;
}

void Mired::publish() {
  refusal_.clear();
  link_.publish();
}

std::vector<mailbox::Down> Mired::settings() {
  return link::publication(
      config_, {memory_.early_hellos(wall_now()), penalties_.running(MonotonicClock::now()), profiles_.profiles()});
}

void Mired::publish_soon() {
  if (std::exchange(publishing_soon_, true)) return;
  soon_.expires_after(kSoon);
  soon_.async_wait([this](const boost::system::error_code& cancelled) {
    publishing_soon_ = false;
    if (!cancelled) publish();
  });
}

void Mired::wait_for_signal() {
  signals_.async_wait([this](const boost::system::error_code& cancelled, int signal) {
    if (cancelled) return;
    if (signal == SIGHUP) {
      reload();
      return wait_for_signal();
    }
    say("ending");
    link_.stop();
    api_->stop();
    soon_.cancel();
    keeping_.cancel();
    reporting_.cancel();
    io_.stop();
  });
}

void Mired::reload() {
  if (take_config()) {
    publish();
    say(fmt::format("settings read again, now configuration {}", link_.generation()));
  } else {
    say("settings refused as a whole; the old ones stay");
  }
}

void Mired::on_event(const mailbox::FlowEvent& event) {
  ++events_received_;
  log_->write(event);
  recent_.add(event, log::WallTime::clock::now());
  book_.count(event, wall_now());
  penalties_.remember(event, MonotonicClock::now());
  learning_->on_event(event, config_.observe);
  if (event.reason != policy::Reason::pipeconnect_hidden || !memory_.remember(event.server, wall_now())) return;
  say_notice(memory_.take_notice());
  publish_soon();
}

void Mired::on_profile(const mailbox::Profile& piece) {
  if (!profiles_.remember(piece, wall_now()) || std::exchange(keeping_soon_, true)) return;
  keeping_.expires_after(kKeepAfter);
  keeping_.async_wait([this](const boost::system::error_code& cancelled) {
    keeping_soon_ = false;
    if (!cancelled) keep_profiles();
  });
}

void Mired::keep_profiles() {
  profiles_.save();
  say_notice(profiles_.take_notice());
}

// Each minute; the days that are over are tidied up with it.
void Mired::keep_report() {
  book_.save(wall_now());
  say_notice(book_.take_notice());
  reporting_.expires_after(kReportEach);
  reporting_.async_wait([this](const boost::system::error_code& cancelled) {
    if (!cancelled) keep_report();
  });
}

void Mired::say_notice(const std::string& notice) {
  if (!notice.empty()) say(notice);
}

void Mired::on_class(const reputation::ClassChange&) { ++class_changes_; }

void Mired::on_lost(uint64_t events) {
  events_lost_ += events;
  book_.lost(events, wall_now());
  say(fmt::format("{} flow events could not be reported", events));
}

void Mired::on_applied(uint64_t generation) {
  applied_ = generation;
  say(fmt::format("dataplane applied configuration {}", generation));
}

void Mired::on_refused(uint64_t generation, const std::string& why) {
  refusal_ = why;
  say(fmt::format("dataplane refused configuration {}: {}; it keeps the one before", generation, why));
}

void Mired::on_connected(uint32_t dataplane_pid) {
  dataplane_pid_ = dataplane_pid;
  applied_ = 0;  // this dataplane has not said so yet
  say(fmt::format("connected to the dataplane (pid {})", dataplane_pid));
}

void Mired::on_waiting(const std::string& why) {
  applied_ = 0;
  say(fmt::format("waiting for the dataplane at {}: {}", options_.dataplane_socket, why));
}

api::Methods Mired::methods() {
  api::Methods out{{"status", api::reads([this](const json::value&, const api::Caller&) { return status(); })},
                   {"ping", api::reads([](const json::value&, const api::Caller&) { return json::value("pong"); })}};
  out.merge(methods::event_methods(recent_));
  out.merge(methods::report_methods(book_, wall_now));
  learning_->add_methods(out);
  return out;
}

json::value Mired::status() const {
  json::value store = nullptr;
  if (const learning::Keeper* k = learning_->keeper())
    store = json::object{{"records_written", k->written()}, {"records_waiting", k->waiting()}};
  const auto uptime = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - started_);
  json::object dataplane{{"connected", link_.connected()}};
  dataplane["pid"] = link_.connected() ? json::value(dataplane_pid_) : json::value(nullptr);
  dataplane["refusal"] = refusal_.empty() ? json::value(nullptr) : json::value(refusal_);
  return json::object{{"version", MIRE_VERSION},
                      {"pid", ::getpid()},
                      {"uptime_seconds", uptime.count()},
                      {"config_file", options_.config.empty() ? json::value(nullptr) : json::value(options_.config)},
                      {"observe", config_.observe},
                      {"fail_mode", config_.fail_closed ? "closed" : "open"},
                      {"generation", link_.generation()},
                      {"generation_applied", applied_},
                      {"dataplane", std::move(dataplane)},
                      {"events", json::object{{"received", events_received_}, {"lost", events_lost_}}},
                      {"class_changes", class_changes_},
                      {"store", std::move(store)},
                      {"log", json::object{{"file", log_->path()}, {"lines_lost", log_->lines_lost()}}}};
}

}  // namespace mire
