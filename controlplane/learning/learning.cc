#include "controlplane/learning/learning.h"

#include <fmt/format.h>

#include <random>
#include <utility>

#include "controlplane/learning/lesson.h"
#include "controlplane/learning/methods.h"
#include "controlplane/store/rocksdb/rocksdb_store.h"

namespace mire::learning {
namespace {

// A clock that went far ahead and came back must not leave us asleep.
constexpr std::chrono::seconds kLongestSleep{60};

}  // namespace

Learning::Learning(boost::asio::io_context& io, const std::string& state_directory,
                   const reputation::Settings& settings, reputation::ClassSink& sink, WallClock clock, Keeper::Say say)
    : clock_(std::move(clock)), say_(std::move(say)), timer_(io) {
  bring_back(state_directory + "/store", settings, sink);
  engine_->loaded(now());
  if (store_ != nullptr) keeper_ = std::make_unique<Keeper>(io, *engine_, *store_, say_);
  changed();
}

Learning::~Learning() = default;

void Learning::make_engine(const reputation::Settings& settings, reputation::ClassSink& sink) {
  std::random_device device;
  const auto draw = [&device] { return uint64_t{device()} << 32 | device(); };
  engine_ = std::make_unique<reputation::Engine>(settings, sink, std::mt19937_64(draw()), draw());
}

void Learning::bring_back(const std::string& path, const reputation::Settings& settings, reputation::ClassSink& sink) {
  make_engine(settings, sink);
  Result<store::Opened> opened = store::open_rocksdb(path);
  if (!opened) return say_(opened.error() + "; reputation remembered only until mired stops");
  if (!opened->notice.empty()) say_(opened->notice);
  store_ = std::move(opened->store);
  const auto begun = std::chrono::steady_clock::now();
  Result<Loaded> loaded = load(*store_, *engine_, now());
  if (!loaded) {
    store_.reset();
    make_engine(settings, sink);
    opened = store::begin_anew(path, loaded.error());
    if (!opened) return say_(opened.error() + "; reputation remembered only until mired stops");
    say_(opened->notice);
    store_ = std::move(opened->store);
    return;
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
  if (loaded->sources != 0)
    say_(fmt::format("reputation of {} sources brought back in {:.1f} s", loaded->sources, took.count()));
  if (loaded->skipped != 0)
    say_(fmt::format("store {}: {} records of another version, or broken, were skipped", path, loaded->skipped));
}

void Learning::on_event(const mailbox::FlowEvent& e, bool observing) {
  const Lesson l = lesson_of(e, observing);
  const reputation::WallSeconds t = now();
  if (l.connection) engine_->connected(e.client, t);
  for (const reputation::Observation& o : l.observations()) engine_->observe(o, t);
  if (l.penalty.count() != 0) engine_->penalise(e.client, t + l.penalty, l.offences, t);
  changed();
}

void Learning::configure(const reputation::Settings& settings) {
  engine_->configure(settings);
  changed();
}

void Learning::changed() {
  if (keeper_ != nullptr) {
    keeper_->changed();
  } else {
    (void)engine_->take_touched(engine_->touched());  // nobody keeps it
  }
  wind();
}

// The timer that is set already serves, if it is early enough.
void Learning::wind() {
  const auto due = engine_->next_due();
  if (!due) return;
  const reputation::WallSeconds t = now(), at = std::min(*due, t + kLongestSleep);
  if (wound_ && wound_for_ <= at) return;
  wound_ = true;
  wound_for_ = at;
  timer_.expires_after(std::max(at - t, std::chrono::seconds{0}));
  timer_.async_wait([this](const boost::system::error_code& cancelled) {
    if (cancelled) return;
    wound_ = false;
    engine_->advance(now());
    changed();
  });
}

void Learning::stop() {
  timer_.cancel();
  if (keeper_ != nullptr) keeper_->stop();
}

void Learning::add_methods(api::Methods& methods) {
  learning::add_methods(
      methods, *engine_, [this] { return now(); }, [this] { changed(); });
}

}  // namespace mire::learning
