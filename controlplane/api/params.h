// params.h - parameters of a method by name: what is there, of the right kind and in range, or one line that says what
// is wrong. Pure.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "dataplane/base/result.h"

namespace mire::api {

class Params {
 public:
  // `known`: all names that the method takes. What is not among them makes error() speak, and so does an array.
  Params(const boost::json::value&, std::initializer_list<std::string_view> known);

  // Absent: nothing. Of another kind, or out of range: nothing, and error() speaks (of the first one).
  [[nodiscard]] std::optional<std::string> text(std::string_view name);
  [[nodiscard]] std::optional<int64_t> number(std::string_view name, int64_t least, int64_t most);
  [[nodiscard]] std::optional<double> real(std::string_view name, double least, double most);
  [[nodiscard]] std::optional<bool> truth(std::string_view name);

  // Ask after all have been read.
  [[nodiscard]] Status status() const { return error_.empty() ? success() : Status(Error{error_}); }

 private:
  [[nodiscard]] const boost::json::value* find(std::string_view name) const;
  void complain(std::string text);
  const boost::json::object* object_ = nullptr;
  std::string error_;
};

}  // namespace mire::api
