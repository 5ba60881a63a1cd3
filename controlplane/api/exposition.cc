#include "controlplane/api/exposition.h"

#include <fmt/format.h>

#include <algorithm>

namespace mire::api {
namespace {

// Backslash and line break everywhere, the quote in a label's value.
std::string escaped(std::string_view text, bool quote) {
  std::string out;
  for (const char c : text) {
    if (c == '\\' || (quote && c == '"')) out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

void Exposition::counter(std::string_view name, std::string_view help, double value, const Labels& labels) {
  add("counter", name, help, value, labels);
}

void Exposition::gauge(std::string_view name, std::string_view help, double value, const Labels& labels) {
  add("gauge", name, help, value, labels);
}

void Exposition::add(std::string_view type, std::string_view name, std::string_view help, double value,
                     const Labels& labels) {
  auto at = std::find_if(metrics_.begin(), metrics_.end(), [name](const Metric& m) { return m.name == name; });
  if (at == metrics_.end()) {
    metrics_.push_back(
        {std::string(name), fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n", name, escaped(help, false), type), {}});
    at = metrics_.end() - 1;
  }
  at->samples += name;
  for (size_t i = 0; i < labels.size(); ++i)
    at->samples += fmt::format("{}{}=\"{}\"", i == 0 ? "{" : ",", labels[i].first, escaped(labels[i].second, true));
  if (!labels.empty()) at->samples += '}';
  at->samples += fmt::format(" {}\n", value);
}

std::string Exposition::text() const {
  std::string out;
  for (const Metric& m : metrics_) out += m.head + m.samples;
  return out;
}

}  // namespace mire::api
