#include "controlplane/store/rocksdb/rocksdb_store.h"

#include <fmt/format.h>
#include <rocksdb/db.h>
#include <rocksdb/table.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>

namespace mire::store {
namespace {

namespace fs = std::filesystem;

// RocksDB's words may hold line breaks and whole paths; one line of them is enough.
std::string one_line(const rocksdb::Status& s) {
  std::string text = s.ToString();
  for (char& c : text)
    if (c == '\n' || c == '\r') c = ' ';
  return text;
}

rocksdb::Options options() {
  rocksdb::Options o;
  o.create_if_missing = true;
  o.create_missing_column_families = true;
  o.write_buffer_size = 16u << 20;
  o.max_total_wal_size = 64u << 20;
  o.max_background_jobs = 2;
  o.max_open_files = 256;
  o.keep_log_file_num = 2;
  o.max_log_file_size = 1u << 20;
  o.info_log_level = rocksdb::WARN_LEVEL;
  o.stats_dump_period_sec = 0;  // an idle mired costs nothing
  o.stats_persist_period_sec = 0;
  o.compression = rocksdb::kNoCompression;                                        // records are small and dense
  o.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;  // a write that the kill cut short
  rocksdb::BlockBasedTableOptions t;
  t.block_size = 16u << 10;
  t.cache_index_and_filter_blocks = false;
  t.block_cache = rocksdb::NewLRUCache(8u << 20);
  o.table_factory.reset(rocksdb::NewBlockBasedTableFactory(t));
  return o;
}

class RocksDb final : public Store {
 public:
  RocksDb(std::string path, std::unique_ptr<rocksdb::DB> db, std::array<rocksdb::ColumnFamilyHandle*, kColumns> columns,
          std::vector<rocksdb::ColumnFamilyHandle*> all)
      : path_(std::move(path)), db_(std::move(db)), columns_(columns), all_(std::move(all)) {}
  ~RocksDb() override {
    for (rocksdb::ColumnFamilyHandle* h : all_) db_->DestroyColumnFamilyHandle(h);
  }
  RocksDb(const RocksDb&) = delete;
  RocksDb& operator=(const RocksDb&) = delete;

  Status write(const Batch& batch) override {
    rocksdb::WriteBatch out;
    batch.for_each([&](Column c, std::string_view key, std::optional<std::string_view> value) {
      if (value) {
        out.Put(at(c), slice(key), slice(*value));
      } else {
        out.Delete(at(c), slice(key));
      }
    });
    rocksdb::WriteOptions synced;
    synced.sync = true;
    return answer(db_->Write(synced, &out), "cannot be written");
  }

  Result<std::optional<std::string>> get(Column c, std::string_view key) override {
    std::string value;
    const rocksdb::Status s = db_->Get({}, at(c), slice(key), &value);
    if (s.IsNotFound()) return std::optional<std::string>{};
    if (Status bad = answer(s, "cannot be read"); !bad) return Error{bad.error()};
    return std::optional(std::move(value));
  }

  Status scan(Column c, std::string_view from, const Take& take) override {
    rocksdb::ReadOptions once;
    once.fill_cache = false;
    once.readahead_size = 2u << 20;
    const std::unique_ptr<rocksdb::Iterator> i(db_->NewIterator(once, at(c)));
    for (i->Seek(slice(from)); i->Valid(); i->Next())
      if (!take(view(i->key()), view(i->value()))) return success();
    return answer(i->status(), "cannot be read");
  }

  Status erase(Column c, std::string_view from, std::optional<std::string_view> to) override {
    std::string end(to.value_or(""));
    if (!to) {  // behind the last key there is
      const std::unique_ptr<rocksdb::Iterator> i(db_->NewIterator({}, at(c)));
      i->SeekToLast();
      if (!i->Valid()) return answer(i->status(), "cannot be read");
      end = i->key().ToString() + '\0';
    }
    if (std::string_view(end) <= from) return success();
    rocksdb::WriteOptions synced;
    synced.sync = true;
    return answer(db_->DeleteRange(synced, at(c), slice(from), slice(end)), "cannot be written");
  }

