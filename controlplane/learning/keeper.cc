#include "controlplane/learning/keeper.h"

#include <boost/asio/post.hpp>
#include <utility>

namespace mire::learning {
namespace {

using reputation::Space;
using store::Column;

constexpr std::chrono::milliseconds kAfterAChange{500};
constexpr std::chrono::milliseconds kAfterAFailure{1000};
constexpr size_t kMostInABatch = 50'000;

Column column_of(Space s) noexcept {
  switch (s) {
    case Space::source: return Column::sources;
    case Space::network: return Column::networks;
    case Space::group: return Column::groups;
  }
  return Column::sources;
}

}  // namespace

// Networks first: the sources find theirs.
Result<Loaded> load(store::Store& from, reputation::Engine& engine, reputation::WallSeconds now) {
  Loaded l;
  engine.reserve(from.about(Column::sources));
  for (const Space space : {Space::network, Space::group, Space::source}) {
    const Status read = from.scan(column_of(space), "", [&](std::string_view key, std::string_view value) {
      const auto kept = reputation::decode(value);
      const auto number = space == Space::group ? std::optional<reputation::SourceKey>{0} : reputation::key_from(key);
      if (!kept || !number) {
        ++l.skipped;
        return true;
      }
      engine.restore(space, *number, space == Space::group ? key : std::string_view{}, *kept, now);
      l.sources += space == Space::source;
      return true;
    });
    if (!read) return Error{read.error()};
  }
  return l;
}

void add_to(store::Batch& batch, const std::vector<reputation::Touched>& all) {
  for (const reputation::Touched& t : all) {
    const std::string key = t.space == Space::group ? t.name : reputation::key_bytes(t.key);
    if (t.kept) {
      batch.put(column_of(t.space), key, reputation::encode(*t.kept));
    } else {
      batch.erase(column_of(t.space), key);
    }
  }
}

Keeper::Keeper(boost::asio::io_context& io, reputation::Engine& engine, store::Store& store, Say say)
    : engine_(engine), store_(store), say_(std::move(say)), io_(io), timer_(io) {}

Keeper::~Keeper() { writer_.join(); }

void Keeper::changed() {
  if (busy_ || engine_.touched() == 0) return;
  busy_ = true;
  wait(kAfterAChange);
}

void Keeper::wait(std::chrono::milliseconds time) {
  timer_.expires_after(time);
  timer_.async_wait([this](const boost::system::error_code& cancelled) {
    if (!cancelled) write();
  });
}

void Keeper::take() {
  if (batch_.empty()) add_to(batch_, engine_.take_touched(kMostInABatch));
}

void Keeper::write() {
  take();
  boost::asio::post(writer_, [this, alive = std::weak_ptr<bool>(alive_)] {
    Status done = store_.write(batch_);
    boost::asio::post(io_, [this, alive, done = std::move(done)] {
      if (!alive.expired()) wrote(done);
    });
  });
}

void Keeper::wrote(const Status& done) {
  if (!done) {
    if (std::exchange(trouble_, done.error()) != done.error()) say_(done.error() + "; trying again");
    return wait(kAfterAFailure);
  }
  trouble_.clear();
  written_ += batch_.size();
  batch_ = {};
  busy_ = false;
  changed();
}

void Keeper::stop() {
  timer_.cancel();
  writer_.join();
  for (;;) {  // what the thread has just written may be written again: it is the same
    if (!batch_.empty()) {
      if (const Status done = store_.write(batch_); !done) return say_(done.error());
      batch_ = {};
    }
    take();
    if (batch_.empty()) return;
  }
}

}  // namespace mire::learning
