#include "controlplane/lists/class_prefixes.h"

#include "tests/unit/lists/support.h"

namespace mire::lists {
namespace {

using policy::SourceClass;

NamedList list(const char* name, SourceClass source_class, std::initializer_list<const char*> texts) {
  std::vector<wire::Prefix> all = prefixes(texts);
  std::sort(all.begin(), all.end(),
            [](const auto& a, const auto& b) { return std::tie(a.address, a.length) < std::tie(b.address, b.length); });
  return {name, source_class, std::make_shared<const std::vector<wire::Prefix>>(std::move(all))};
}

std::string said(const ClassPrefixes& map, const char* who) {
  const auto found = map.find(address(who));
  if (!found) return "nothing";
  return wire::to_string(found->entry->prefix) + " " + std::to_string(static_cast<int>(found->entry->source_class)) +
         " " + *found->list;
}

TEST(ClassPrefixes, TheLongestPrefixWins) {
  const ClassPrefixes map({list("wide", SourceClass::trusted, {"192.0.0.0/16", "2001:db8::/32"}),
                           list("narrow", SourceClass::blocked, {"192.0.2.0/24", "2001:db8:1::/48"})});
  EXPECT_EQ(said(map, "192.0.1.1"), "192.0.0.0/16 1 wide");
  EXPECT_EQ(said(map, "192.0.2.1"), "192.0.2.0/24 5 narrow");
  EXPECT_EQ(said(map, "2001:db8:1::5"), "2001:db8:1::/48 5 narrow");
  EXPECT_EQ(said(map, "2001:db8:2::5"), "2001:db8::/32 1 wide");
  EXPECT_EQ(said(map, "198.51.100.1"), "nothing");
  EXPECT_EQ(said(ClassPrefixes{}, "198.51.100.1"), "nothing");
}

TEST(ClassPrefixes, OfTheSamePrefixTheClassThatDeliversMailWins) {
  const NamedList deny = list("deny", SourceClass::blocked, {"192.0.2.0/24"});
  const NamedList doubt = list("doubt", SourceClass::suspect, {"192.0.2.0/24"});
  const NamedList allow = list("allow", SourceClass::known, {"192.0.2.0/24", "198.51.100.1"});
  for (const auto& lists : {std::vector{deny, doubt, allow}, std::vector{allow, deny, doubt}}) {
    const ClassPrefixes map(lists);
    EXPECT_EQ(said(map, "192.0.2.1"), "192.0.2.0/24 2 allow");
    EXPECT_EQ(map.shared(), 1u);
    EXPECT_EQ(map.conflicts(), 1u);
  }
}

TEST(ClassPrefixes, OfEqualClassesTheFirstListIsNamed) {
  const ClassPrefixes map(
      {list("first", SourceClass::blocked, {"192.0.2.0/24"}), list("second", SourceClass::blocked, {"192.0.2.0/24"})});
  EXPECT_EQ(said(map, "192.0.2.1"), "192.0.2.0/24 5 first");
  EXPECT_EQ(map.shared(), 1u);
  EXPECT_EQ(map.conflicts(), 0u);
  EXPECT_EQ(map.lists_with(address("192.0.2.1")).size(), 2u);
  EXPECT_EQ(map.lists_with(address("192.0.2.1"))[1].first, "second");
}

TEST(ClassPrefixes, LeavesOutWhatAWiderPrefixOfTheClassSays) {
  const ClassPrefixes map({list("a", SourceClass::blocked, {"192.0.2.0/24", "192.0.2.1", "192.0.2.128/25"}),
                           list("b", SourceClass::trusted, {"192.0.2.128/26"}),
                           list("c", SourceClass::blocked, {"192.0.2.129"})});
  std::vector<std::string> texts;
  for (const ClassPrefix& p : map.published()) texts.push_back(wire::to_string(p.prefix));
  EXPECT_EQ(texts, (std::vector<std::string>{"192.0.2.0/24", "192.0.2.128/26", "192.0.2.129/32"}))
      << ".1 and .128/25 are said by the /24; .129 is not, for the trusted /26 stands between";
  EXPECT_EQ(said(map, "192.0.2.129"), "192.0.2.129/32 5 c");
}

TEST(ClassPrefixes, TellsChangesOneByOne) {
  const ClassPrefixes before({list("a", SourceClass::blocked, {"192.0.2.0/24", "198.51.100.0/24", "203.0.113.7"})});
  const ClassPrefixes after({list("a", SourceClass::blocked, {"192.0.2.0/24", "203.0.113.9"}),
                             list("b", SourceClass::known, {"198.51.100.0/24"})});
  EXPECT_EQ(after.changes_since(before), (std::vector<PrefixChange>{{prefix("198.51.100.0/24"), SourceClass::known},
                                                                    {prefix("203.0.113.7"), std::nullopt},
                                                                    {prefix("203.0.113.9"), SourceClass::blocked}}));
  EXPECT_TRUE(after.changes_since(after).empty());
  EXPECT_EQ(after.changes_since({}).size(), 3u);
  EXPECT_EQ(ClassPrefixes{}.changes_since(after).size(), 3u);
}

TEST(ClassPrefixes, KnowsListsThatHoldNothingYet) {
  const ClassPrefixes map({{"domain x", SourceClass::trusted, nullptr}});
  EXPECT_TRUE(map.published().empty());
  EXPECT_TRUE(map.lists_with(address("192.0.2.1")).empty());
}

}  // namespace
}  // namespace mire::lists
