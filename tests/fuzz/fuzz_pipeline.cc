// fuzz_pipeline.cc - random segment sequences through the whole pipeline.
//
// The input is a script: each step takes a few bytes and sends a segment of one of a few flows, or lets time pass, or
// changes the settings. Numbers are chosen near the interesting ones, so that handshakes and greetings really happen.
// Held against every run:
//   - every hold ends;
//   - nothing of a flow goes to the server after an early-talk verdict, until the server itself begins anew;
//   - a flow joined mid-stream is never held or reset;
//   - a trusted stream comes out byte for byte as it went in;
//   - what we send is well-formed;
//   - of a stranger whom we meet ourselves: see met_flow.h; every wait of ours ends;
//   - when all flows are gone nothing is in use but what was learned of servers.
#include <cstdlib>

#include "tests/fuzz/met_flow.h"
#include "tests/support/gateway.h"

namespace {

using namespace mire;
using namespace mire::test;

class Script {
 public:
  Script(const uint8_t* data, size_t size) : data_(data), left_(size) {}
  [[nodiscard]] bool done() const { return left_ == 0; }
  uint8_t next() {
    if (left_ == 0) return 0;
    --left_;
    return *data_++;
  }

 private:
  const uint8_t* data_;
  size_t left_;
};

constexpr std::string_view kSayings[] = {"",
                                         "E",
                                         "EHLO a\r\n",
                                         "GET / HTTP/1.0\r\n",
                                         "\x16\x03\x01",
                                         "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n",
                                         "DATA\r\n",
                                         ".\r\n",
                                         "QUIT\r\n",
                                         "STARTTLS\r\n",
                                         "BDAT 3 LAST\r\nabc",
                                         "AUTH LOGIN\r\n"};
constexpr std::string_view kReplies[] = {"",
                                         "220 mx ready\r\n",
                                         "220-mx first\r\n",
                                         "220 second\r\n",
                                         "22",
                                         "421 busy\r\n",
                                         "nonsense\r\n",
                                         "250-mx\r\n250-PIPECONNECT\r\n250 ok\r\n",
                                         "354 go\r\n",
                                         "250 ok\r\n",
                                         "220-",
                                         "\n"};

struct Player {
  Talk talk;
  bool trusted = false;
  bool midstream = false;  // never a SYN of either side
  Time condemned_until{};  // a tombstone's life
  MetFlow met{};
  SeqNo real_isn{500'000};  // the server's own, where we have told the client another
};

constexpr std::string_view kTaught = "220 mx ready\r\n";

uint32_t near(Script& s) {
  static constexpr uint32_t kPlaces[] = {0, 1, 13, 14, 15, 27, 28, 8, 65535, 70000, 0xffffffff, 29};
  const uint8_t b = s.next();
  return (b & 0x80) != 0 ? kPlaces[b % std::size(kPlaces)] : b;
}

class Run {
 public:
  Run(const uint8_t* data, size_t size) : script_(data, size), gw_(options()) {
    const uint8_t mode = script_.next();
    auto& st = gw_.settings();
    st.observe = (mode & 1) != 0;
    if ((mode & 2) != 0) st.protect.insert(address("198.19.0.25"));
    st.classes.set(*wire::parse_prefix("198.18.1.0/24"), policy::SourceClass::trusted);
    st.classes.set(*wire::parse_prefix("198.18.2.0/24"), policy::SourceClass::suspect);
    st.classes.set(*wire::parse_prefix("198.18.3.0/24"), policy::SourceClass::known);
    if ((mode & 4) != 0) {
      for (auto& t : st.treatments) t.pipelining = policy::OnPipelining::reset;
    }
    if ((mode & 16) != 0) st.early_hello_until[address("198.19.0.25")] = gw_.now + std::chrono::hours{1};
    if ((mode & 32) != 0) {
      for (const auto c : {policy::SourceClass::unknown, policy::SourceClass::suspect}) {
        auto& t = st.treatments[static_cast<size_t>(c)];
        t.withhold = policy::Withhold::defer;
        t.greeting = {500, 1500};
        if ((mode & 64) != 0) t.early_talk = policy::OnEarlyTalk::reject;
      }
      st.strangers = {(mode & 128) != 0 ? 1u : 32u, (mode & 64) != 0 ? 1u : 0u};
    }
    gw_.commit();
    if ((mode & 32) != 0) {
      teach("198.18.1.7", "198.19.0.25");
      st.classes.set(*wire::parse_prefix("2001:db8:7::/48"), policy::SourceClass::trusted);
      gw_.commit();
      teach("2001:db8:7::7", "2001:db8:1::25");
    }
    for (const char* client : {"198.18.0.1", "198.18.1.1", "198.18.2.1", "198.18.3.1", "198.18.0.2", "2001:db8::1"}) {
      Talk t{gw_};
      t.client = address(client);
      if (!t.client.is_v4()) t.server = address("2001:db8:1::25");
      t.timestamps = (mode & 8) != 0;
      players_.push_back({t, t.client == address("198.18.1.1"), t.client == address("198.18.0.2"), {}, {}});
    }
  }

