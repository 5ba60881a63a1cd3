// support.h - both ends in one process, and patience.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "dataplane/base/time.h"
#include "dataplane/mailbox/dataplane_end.h"
#include "dataplane/mailbox/mired_end.h"

namespace mire::mailbox {

// A folder of the test's own, gone with it.
class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "mire-mailbox-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  [[nodiscard]] std::string file(const char* name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

inline bool eventually(const std::function<bool()>& what, Duration patience = seconds{5}) {
  const Time end = MonotonicClock::now() + patience;
  while (MonotonicClock::now() < end) {
    if (what()) return true;
    std::this_thread::sleep_for(milliseconds{1});
  }
  return what();
}

inline std::unique_ptr<DataplaneEnd> listening(const std::string& path, unsigned lcores = 2) {
  auto end = DataplaneEnd::listen(path, lcores);
  EXPECT_TRUE(end.ok()) << (end.ok() ? "" : end.error());
  return end.ok() ? std::move(end).value() : nullptr;
}

inline std::unique_ptr<MiredEnd> connected(const std::string& path, DataplaneEnd& dataplane) {
  auto end = MiredEnd::connect(path);
  EXPECT_TRUE(end.ok()) << (end.ok() ? "" : end.error());
  if (!end.ok()) return nullptr;
  auto mired = std::move(end).value();
  EXPECT_TRUE(eventually([&] {
    dataplane.service();
    return mired->service() != MiredEnd::Condition::greeting && (dataplane.service(), dataplane.connected());
  })) << mired->error();
  return mired;
}

}  // namespace mire::mailbox
