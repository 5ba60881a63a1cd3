#include "controlplane/config/config.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

namespace mire::config {
namespace {

using policy::SourceClass;
using Lines = std::vector<std::string>;

const policy::Treatment& of(const Config& c, SourceClass source_class) {
  return c.treatments[static_cast<size_t>(source_class)];
}

Config good(std::string_view text) {
  const Outcome outcome = parse(text, "mire.conf");
  EXPECT_EQ(outcome.errors, Lines{});
  return outcome.config.value_or(Config{});
}

// Each error is a whole line, as the operator sees it.
void bad(std::string_view text, const Lines& lines) {
  const Outcome outcome = parse(text, "mire.conf");
  EXPECT_FALSE(outcome.config.has_value()) << text;
  EXPECT_EQ(outcome.errors, lines) << text;
}

TEST(Config, OfAnEmptyFileIsTheDefaults) {
  EXPECT_EQ(good(""), Config{});
  EXPECT_EQ(good("# nothing\n/* at\nall */\n"), Config{});
  EXPECT_EQ(Config{}.treatments, policy::default_treatments());
}

TEST(Config, ReadsEveryKey) {
  const Config c = good(R"(
# every key that there is
ports { wan eth1; lan "eth2"; fail-mode closed; }
protect { 203.0.113.25; 2001:db8::25; }
protect 203.0.113.26;
treatment trusted { early-talk reset; pipelining reset; observe true; }
treatment unknown {
  greeting { withhold banner; min 1500ms; max 4s; }   /* below a callout's patience */
  syn-ack { min 0s; max 100ms; }
  early-talk count; pipelining count; on-syn pass;
  flows { concurrent 50; per-minute 600; }
  observe false;
}
treatment suspect { greeting { withhold none; } }
treatment blocked { on-syn reset; }
class trusted { prefix 198.51.100.0/24; prefix 2001:db8:5::/48; }
class blocked { prefix 192.0.2.77; }
class exempt { }
penalty { first 2m; most 12h; }
trap { per-second 20000; per-source 50; }
texts { early-talk "too soon"; blocked "see https://x.example/?a=%address%"; server-down "later"; silent "%reason%"; }
observe true;
log { file /var/log/mire/flows.json; }
)");
  EXPECT_EQ(c.wan, "eth1");
  EXPECT_EQ(c.lan, "eth2");
  EXPECT_TRUE(c.fail_closed);
  EXPECT_TRUE(c.observe);
  EXPECT_EQ(c.protect,
            (std::vector{wire::parse_address("203.0.113.25").value(), wire::parse_address("2001:db8::25").value(),
                         wire::parse_address("203.0.113.26").value()}));
  EXPECT_EQ(c.members, (std::vector<ClassMember>{{wire::parse_prefix("198.51.100.0/24").value(), SourceClass::trusted},
                                                 {wire::parse_prefix("2001:db8:5::/48").value(), SourceClass::trusted},
                                                 {wire::parse_prefix("192.0.2.77/32").value(), SourceClass::blocked}}));
  EXPECT_EQ(c.penalty_first, std::chrono::minutes{2});
  EXPECT_EQ(c.penalty_most, std::chrono::hours{12});
  EXPECT_EQ(c.trap, (policy::TrapRate{20'000, 50}));
  EXPECT_EQ(c.log_file, "/var/log/mire/flows.json");
  EXPECT_EQ(c.texts,
            (std::array<std::string, 4>{"too soon", "see https://x.example/?a=%address%", "later", "%reason%"}));

  policy::Treatments expected = policy::default_treatments();
  auto& trusted = expected[static_cast<size_t>(SourceClass::trusted)];
  trusted.early_talk = policy::OnEarlyTalk::reset;
  trusted.pipelining = policy::OnPipelining::reset;
  trusted.observe = true;
  auto& unknown = expected[static_cast<size_t>(SourceClass::unknown)];
  unknown.withhold = policy::Withhold::banner;
  unknown.greeting = {1500, 4000};
  unknown.syn_ack = {0, 100};
  unknown.early_talk = policy::OnEarlyTalk::count;
  unknown.concurrent = 50;
  unknown.per_minute = 600;
  auto& suspect = expected[static_cast<size_t>(SourceClass::suspect)];
  suspect.withhold = policy::Withhold::none;
  suspect.greeting = {};
  expected[static_cast<size_t>(SourceClass::blocked)].syn = policy::OnSyn::reset;
  EXPECT_EQ(c.treatments, expected);
}

TEST(Config, ReadsWhatIsSaidOfAServer) {
  const Config c = good(
      "protect 192.0.2.1 {\n"
      "  greeting \"220-mx.example ESMTP\"\n"
      "           \"220 say \\\"hello\\\"\";\n"
      "  strangers { concurrent 8; per-second 3; }\n"
      "}\n"
      "protect 192.0.2.2 { strangers { per-second 5; } }\n"
      "protect 192.0.2.3 { greeting 220; }\n"
      "protect 192.0.2.4 { }\n"
      "protect { 192.0.2.5; }");
  EXPECT_EQ(c.protect.size(), 5u);
  const auto of = [&](const char* server) { return c.servers.at(wire::parse_address(server).value()); };
  EXPECT_EQ(of("192.0.2.1"), (Server{"220-mx.example ESMTP\r\n220 say \"hello\"\r\n", {8, 3}}));
  EXPECT_EQ(of("192.0.2.2"), (Server{"", {32, 5}}));
  EXPECT_EQ(of("192.0.2.3"), (Server{"220\r\n", {}}));
  EXPECT_EQ(of("192.0.2.4"), Server{});
  EXPECT_EQ(c.servers.size(), 4u);
  const std::string longest = "220 " + std::string(506, 'x');
  EXPECT_EQ(good("protect 192.0.2.1 { greeting \"" + longest + "\"; }").servers.begin()->second.greeting.size(), 512u);
}

TEST(Config, RefusesGreetingsThatNoClientCouldRead) {
  const auto one = [](const std::string& greeting, const std::string& shown, const std::string& why) {
    bad("protect 192.0.2.1 { greeting " + greeting + "; }",
        {"mire.conf:1: protect 192.0.2.1 greeting" + shown + ": " + why});
  };
  one("", "", "takes the greeting's lines; write greeting \"220 mx.example ESMTP\";");
  one("\"mx.example\"", " mx.example", "no last line of a greeting; write it like \"220 mx.example ESMTP\"");
  one("\"220-mx.example\"", " 220-mx.example", "no last line of a greeting; write it like \"220 mx.example ESMTP\"");
  one("\"554 no\"", " 554 no", "no last line of a greeting; write it like \"220 mx.example ESMTP\"");
  one("\"220 a\" \"220 b\"", " 220 a", "more lines follow; begin it with 220-");
  one("\"220 mx.example\\r\\n\"", " 220 mx.example\\r\\n", "is written without its line end; remove \\r\\n");
  EXPECT_EQ(parse("protect 192.0.2.1 { greeting \"220 " + std::string(507, 'x') + "\"; }", "f").errors.size(), 1u);
  std::string many;
  for (int i = 0; i < 64; ++i) many += "220-x ";
  one(many + "220", "", "more than 64 lines or 4095 bytes; shorten it");
  one("220; greeting 220", "", "given twice; keep one");
  EXPECT_EQ(parse("protect 192.0.2.1 { greeting \"220 a\rb\"; }", "f").errors.size(), 1u);
}

TEST(Config, RefusesWhatIsNoPace) {
  bad("protect 192.0.2.1 { strangers { concurrent 0; } }",
      {"mire.conf:1: protect 192.0.2.1 strangers concurrent 0: out of range; use 1 to 1000000"});
  bad("protect 192.0.2.1 { strangers { per-second many; } }",
      {"mire.conf:1: protect 192.0.2.1 strangers per-second many: not a whole number; use 1 to 1000000"});
  bad("protect 192.0.2.1 { stranger { } }",
      {"mire.conf:1: protect 192.0.2.1 stranger: not known; use greeting or strangers"});
  bad("protect 192.0.2.1 { strangers 5; }",
      {"mire.conf:1: protect 192.0.2.1 strangers: takes a block; write strangers { ... }"});
  bad("protect 192.0.2.1; protect 192.0.2.1 { }",
      {"mire.conf:1: protect 192.0.2.1: given twice, first in line 1; keep one"});
}

TEST(Config, ReadsWhatBecomesOfStraysOfStrangersAlone) {
  EXPECT_EQ(of(good("treatment unknown { joined reset; }"), SourceClass::unknown).joined, policy::OnJoined::reset);
  EXPECT_EQ(of(good("treatment suspect { joined reset; }"), SourceClass::suspect).joined, policy::OnJoined::reset);
  EXPECT_EQ(of(good("treatment trusted { joined pass; }"), SourceClass::trusted).joined, policy::OnJoined::pass);
  EXPECT_EQ(of(good(""), SourceClass::unknown).joined, policy::OnJoined::pass);
  for (const std::string name : {"trusted", "known", "blocked"})
    bad("treatment " + name + " { joined reset; }",
        {"mire.conf:1: treatment " + name + " joined reset: only for unknown and suspect sources; remove it"});
  bad("treatment unknown { joined drop; }",
      {"mire.conf:1: treatment unknown joined drop: not known; use pass or reset"});
}

TEST(Config, KeepsTheDefaultsOfATreatmentThatAreNotNamed) {
  const Config c = good("treatment suspect { flows { concurrent 5; } }");
  EXPECT_EQ(of(c, SourceClass::suspect).concurrent, 5u);
  EXPECT_EQ(of(c, SourceClass::suspect).per_minute, 60u);
  EXPECT_EQ(of(c, SourceClass::suspect).greeting, (policy::HoldRange{5000, 15000}));
}

TEST(Config, SaysLineWhatWhyAndWhatToDo) {
  bad("\n\ntreatment unknown { greeting { max 40s; } }",
      {"mire.conf:3: treatment unknown greeting max 40s: longer than the limit of 30s (clients give up); try 5s"});
}

TEST(Config, RefusesSettingsThatItDoesNotKnow) {
  bad("treatmnt unknown { }", {"mire.conf:1: treatmnt: not known; did you mean treatment?"});
  bad("treatment unknown { greting { } }",
      {"mire.conf:1: treatment unknown greting: not known; did you mean greeting?"});
  bad("treatment unknwon { }", {"mire.conf:1: treatment unknwon: not known; did you mean unknown?"});
  bad("class friends { }",
      {"mire.conf:1: class friends: not known; use exempt, trusted, known, unknown, suspect or blocked"});
  bad("ports { mtu 9000; }", {"mire.conf:1: ports mtu: not known; use wan, lan or fail-mode"});
}

TEST(Config, RefusesSettingsOfLaterReleasesRatherThanIgnoringThem) {
  const std::string known = "not known; use ports, protect, treatment, class, penalty, trap, observe, texts or log";
  bad("dnsbl zen.example { weight 4; }", {"mire.conf:1: dnsbl: " + known});
  bad("backscatter { forged reject; }", {"mire.conf:1: backscatter: " + known});
  bad("class blocked { feed drop { file \"/etc/x\"; } }", {"mire.conf:1: class blocked feed: not known; use prefix"});
  bad("class trusted { domain gmail.com; }", {"mire.conf:1: class trusted domain: not known; use prefix"});
  bad("treatment unknown { greeting { withhold trap; } }",
      {"mire.conf:1: treatment unknown greeting withhold trap: not known; use defer, banner or none"});
}

TEST(Config, KnowsEveryWayToTakeASyn) {
  const auto on_syn = [](const char* word) {
    return of(good(std::string("treatment blocked { on-syn ") + word + "; }"), SourceClass::blocked).syn;
  };
  EXPECT_EQ(on_syn("pass"), policy::OnSyn::pass);
  EXPECT_EQ(on_syn("drop"), policy::OnSyn::drop);
  EXPECT_EQ(on_syn("reset"), policy::OnSyn::reset);
  EXPECT_EQ(on_syn("reject"), policy::OnSyn::reject);
  EXPECT_EQ(on_syn("trap"), policy::OnSyn::trap);
  bad("treatment blocked { on-syn hold; }",
      {"mire.conf:1: treatment blocked on-syn hold: not known; use pass, drop, reset, reject or trap"});
}

TEST(Config, RefusesWhatIsGivenTwice) {
  bad("observe true;\nobserve false;", {"mire.conf:2: observe: given twice, first in line 1; keep one"});
  bad("treatment known { }\ntreatment known { }",
      {"mire.conf:2: treatment known: given twice, first in line 1; keep one"});
  bad("treatment unknown { greeting {\nmax 2s;\nmax 3s; } }",
      {"mire.conf:3: treatment unknown greeting max: given twice, first in line 2; keep one"});
  bad("protect { 192.0.2.1;\n192.0.2.1; }", {"mire.conf:2: protect 192.0.2.1: given twice, first in line 1; keep one"});
  bad("class trusted { prefix 192.0.2.0/24;\nprefix 192.0.2.0/24; }",
      {"mire.conf:2: class trusted prefix 192.0.2.0/24: given twice, first in line 1; keep one"});
}

TEST(Config, RefusesAPrefixInTwoClasses) {
  bad("class trusted { prefix 192.0.2.0/24; }\nclass blocked { prefix 192.0.2.0/24; }",
      {"mire.conf:2: class blocked prefix 192.0.2.0/24: also in class trusted, line 1; keep one"});
  good("class trusted { prefix 192.0.2.0/24; } class blocked { prefix 192.0.2.0/25; }");
}

TEST(Config, RefusesAddressesAndPrefixesThatAreNone) {
  bad("protect 203.0.113.256;",
      {"mire.conf:1: protect 203.0.113.256: not an address; write it like 203.0.113.25 or 2001:db8::25"});
  bad("protect 203.0.113.0/24;",
      {"mire.conf:1: protect 203.0.113.0/24: not an address; write it like 203.0.113.25 or 2001:db8::25"});
  bad("class trusted { prefix gmail.com; }",
      {"mire.conf:1: class trusted prefix gmail.com: not a prefix; write it like 198.51.100.0/24 or 2001:db8::/32"});
  bad("class trusted { prefix 198.51.100.7/24; }",
      {"mire.conf:1: class trusted prefix 198.51.100.7/24: has bits beyond its length; try 198.51.100.0/24"});
  bad("class trusted { prefix 198.51.100.0/33; }",
      {"mire.conf:1: class trusted prefix 198.51.100.0/33: no such length; use /0 to /32"});
  bad("class trusted { prefix 2001:db8::/x; }",
      {"mire.conf:1: class trusted prefix 2001:db8::/x: no such length; use /0 to /128"});
  bad("protect;", {"mire.conf:1: protect: takes addresses; write protect ADDRESS; or protect { ADDRESS; ... }"});
  bad("protect { 192.0.2.1 192.0.2.2; }", {"mire.conf:1: protect 192.0.2.1: one address a line; is a ; missing?"});
}

TEST(Config, ChecksHoldsAlone) {
  bad("treatment unknown { greeting { max 5; } }", {"mire.conf:1: treatment unknown greeting max 5: no unit; try 5s"});
  bad("treatment unknown { greeting { min 4s; max 2s; } }",
      {"mire.conf:1: treatment unknown greeting min 4s: longer than max 2s; exchange them?"});
  bad("treatment unknown { greeting { min 6s; } }",
      {"mire.conf:1: treatment unknown greeting min 6s: longer than max 5s (the default); give max too"});
  bad("treatment suspect { greeting { max 4s; } }",
      {"mire.conf:1: treatment suspect greeting max 4s: shorter than min 5s (the default); give min too"});
  bad("treatment suspect { syn-ack { max 100ms; } }",
      {"mire.conf:1: treatment suspect syn-ack max 100ms: shorter than min 200ms (the default); give min too"});
}

TEST(Config, ChecksHoldsTogether) {
  bad("treatment suspect { greeting { max 29500ms; } }",
      {"mire.conf:1: treatment suspect greeting max 29500ms: together with syn-ack max 900ms longer than the limit of "
       "30s "
       "(clients give up); try 29100ms"});
  bad("treatment suspect { syn-ack { max 16s; } }",
      {"mire.conf:1: treatment suspect syn-ack max 16s: together with greeting max 15s longer than the limit of 30s "
       "(clients give up); try 15s"});
  good("treatment suspect { greeting { max 29100ms; } }");
}

TEST(Config, RefusesAHoldThatWouldHaveNoEffect) {
  bad("treatment known { greeting { min 1s; max 2s; } }",
      {"mire.conf:1: treatment known greeting max 2s: this class's greeting is not withheld; add withhold banner;"});
  bad("treatment unknown { greeting { withhold none; max 2s; } }",
      {"mire.conf:1: treatment unknown greeting max 2s: no effect with withhold none; remove one of the two"});
  bad("treatment known { greeting { withhold banner; } }",
      {"mire.conf:1: treatment known greeting withhold banner: for how long is not said; add min 1s; max 5s;"});
  bad("treatment exempt { observe true; }",
      {"mire.conf:1: treatment exempt: exempt sources are never judged; give the treatment to trusted, or remove it"});
}

TEST(Config, ChecksWordsNumbersAndPorts) {
  bad("observe yes;", {"mire.conf:1: observe yes: not known; use true or false"});
  bad("treatment unknown { observe maybe; }",
      {"mire.conf:1: treatment unknown observe maybe: not known; use true or false"});
  bad("treatment unknown { early-talk rest; }",
      {"mire.conf:1: treatment unknown early-talk rest: not known; use reset, reject or count"});
  bad("treatment unknown { flows { concurrent 0; } }",
      {"mire.conf:1: treatment unknown flows concurrent 0: out of range; use 1 to 1000000"});
  bad("ports { fail-mode opn; }", {"mire.conf:1: ports fail-mode opn: not known; use open or closed"});
  bad("ports { wan eth1; lan eth1; }", {"mire.conf:1: ports lan eth1: the same port as wan; the wire has two ends"});
  bad("ports { wan /dev/eth1; }", {"mire.conf:1: ports wan /dev/eth1: no name of a port; write it like eth1"});
  bad("log { file flows.json; }",
      {"mire.conf:1: log file flows.json: not a path from /; write it like /var/log/mire/flows.json, or - for standard "
       "output"});
  EXPECT_EQ(good("log { file \"-\"; }").log_file, "-");
}

TEST(Config, ChecksPenalties) {
  bad("penalty { first 2h; most 1h; }", {"mire.conf:1: penalty first 2h: longer than most 1h; penalties only grow"});
  bad("penalty { first 500ms; }", {"mire.conf:1: penalty first 500ms: shorter than 1s; try 1m"});
  bad("penalty { most 721h; }", {"mire.conf:1: penalty most 721h: longer than the limit of 720h; try 24h"});
}

TEST(Config, ChecksTheTrapsRates) {
  EXPECT_EQ(good("trap { per-source 5; }").trap, (policy::TrapRate{50'000, 5}));
  EXPECT_EQ(good("trap { per-second 1; per-source 1; }").trap, (policy::TrapRate{1, 1}));
  EXPECT_EQ(good("").trap, (policy::TrapRate{50'000, 1000}));
  bad("trap { per-second 0; }", {"mire.conf:1: trap per-second 0: out of range; use 1 to 10000000"});
  bad("trap { per-source 10000001; }", {"mire.conf:1: trap per-source 10000001: out of range; use 1 to 10000000"});
  bad("trap { per-second many; }", {"mire.conf:1: trap per-second many: not a whole number; use 1 to 10000000"});
  bad("trap { per-second 20; per-source 30; }", {"mire.conf:1: trap per-source 30: more than per-second 20; try 20"});
  bad("trap { per-source 60000; }",
      {"mire.conf:1: trap per-source 60000: more than per-second 50000 (the default); try 50000"});
  bad("trap { per-second 20; }",
      {"mire.conf:1: trap per-second 20: less than per-source 1000 (the default); give per-source too"});
  bad("trap { per-minute 20; }", {"mire.conf:1: trap per-minute: not known; use per-second or per-source"});
}

TEST(Config, ChecksTheShapeOfSettings) {
  bad("observe;", {"mire.conf:1: observe: has no value; write observe VALUE;"});
  bad("observe true false;", {"mire.conf:1: observe: more than one value; is a ; missing?"});
  bad("observe { true; }", {"mire.conf:1: observe: takes a value, not a block; write observe VALUE;"});
  bad("ports eth1;", {"mire.conf:1: ports: takes a block; write ports { ... }"});
  bad("treatment { }", {"mire.conf:1: treatment: takes one name and a block; write treatment NAME { ... }"});
}

TEST(Config, SaysWhereTheFileIsNoTree) {
  bad("observe true", {"mire.conf:1: true: the setting has no end; write ; behind it"});
  bad("observe true\n}\n", {"mire.conf:1: true: the setting has no end; write ; behind it"});
  bad("ports {\n wan eth1;\n", {"mire.conf:1: ports: its block has no end; close it with }"});
  bad("\n  }", {"mire.conf:2: } at column 3: no block is open here; remove it"});
  bad("{ }", {"mire.conf:1: { at column 1: a block has no name; write the setting's name before it"});
  bad("ports { ; }", {"mire.conf:1: ; at column 9: there is no setting before it; remove it"});
  bad("/* never closed", {"mire.conf:1: /* at column 1: the comment has no end; close it with */"});
  bad("log { file \"a\n\"; }", {"mire.conf:1: \" at column 12: the quotes have no end on this line; close them"});
  bad(std::string_view("obs\0erve true;", 14),
      {"mire.conf:1: obs\\x00erve at column 1: a control character; remove it"});
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "a {";
  bad(deep, {"mire.conf:1: { at column 27: blocks lie too deep; no setting needs that"});
}

TEST(Config, NeverEndsInTheMiddleOfAFile) {
  // Every truncation of a sound file is either refused in words or was a whole one.
  const std::string whole =
      "ports { wan eth1; } protect 192.0.2.1; treatment unknown { greeting { min 1s; } } log { file \"/a\"; } # end";
  for (size_t n = 0; n <= whole.size(); ++n) {
    const Outcome outcome = parse(std::string_view(whole).substr(0, n), "f");
    EXPECT_NE(outcome.config.has_value(), !outcome.errors.empty()) << n;
  }
}

TEST(Config, ReportsAllErrorsInOrderUpToTen) {
  bad("observe maybe;\nports { wan /; }\nprotect x;\nobserve true;",
      {"mire.conf:1: observe maybe: not known; use true or false",
       "mire.conf:2: ports wan /: no name of a port; write it like eth1",
       "mire.conf:3: protect x: not an address; write it like 203.0.113.25 or 2001:db8::25",
       "mire.conf:4: observe: given twice, first in line 1; keep one"});
  std::string many;
  for (int i = 0; i < 100'000; ++i) many += "protect x;\n";
  EXPECT_EQ(parse(many, "f").errors.size(), kErrorsShown);
}

TEST(Config, IsReadFromAFileWhoseNameItsErrorsCarry) {
  const std::string path = testing::TempDir() + "mire-config-test.conf";
  std::ofstream(path) << "observe maybe;";
  EXPECT_EQ(load(path).errors, (Lines{path + ":1: observe maybe: not known; use true or false"}));
  std::remove(path.c_str());
  EXPECT_EQ(load(path).errors,
            (Lines{path + ": cannot be read: No such file or directory; name a file with --config, or leave it out for "
                          "the defaults"}));
  EXPECT_EQ(load("/").errors.size(), 1u);
}

TEST(Config, RefusesTextsThatNoReplyCanCarry) {
  bad("texts { blocked \"\"; }", {"mire.conf:1: texts blocked: empty; leave it out for the default"});
  bad("texts { blocked \"a\tb\"; }",
      {"mire.conf:1: texts blocked: holds a line break or what is not printable ASCII; one line of plain words"});
  bad("texts {\n silent \"100%\"; }",
      {"mire.conf:2: texts silent: a % that begins neither %address% nor %reason%; write one of the two"});
  bad("texts { silent \"" + std::string(501, 'x') + "\"; }",
      {"mire.conf:1: texts silent: longer than a reply may be (512 bytes); shorten it"});
  bad("texts { blokced \"a\"; }", {"mire.conf:1: texts blokced: not known; did you mean blocked?"});
}

TEST(Config, ReadsATeaserWhereTheGreetingIsDeferred) {
  const Config c =
      good("treatment unknown { greeting { withhold defer; min 1s; max 2s; teaser \"220-mx.example ESMTP\"; } }");
  EXPECT_TRUE(of(c, SourceClass::unknown).teaser);
  EXPECT_EQ(c.teasers[static_cast<size_t>(SourceClass::unknown)], "220-mx.example ESMTP");
  EXPECT_FALSE(of(c, SourceClass::suspect).teaser);
  bad("treatment unknown { greeting { withhold defer; teaser \"220 mx.example\"; } }",
      {"mire.conf:1: treatment unknown greeting teaser 220 mx.example: no first line of a greeting; write it like "
       "\"220-mx.example\""});
  bad("treatment unknown { greeting { withhold banner; teaser \"220-mx.example\"; } }",
      {"mire.conf:1: treatment unknown greeting teaser: only with withhold defer; add it, or remove the teaser"});
}

}  // namespace
}  // namespace mire::config
