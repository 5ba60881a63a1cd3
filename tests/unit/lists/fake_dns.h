// fake_dns.h - DNS that answers from a table, when the test says so.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "controlplane/lists/dns.h"
#include "tests/unit/lists/support.h"

namespace mire::lists {

class FakeDns final : public DnsSource {
 public:
  void ask(const std::string& name, QueryType type, Done done) override {
    asked.push_back(name);
    waiting_.emplace_back(std::pair(name, type), std::move(done));
  }

  void text(const std::string& name, std::vector<std::string> texts, uint32_t ttl_s = 7'200) {
    DnsAnswer& answer = answered(name, QueryType::txt, ttl_s);
    answer.texts = std::move(texts);
  }
  void a(const std::string& name, std::initializer_list<const char*> addresses, uint32_t ttl_s = 7'200) {
    for (const char* one : addresses)
      answered(name, address(one).is_v4() ? QueryType::a : QueryType::aaaa, ttl_s).addresses.push_back(address(one));
  }
  void mx(const std::string& name, std::vector<std::string> names) {
    answered(name, QueryType::mx, 7'200).names = std::move(names);
  }
  void outcome(const std::string& name, QueryType type, DnsOutcome what, uint32_t ttl_s = 0) {
    DnsAnswer& answer = table_[{name, type}];
    answer = {};
    answer.outcome = what;
    answer.ttl_s = ttl_s;
  }
  void forget(const std::string& name, QueryType type) { table_.erase({name, type}); }

  // Answers what is waiting, and what is asked meanwhile, until nothing is. A name without records: NXDOMAIN.
  void answer_all() {
    while (!waiting_.empty()) answer_one();
  }
  void answer_one() {
    auto [question, done] = std::move(waiting_.front());
    waiting_.pop_front();
    const auto found = table_.find(question);
    DnsAnswer none;
    none.outcome = DnsOutcome::no_name;
    done(found == table_.end() ? none : found->second);
  }
  [[nodiscard]] size_t waiting() const { return waiting_.size(); }

  std::vector<std::string> asked;

 private:
  using Question = std::pair<std::string, QueryType>;
  DnsAnswer& answered(const std::string& name, QueryType type, uint32_t ttl_s) {
    DnsAnswer& answer = table_[{name, type}];
    answer.outcome = DnsOutcome::answered;
    answer.ttl_s = ttl_s;
    return answer;
  }
  std::map<Question, DnsAnswer> table_;
  std::deque<std::pair<Question, Done>> waiting_;
};

}  // namespace mire::lists
