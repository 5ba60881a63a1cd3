// The formats in JSON: DROP version 2 (an object a line) and lists of CrowdSec's decisions.
#include <boost/json.hpp>

#include "controlplane/lists/feed_reader.h"

namespace mire::lists {
namespace {

namespace json = boost::json;

constexpr size_t kDeepest = 8;

json::value parsed(std::string_view text, json::error_code& error) {
  json::parse_options options;
  options.max_depth = kDeepest;
  return json::parse(json::string_view(text.data(), text.size()), error, {}, options);
}

std::optional<std::string_view> text_of(const json::object& o, std::string_view key) {
  const json::value* v = o.if_contains(json::string_view(key.data(), key.size()));
  if (v == nullptr || !v->is_string()) return {};
  const json::string& s = v->get_string();
  return std::string_view(s.data(), s.size());
}

bool same_word(std::string_view a, std::string_view lower) {
  if (a.size() != lower.size()) return false;
  for (size_t i = 0; i < a.size(); ++i)
    if (std::tolower(static_cast<unsigned char>(a[i])) != lower[i]) return false;
  return true;
}

// The line on which `word`'s n-th occurrence stands cannot be told from a parsed tree: the first one will do.
size_t line_of(std::string_view text, std::string_view word) {
  const size_t at = text.find(word);
  size_t line = 1;
  for (const char c : text.substr(0, at == std::string_view::npos ? 0 : at)) line += c == '\n' ? 1 : 0;
  return line;
}

class Crowdsec {
 public:
  Crowdsec(std::string_view text, FeedReader& into) : text_(text), into_(into) {}

  // An array of decisions, of alerts that hold decisions, or nothing (null is what cscli prints for none).
  bool list(const json::value& v) {
    if (v.is_null()) return true;
    const json::array* all = v.if_array();
    if (all == nullptr) return into_.refuse(1, "not a list of decisions", "use cscli decisions list -o json");
    for (const json::value& item : *all) {
      const json::object* o = item.if_object();
      if (o == nullptr) return into_.refuse(1, "a decision that is no object", "use cscli decisions list -o json");
      const json::value* inner = o->if_contains("decisions");
      if (inner != nullptr ? !list(*inner) : !decision(*o)) return false;
    }
    return true;
  }

 private:
  // Scopes other than addresses (a country, a user) and types other than ban (captcha) are not for the wire.
  bool decision(const json::object& o) {
    const std::optional<std::string_view> value = text_of(o, "value");
    if (!value) return into_.refuse(1, "a decision without a value", "use cscli decisions list -o json");
    const std::string_view scope = text_of(o, "scope").value_or("ip");
    const std::string_view type = text_of(o, "type").value_or("ban");
    if ((!same_word(scope, "ip") && !same_word(scope, "range")) || !same_word(type, "ban")) {
      into_.skip();
      return true;
    }
    if (into_.take(*value, 1)) return true;
    return into_.refuse(line_of(text_, *value), shown(*value), "no address and no prefix");
  }

  std::string_view text_;
  FeedReader& into_;
};

}  // namespace

// {"cidr":"1.10.16.0/20","sblid":"SBL256894","rir":"apnic"}; the last line says {"type":"metadata",…}.
bool read_json_line(std::string_view line, size_t number, FeedReader& into) {
  const std::string_view text = trimmed(line);
  if (text.empty()) return true;
  json::error_code error;
  const json::value v = parsed(text, error);
  const json::object* o = error ? nullptr : v.if_object();
  if (o == nullptr) return into.refuse(number, shown(text), "not a JSON object");
  if (const std::optional<std::string_view> cidr = text_of(*o, "cidr")) return into.take(*cidr, number);
  if (text_of(*o, "type") != std::string_view("metadata"))
    return into.refuse(number, shown(text), "neither a cidr nor metadata");
  const json::value* records = o->if_contains("records");
  const size_t read = into.content().prefixes.size();
  if (records != nullptr && (!records->is_int64() || records->get_int64() != static_cast<int64_t>(read)))
    return into.refuse(number, shown(text), fmt::format("{} records were read: the file is not whole", read));
  return true;
}

bool read_crowdsec(std::string_view text, FeedReader& into) {
  json::error_code error;
  const json::value root = parsed(text, error);
  if (error) return into.refuse(1, "not JSON", error.message());
  Crowdsec reader(text, into);
  const json::object* stream = root.if_object();  // /v1/decisions/stream: {"new": […], "deleted": […]}
  if (stream == nullptr) return reader.list(root);
  const json::value* fresh = stream->if_contains("new");
  if (fresh == nullptr) return into.refuse(1, "an object without \"new\"", "use cscli decisions list -o json");
  return reader.list(*fresh);
}

}  // namespace mire::lists