  void play() {
    while (!script_.done()) step();
    gw_.now += milliseconds{policy::kHoldCapMs + 1000};
    gw_.pipeline().expire(gw_.now);
    check();
    for (const auto s : {policy::State::syn_ack_held, policy::State::waiting, policy::State::banner_held})
      if (gw_.flows(s) != 0) broken("a hold did not end");
    gw_.out_of_buffers = false;
    let_pass(seconds{200}, seconds{1});
    for (const auto s : {policy::State::deferred, policy::State::invited, policy::State::dialling})
      if (gw_.flows(s) != 0) broken("a wait did not end");
    let_pass(seconds{1100}, seconds{10});
    const lcore::RoomsInUse left = gw_.pipeline().rooms_in_use();
    if (left.flows + left.paths + left.parked + left.dialogues + left.dials != 0)
      broken("something is in use when no flow is left");
    for (const Player& p : players_) {
      const auto source = gw_.pipeline().find_source(p.talk.client, gw_.now);
      if (source && source->live_flows != 0) broken("a source has live flows when there are none");
    }
  }

 private:
  void let_pass(Duration d, Duration by) {
    for (const Time end = gw_.now + d; gw_.now < end;) {
      gw_.now += by;
      gw_.pipeline().expire(gw_.now);
      check();
      gw_.forget();
    }
  }

  // Two dialogues of a trusted client.
  void teach(const char* client, const char* server) {
    for (uint16_t n = 0; n < 2; ++n) {
      Talk t{gw_};
      t.client = address(client);
      t.server = address(server);
      t.port = static_cast<uint16_t>(100 + n);
      t.timestamps = true;
      t.syn({}, {});
      t.syn_ack({});  // as the script's own come
      t.ack();
      t.reply(0, 0, kTaught);
      t.from_client(wire::kRst, 0, 0);
    }
    gw_.forget();
  }

  static lcore::PipelineOptions options() {
    lcore::PipelineOptions o = Gateway::small();
    o.cookie_key = {1, 2, 3};
    o.sizes = {12, 6, 6, 2, 4, 8, 1024};  // rooms that fill
    return o;
  }

  void step() {
    const uint8_t op = script_.next();
    Player& p = players_[(op >> 4) % players_.size()];
    switch (op & 0x0f) {
      case 0:
        gw_.now += milliseconds{script_.next() * 24};
        gw_.pipeline().expire(gw_.now);
        watch();
        break;
      case 1:
        gw_.pipeline().bypassed();
        for (Player& each : players_) each.met.lose_sight();
        break;
      case 2: open(p); break;
      case 3:
        if (!p.midstream) put(p, Side::wan, wire::kSyn, 0xffffffff, 0, script_.next() % 3 == 0 ? "EHLO tfo\r\n" : "");
        break;
      case 4:
        if (!p.midstream) {
          p.talk.client_isn = {script_.next() * 1000u};
          put(p, Side::wan, wire::kSyn, 0xffffffff, 0, "");
        }
        break;
      case 5:
        if (!p.midstream) put(p, Side::lan, wire::kSyn | wire::kAck, 0xffffffff, 0, "");
        break;
      case 6:
        put(p, Side::wan, wire::kAck | (script_.next() % 4 == 0 ? wire::kFin : 0), near(script_), near(script_), "");
        break;
      case 7:
      case 8: {
        const auto said = kSayings[script_.next() % std::size(kSayings)];
        put(p, Side::wan, wire::kAck | wire::kPsh, near(script_), near(script_), said);
        break;
      }
      case 9:
      case 10: {
        const auto said = kReplies[script_.next() % std::size(kReplies)];
        put(p, Side::lan, wire::kAck | (script_.next() % 8 == 0 ? wire::kFin : 0), near(script_), near(script_), said);
        break;
      }
      case 11:
        put(p, script_.next() % 2 == 0 ? Side::wan : Side::lan, wire::kRst, near(script_), near(script_), "");
        break;
      case 12: put(p, Side::wan, script_.next(), near(script_), near(script_), "x"); break;
      case 13:
        put(p, Side::lan, static_cast<uint8_t>(script_.next() & ~wire::kSyn), near(script_), near(script_), "y");
        break;
      case 14: corrupt(p); break;
      case 15:
        gw_.out_of_buffers = script_.next() % 2 == 0;
        for (Player& each : players_) each.met.lose_sight();
        break;
    }
    check();
    gw_.forget();
  }

  void open(Player& p) {
    if (p.midstream) return;
    put(p, Side::wan, wire::kSyn, 0xffffffff, 0, "");
    if (!p.met.met()) put(p, Side::lan, wire::kSyn | wire::kAck, 0xffffffff, 0, "");
    put(p, Side::wan, wire::kAck, 0, 0, "");
    if (!p.met.met()) return;
    // Met by us: so far as the script says.
    const unsigned far = script_.next() % 5;
    if (far < 1) return;
    for (unsigned n = 0; n < 4; ++n) {
      gw_.now += milliseconds{500};
      gw_.pipeline().expire(gw_.now);
      watch();
    }
    put(p, Side::wan, wire::kAck, 0, kTaught.size(), "");
    if (far < 2) return;
    put(p, Side::wan, wire::kAck | wire::kPsh, 0, kTaught.size(), "EHLO a\r\n");
    if (far < 3) return;
    put(p, Side::lan, wire::kSyn | wire::kAck, 0xffffffff, 0, "");
    if (far < 4) return;
    put(p, Side::lan, wire::kAck | wire::kPsh, 0, 0, script_.next() % 2 == 0 ? kTaught : "220 changed, and longer\r\n");
  }

