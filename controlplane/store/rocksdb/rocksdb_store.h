// rocksdb_store.h - the embedded store: RocksDB in a folder of mired's state.
//
// One column family a column. A write is synced before it returns. Any thread may call it. One process at a time: a
// second one is refused. What RocksDB itself finds damaged is moved aside whole, and an empty store takes its place.
#pragma once

#include <memory>
#include <string>

#include "controlplane/store/store.h"

namespace mire::store {

struct Opened {
  std::unique_ptr<Store> store;
  std::string notice;  // what the operator should hear; empty: nothing
};

// Makes the folder if need be (its parent must be there). An error: no such place, no right to write, in use.
[[nodiscard]] Result<Opened> open_rocksdb(const std::string& path);
// For what turns out to be damaged only when it is read: the store must be closed.
[[nodiscard]] Result<Opened> begin_anew(const std::string& path, const std::string& why);

}  // namespace mire::store