  uint64_t about(Column c) override {
    uint64_t n = 0;
    return db_->GetIntProperty(at(c), rocksdb::DB::Properties::kEstimateNumKeys, &n) ? n : 0;
  }

 private:
  static rocksdb::Slice slice(std::string_view s) { return {s.data(), s.size()}; }
  static std::string_view view(const rocksdb::Slice& s) { return {s.data(), s.size()}; }
  [[nodiscard]] rocksdb::ColumnFamilyHandle* at(Column c) const { return columns_[static_cast<size_t>(c)]; }
  [[nodiscard]] Status answer(const rocksdb::Status& s, const char* what) const {
    if (s.ok()) return success();
    return Error{fmt::format("store {}: {}: {}", path_, what, one_line(s))};
  }

  std::string path_;
  std::unique_ptr<rocksdb::DB> db_;
  std::array<rocksdb::ColumnFamilyHandle*, kColumns> columns_;
  std::vector<rocksdb::ColumnFamilyHandle*> all_;
};

struct Attempt {
  std::unique_ptr<Store> store;
  rocksdb::Status status;
};

Attempt attempt(const std::string& path) {
  const rocksdb::Options o = options();
  // Columns of a younger mired are opened and left alone: RocksDB wants every one named.
  std::vector<std::string> names;
  if (!rocksdb::DB::ListColumnFamilies(o, path, &names).ok()) names = {rocksdb::kDefaultColumnFamilyName};
  for (size_t i = 0; i < kColumns; ++i) {
    const std::string name(to_string(static_cast<Column>(i)));
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  std::vector<rocksdb::ColumnFamilyDescriptor> wanted;
  wanted.reserve(names.size());
  for (const std::string& name : names) wanted.emplace_back(name, o);
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  rocksdb::Status s = rocksdb::DB::Open(o, path, wanted, &handles, &db);
  if (!s.ok()) return {nullptr, s};
  std::array<rocksdb::ColumnFamilyHandle*, kColumns> columns{};
  for (size_t i = 0; i < kColumns; ++i)
    for (rocksdb::ColumnFamilyHandle* h : handles)
      if (h->GetName() == to_string(static_cast<Column>(i))) columns[i] = h;
  return {std::make_unique<RocksDb>(path, std::unique_ptr<rocksdb::DB>(db), columns, std::move(handles)), s};
}

// Nobody else holds it, the disk is not full and we may write: so it is the content.
bool is_damage(const rocksdb::Status& s) {
  return s.IsCorruption() || s.IsInvalidArgument() || s.IsNotSupported() || s.IsNotFound() ||
         (s.IsIOError() && s.ToString().find("No such file") != std::string::npos);
}

}  // namespace

Result<Opened> open_rocksdb(const std::string& path) {
  std::error_code failed;
  fs::create_directory(path, failed);
  if (failed) return Error{fmt::format("store {}: cannot be made: {}", path, failed.message())};
  Attempt a = attempt(path);
  if (a.status.ok()) return Opened{std::move(a.store), ""};
  if (is_damage(a.status)) return begin_anew(path, one_line(a.status));
  if (a.status.ToString().find("lock") != std::string::npos)
    return Error{fmt::format("store {}: in use by another process; end that, or name another --state", path)};
  return Error{fmt::format("store {}: cannot be opened: {}", path, one_line(a.status))};
}

Result<Opened> begin_anew(const std::string& path, const std::string& why) {
  std::string aside;
  for (unsigned n = 1; aside.empty(); ++n)
    if (const std::string name = fmt::format("{}.damaged-{}", path, n); !fs::exists(name)) aside = name;
  std::error_code failed;
  fs::rename(path, aside, failed);
  if (failed)
    return Error{fmt::format("store {}: damaged ({}), and cannot be moved aside: {}", path, why, failed.message())};
  fs::create_directory(path, failed);
  Attempt a = attempt(path);
  if (!a.status.ok()) return Error{fmt::format("store {}: cannot be opened: {}", path, one_line(a.status))};
  return Opened{std::move(a.store),
                fmt::format("store {}: damaged ({}); moved to {}, beginning empty", path, why, aside)};
}

}  // namespace mire::store