  void put(Player& p, Side from, uint8_t flags, uint32_t seq, uint32_t ack, std::string_view data) {
    const auto& t = p.talk;
    const SeqNo servers = from == Side::lan && p.met.dialled() ? p.real_isn : t.server_isn;
    const SeqNo own = (from == Side::wan ? t.client_isn : servers) + 1 + seq;
    const SeqNo peer = (from == Side::wan ? t.server_isn : t.client_isn) + 1 + ack;
    if (p.midstream) flags = static_cast<uint8_t>(flags & ~wire::kSyn);
    send(p, from, t.frame(from, flags, own, peer, data));
  }

  void send(Player& p, Side from, const std::vector<uint8_t>& frame) {
    const wire::Headers h = wire::parse(frame);
    const size_t forwarded = gw_.forwarded.size();
    const size_t sent = gw_.sent.size();
    const std::string_view said{reinterpret_cast<const char*>(frame.data()) + h.payload, h.payload_length};
    const uint64_t unbuffered = gw_.counted(policy::Reason::no_buffer);
    if (!p.midstream) p.met.enters(from, h, said);
    const Fate fate = gw_.put(from, frame);
    if (gw_.counted(policy::Reason::no_buffer) != unbuffered) p.met.lose_sight();
    watch();
    p.met.settled();
    if (fate == Fate::forward && !p.midstream) p.met.went_on(from, h, said, gw_.forwarded[forwarded]);
    if (p.trusted && fate == Fate::forward && gw_.forwarded[forwarded].frame != frame)
      broken("a trusted stream was changed");
    if (p.trusted && from == Side::lan && fate == Fate::drop) broken("a trusted source's server was dropped");
    if (p.midstream && (fate == Fate::drop || gw_.sent.size() != sent)) broken("a flow joined mid-stream was judged");
    const bool begins = (h.flags & wire::kSyn) != 0;
    if (from == Side::lan && begins && (h.flags & wire::kAck) != 0) p.condemned_until = {};  // held or not: anew
    if (gw_.now < p.condemned_until && from == Side::wan && fate == Fate::forward && !begins)
      broken("speech after an early-talk verdict");
    for (; events_ < gw_.events.size(); ++events_) {
      const auto& e = gw_.events[events_];
      if (e.verdict == policy::Verdict::reset && e.client == p.talk.client) p.condemned_until = gw_.now + seconds{150};
    }
  }

  void corrupt(Player& p) {
    auto f = p.talk.frame(Side::wan, wire::kAck, p.talk.client_isn + 1, p.talk.server_isn + 1, "EHLO\r\n");
    const size_t at = script_.next() % f.size();
    f[at] = static_cast<uint8_t>(f[at] ^ script_.next());
    if (script_.next() % 2 == 0) f.resize(script_.next() % f.size());
    gw_.put(script_.next() % 2 == 0 ? Side::wan : Side::lan, f);
    events_ = gw_.events.size();
    p.met.lose_sight();
    watch();
  }

  // Shows every player what was sent in its flow.
  void watch() {
    for (; watched_ < gw_.sent.size(); ++watched_) {
      const Sent& s = gw_.sent[watched_];
      const bool up = s.to == Side::wan;
      for (Player& p : players_) {
        if ((up ? s.h.destination : s.h.source) != p.talk.client) continue;
        if ((up ? s.h.destination_port : s.h.source_port) != p.talk.port) continue;
        p.met.sent(s);
        if (!p.met.met() || !s.has(wire::kSyn | wire::kAck)) continue;
        p.talk.server_isn = p.met.told_isn();
        p.condemned_until = {};
      }
    }
  }

  void check() {
    watch();
    watched_ = 0;
    for (size_t s = 0; s < policy::kStates; ++s)
      if (gw_.flows(static_cast<policy::State>(s)) > 1000) broken("fewer than no flows in a state");
    for (const auto& s : gw_.sent) {
      if (s.h.kind != wire::FrameKind::tcp) broken("we sent a frame that does not parse");
      if (!wire::checksums_valid(s.frame, s.h)) broken("we sent a wrong checksum");
      if (s.to == Side::lan && s.h.payload_length != 0 && gw_.counted(policy::Reason::dial_welcomed) == 0)
        broken("we spoke to a server");
    }
    events_ = 0;
  }

  Script script_;
  Gateway gw_;
  std::vector<Player> players_;
  size_t events_ = 0;
  size_t watched_ = 0;  // of what was sent
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 2048) return 0;
  Run(data, size).play();
  return 0;
}
