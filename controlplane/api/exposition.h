// exposition.h - numbers as Prometheus reads them (text format 0.0.4). Pure.
//
// The caller adds samples in any order; those of one metric come out together behind its HELP and TYPE.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mire::api {

class Exposition {
 public:
  using Labels = std::vector<std::pair<std::string, std::string>>;
  static constexpr const char* kContentType = "text/plain; version=0.0.4; charset=utf-8";

  // Counters end in _total by convention; units last in the name.
  void counter(std::string_view name, std::string_view help, double value, const Labels& labels = {});
  void gauge(std::string_view name, std::string_view help, double value, const Labels& labels = {});

  [[nodiscard]] std::string text() const;

 private:
  struct Metric {
    std::string name;
    std::string head;
    std::string samples;
  };
  void add(std::string_view type, std::string_view name, std::string_view help, double value, const Labels&);
  std::vector<Metric> metrics_;
};

}  // namespace mire::api
