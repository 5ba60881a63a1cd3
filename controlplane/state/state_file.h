// state_file.h - one JSON file of mired's in its state folder: read as hostile input, written so that whoever reads
// sees the old one or the new one, whole. Knows no content.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cstdint>
#include <optional>
#include <string>

namespace mire::state {

class StateFile {
 public:
  // DIR/name. Without a folder that we can write the file is not used: `what` is remembered only until mired stops, and
  // take_notice() says so.
  StateFile(const std::string& directory, const char* name, const char* what);

  // The object that `load` finds under `key` beside this format's number. What is not such a file is put aside, and
  // take_notice() says so. Nothing: begin anew.
  [[nodiscard]] std::optional<boost::json::object> load(int64_t format, const char* key);

  // In a failure take_notice() says why.
  void save(int64_t format, const char* key, boost::json::object content);

  // What the operator should hear, once.
  [[nodiscard]] std::string take_notice();

 private:
  std::string path_;  // empty: in memory only
  std::string notice_;
};

}  // namespace mire::state
