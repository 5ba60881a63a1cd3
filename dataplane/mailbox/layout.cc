#include "dataplane/mailbox/layout.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include "dataplane/mailbox/shared_memory.h"

namespace mire::mailbox {
namespace {

// Fields go into a body one behind the other, in native byte order: both ends live on one machine.
class Writer {
 public:
  explicit Writer(std::span<uint8_t> body) noexcept : body_(body) {}
  template <typename T>
  void put(const T& value) noexcept {
    static_assert(std::is_trivially_copyable_v<T>);
    MIRE_ASSERT(sizeof(T) <= body_.size());
    std::memcpy(body_.data(), &value, sizeof(T));
    body_ = body_.subspan(sizeof(T));
  }
  void put_text(std::string_view text) noexcept {
    MIRE_ASSERT(text.size() <= body_.size());
    std::memcpy(body_.data(), text.data(), text.size());
    body_ = body_.subspan(text.size());
  }

 private:
  std::span<uint8_t> body_;
};

// Reads what Writer wrote, remembers the first thing that was wrong, and goes on with harmless values.
class Reader {
 public:
  explicit Reader(std::span<const uint8_t> body) noexcept : body_(body) {}

  template <typename T>
  T get() noexcept {
    MIRE_ASSERT(sizeof(T) <= body_.size());
    T value;
    std::memcpy(&value, body_.data(), sizeof(T));
    body_ = body_.subspan(sizeof(T));
    return value;
  }
  template <typename T>
  T number(const char* what, T low, T high) {
    const T value = get<T>();
    if (value >= low && value <= high) return value;
    wrong(fmt::format("{} is {}, outside {} to {}", what, value, low, high));
    return low;
  }
  bool flag(const char* what) { return number<uint8_t>(what, 0, 1) != 0; }
  template <typename Enum>
  Enum word(const char* what, size_t count) {
    return static_cast<Enum>(number<uint8_t>(what, 0, static_cast<uint8_t>(count - 1)));
  }
  std::string text(size_t length) {
    MIRE_ASSERT(length <= body_.size());
    std::string out(reinterpret_cast<const char*>(body_.data()), length);
    // One line for a log that somebody greps.
    for (char& c : out)
      if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f) c = '?';
    body_ = body_.subspan(length);
    return out;
  }
  void rest_is_zero() {
    if (!std::all_of(body_.begin(), body_.end(), [](uint8_t b) { return b == 0; })) wrong("padding is not zero");
  }
  void wrong(std::string what) {
    if (error_.empty()) error_ = std::move(what);
  }
  template <typename T>
  [[nodiscard]] Result<T> finish(const char* kind, T value) {
    if (error_.empty()) return Result<T>(std::move(value));
    return Error{fmt::format("message {}: {}", kind, error_)};
  }

 private:
  std::span<const uint8_t> body_;
  std::string error_;
};

template <typename Message>
bool head_is_clean(const Message& m) noexcept {
  return std::all_of(std::begin(m.zero), std::end(m.zero), [](uint8_t b) { return b == 0; });
}

void write(Writer& w, const FlowEvent& e) noexcept { w.put(e); }
void write(Writer& w, const Applied& a) noexcept { w.put(a.generation); }
void write(Writer& w, const Refused& r) noexcept {
  const auto text = std::string_view{r.text}.substr(0, kRefusalText);
  w.put(r.generation);
  w.put(static_cast<uint8_t>(text.size()));
  w.put_text(text);
}
void write(Writer& w, const Lost& l) noexcept { w.put(l.count); }
void write(Writer& w, const Piece& p) noexcept {
  w.put(p.total);
  w.put(p.offset);
  w.put(p.bytes);
}
void write(Writer& w, const Profile& p) noexcept {
  w.put(p.server);
  w.put(p.vlan);
  w.put(p.offer.mss);
  w.put(p.offer.window);
  w.put(p.offer.window_scale);
  w.put(p.offer.has_window_scale);
  w.put(p.offer.sack);
  w.put(p.offer.timestamps);
  w.put(p.largest_segment);
  write(w, p.greeting);
}

void write(Writer& w, const Begin& b) noexcept { w.put(b.generation); }
void write(Writer& w, const Global& g) noexcept {
  w.put(g.observe);
  w.put(g.fail_closed);
  w.put(g.penalty_first_ms);
  w.put(g.penalty_most_ms);
  w.put(g.trap.per_second);
  w.put(g.trap.per_source);
}
void write(Writer& w, const ClassTreatment& c) noexcept {
  const policy::Treatment& t = c.treatment;
  w.put(c.source_class);
  w.put(t.syn);
  w.put(t.withhold);
  w.put(t.early_talk);
  w.put(t.pipelining);
  w.put(t.joined);
  w.put(t.judged);
  w.put(t.observe);
  w.put(t.teaser);
  for (const policy::HoldRange hold : {t.syn_ack, t.greeting}) {
    w.put(hold.min_ms);
    w.put(hold.max_ms);
  }
  w.put(t.concurrent);
  w.put(t.per_minute);
}
void write(Writer& w, const Protect& p) noexcept {
  w.put(p.server);
  w.put(p.strangers.concurrent);
  w.put(p.strangers.per_second);
  write(w, p.greeting);
}
void write(Writer& w, const ClassPrefix& c) noexcept {
  w.put(c.prefix.address);
  w.put(c.prefix.length);
  w.put(c.source_class);
}
void write(Writer& w, const EarlyHello& e) noexcept {
  w.put(e.server);
  w.put(e.remaining_seconds);
}
void write(Writer& w, const Penalty& p) noexcept {
  w.put(p.source);
  w.put(p.remaining_seconds);
  w.put(p.since_seconds);
  w.put(p.offences);
}
void write(Writer& w, const TextPart& t) noexcept {
  w.put(t.which);
  write(w, t.piece);
}
void write(Writer& w, const Commit& c) noexcept {
  w.put(c.generation);
  w.put(c.messages);
}

Result<Up> read_flow_event(Reader r) {
  auto e = r.get<FlowEvent>();
  // The enums sit inside the copied struct: look at their bytes, not at values that they may not have.
  const auto within = [&](const char* what, auto field, size_t count) {
    if (static_cast<uint8_t>(field) >= count) r.wrong(fmt::format("{} is {}", what, static_cast<unsigned>(field)));
  };
  within("class", e.source_class, policy::kClasses);
  within("state", e.state, policy::kStates);
  within("verdict", e.verdict, policy::kVerdicts);
  within("reason", e.reason, policy::kReasons);
  within("observed", e.observed, 2);
  within("first bytes' length", e.bytes_length, e.first_bytes.size() + 1);
  within("lcore", e.lcore, kMaxLcores);
  r.rest_is_zero();
  return r.finish<Up>("flow event", e);
}

Result<Up> read_refused(Reader r) {
  Refused refused;
  refused.generation = r.get<uint64_t>();
  const auto length = r.number<uint8_t>("text length", 0, kRefusalText);
  refused.text = r.text(length);
  r.rest_is_zero();
  return r.finish<Up>("refused", std::move(refused));
}

Piece read_piece(Reader& r, uint16_t least) {
  Piece p;
  p.total = r.number<uint16_t>("text's length", least, kMaxGreeting);
  p.offset = r.number<uint16_t>("piece's offset", 0, p.total == 0 ? uint16_t{0} : static_cast<uint16_t>(p.total - 1));
  p.bytes = r.get<decltype(p.bytes)>();
  if (p.offset % kPieceBytes != 0) r.wrong("piece's offset is none");
  const auto used = std::min<size_t>(p.total - p.offset, p.bytes.size());
  if (std::any_of(p.bytes.begin() + static_cast<ptrdiff_t>(used), p.bytes.end(), [](uint8_t b) { return b != 0; }))
    r.wrong("padding is not zero");
  return p;
}

template <typename T>
Result<T> read_profile(Reader r) {
  Profile p;
  p.server = r.get<wire::Address>();
  p.vlan = r.get<uint64_t>();
  p.offer.mss = r.get<uint16_t>();
  p.offer.window = r.get<uint16_t>();
  p.offer.window_scale = r.number<uint8_t>("window scale", 0, wire::kMostWindowScale);
  p.offer.has_window_scale = r.flag("has window scale");
  p.offer.sack = r.flag("SACK");
  p.offer.timestamps = r.flag("timestamps");
  if (!p.offer.has_window_scale && p.offer.window_scale != 0) r.wrong("a window scale that it has not");
  p.largest_segment = r.number<uint16_t>("largest segment", 1, UINT16_MAX);
  p.greeting = read_piece(r, 1);
  r.rest_is_zero();
  return r.finish<T>("profile", p);
}

Result<Down> read_global(Reader r) {
  Global g;
  g.observe = r.flag("observe");
  g.fail_closed = r.flag("fail_closed");
  g.penalty_first_ms = r.number<uint64_t>("first penalty", 1, kPenaltyCapMs);
  g.penalty_most_ms = r.number<uint64_t>("longest penalty", 1, kPenaltyCapMs);
  if (g.penalty_first_ms > g.penalty_most_ms) r.wrong("first penalty is longer than the longest");
  g.trap.per_second = r.number<uint32_t>("the trap's per-second", 1, kTrapRateCap);
  g.trap.per_source = r.number<uint32_t>("the trap's per-source", 1, kTrapRateCap);
  if (g.trap.per_source > g.trap.per_second) r.wrong("the trap sends more to one source than to all");
  r.rest_is_zero();
  return r.finish<Down>("global", g);
}

policy::HoldRange read_hold(Reader& r, const char* what) {
  policy::HoldRange hold;
  hold.min_ms = r.number<uint16_t>(what, 0, policy::kHoldCapMs);
  hold.max_ms = r.number<uint16_t>(what, 0, policy::kHoldCapMs);
  if (hold.min_ms > hold.max_ms) r.wrong(fmt::format("{}: min is above max", what));
  return hold;
}

Result<Down> read_treatment(Reader r) {
  ClassTreatment c;
  policy::Treatment& t = c.treatment;
  c.source_class = r.word<policy::SourceClass>("class", policy::kClasses);
  t.syn = r.word<policy::OnSyn>("on-syn", 5);
  t.withhold = r.word<policy::Withhold>("withhold", 3);
  t.early_talk = r.word<policy::OnEarlyTalk>("early-talk", 3);
  t.pipelining = r.word<policy::OnPipelining>("pipelining", 2);
  t.joined = r.word<policy::OnJoined>("joined", 2);
  t.judged = r.flag("judged");
  t.observe = r.flag("observe");
  t.teaser = r.flag("teaser");
  if (t.teaser && t.withhold != policy::Withhold::defer) r.wrong("a teaser without withhold defer");
  t.syn_ack = read_hold(r, "SYN-ACK hold");
  t.greeting = read_hold(r, "greeting hold");
  if (t.syn_ack.max_ms + uint32_t{t.greeting.max_ms} > policy::kHoldCapMs) r.wrong("holds together exceed the cap");
  t.concurrent = r.number<uint32_t>("concurrent", 0, kFlowLimitCap);
  t.per_minute = r.number<uint32_t>("per-minute", 0, kFlowLimitCap);
  r.rest_is_zero();
  return r.finish<Down>("treatment", c);
}

Result<Down> read_prefix(Reader r) {
  ClassPrefix c;
  c.prefix.address = r.get<wire::Address>();
  c.prefix.length = r.number<uint8_t>("prefix length", 0, c.prefix.address.is_v4() ? 32 : 128);
  c.source_class = r.word<policy::SourceClass>("class", policy::kClasses);
  if (wire::masked(c.prefix.address, c.prefix.length) != c.prefix.address) r.wrong("bits beyond the prefix length");
  r.rest_is_zero();
  return r.finish<Down>("class prefix", c);
}

Result<Down> read_early_hello(Reader r) {
  EarlyHello e;
  e.server = r.get<wire::Address>();
  e.remaining_seconds = r.number<uint32_t>("remaining seconds", 0, kEarlyHelloCapSeconds);
  r.rest_is_zero();
  return r.finish<Down>("early hello", e);
}

Result<Down> read_penalty(Reader r) {
  constexpr auto kCapSeconds = static_cast<uint32_t>(kPenaltyCapMs / 1000);
  Penalty p;
  p.source = r.get<wire::Address>();
  p.remaining_seconds = r.number<uint32_t>("remaining seconds", 1, kCapSeconds);
  p.since_seconds = r.number<uint32_t>("seconds since the offence", 0, kCapSeconds);
  p.offences = r.number<uint32_t>("offences", 1, UINT32_MAX);
  if (wire::source_of(p.source) != p.source) r.wrong("a penalty is kept for a source, not for one of its addresses");
  r.rest_is_zero();
  return r.finish<Down>("penalty", p);
}

Result<Down> read_text_part(Reader r) {
  TextPart t;
  t.which = r.number<uint8_t>("which text", 0, kTexts - 1);
  t.piece = read_piece(r, 1);
  const auto used = std::min<size_t>(t.piece.total - t.piece.offset, t.piece.bytes.size());
  if (!std::all_of(t.piece.bytes.begin(), t.piece.bytes.begin() + static_cast<ptrdiff_t>(used),
                   [](uint8_t c) { return c >= 0x20 && c <= 0x7e; }))
    r.wrong("a text that is not printable ASCII");
  r.rest_is_zero();
  return r.finish<Down>("text part", t);
}

Result<Down> read_begin(Reader r) {
  const Begin begin{r.number<uint64_t>("generation", 1, UINT64_MAX)};
  r.rest_is_zero();
  return r.finish<Down>("begin", begin);
}

Result<Down> read_protect(Reader r) {
  Protect protect;
  protect.server = r.get<wire::Address>();
  protect.strangers.concurrent = r.number<uint32_t>("strangers' concurrent", 1, kFlowLimitCap);
  protect.strangers.per_second = r.number<uint32_t>("strangers' per-second", 0, kFlowLimitCap);
  protect.greeting = read_piece(r, 0);
  r.rest_is_zero();
  return r.finish<Down>("protect", protect);
}

Result<Down> read_commit(Reader r) {
  Commit commit;
  commit.generation = r.number<uint64_t>("generation", 1, UINT64_MAX);
  commit.messages = r.get<uint64_t>();
  r.rest_is_zero();
  return r.finish<Down>("commit", commit);
}

}  // namespace

Piece piece_of(std::string_view text, size_t offset) noexcept {
  MIRE_ASSERT(text.size() <= kMaxGreeting && offset <= text.size());
  Piece p;
  p.total = static_cast<uint16_t>(text.size());
  p.offset = static_cast<uint16_t>(offset);
  const std::string_view part = text.substr(offset, kPieceBytes);
  std::copy(part.begin(), part.end(), p.bytes.begin());
  return p;
}

bool append(std::string& text, const Piece& p) {
  if (p.offset == 0) text.clear();
  if (p.offset != text.size() || p.total < p.offset) return false;
  text.append(reinterpret_cast<const char*>(p.bytes.data()), std::min<size_t>(p.total - p.offset, kPieceBytes));
  return true;
}

std::optional<std::string> ProfileAssembly::take(const Profile& p) {
  if (p.greeting.offset == 0) first_ = p;
  Profile like_first = p;
  like_first.greeting = first_.greeting;
  if (like_first != first_ || p.greeting.total != first_.greeting.total || !append(text_, p.greeting)) return {};
  if (text_.size() != p.greeting.total) return {};
  return std::exchange(text_, {});
}

UpMessage encode(const Up& up) noexcept {
  UpMessage m;
  m.kind = static_cast<uint8_t>(up.index() + 1);  // the variant's order is UpKind's
  Writer w(m.body);
  std::visit([&](const auto& body) { write(w, body); }, up);
  return m;
}

DownMessage encode(const Down& down) noexcept {
  DownMessage m;
  m.kind = static_cast<uint8_t>(down.index() + 1);  // the variant's order is DownKind's
  Writer w(m.body);
  std::visit([&](const auto& body) { write(w, body); }, down);
  return m;
}

Result<Up> decode(const UpMessage& m) {
  if (!head_is_clean(m)) return Error{"message head is not zero"};
  Reader r(m.body);
  if (m.kind == static_cast<uint8_t>(UpKind::flow_event)) return read_flow_event(r);
  if (m.kind == static_cast<uint8_t>(UpKind::refused)) return read_refused(r);
  if (m.kind == static_cast<uint8_t>(UpKind::applied)) {
    const Applied applied{r.get<uint64_t>()};
    r.rest_is_zero();
    return r.finish<Up>("applied", applied);
  }
  if (m.kind == static_cast<uint8_t>(UpKind::lost)) {
    const Lost lost{r.get<uint64_t>()};
    r.rest_is_zero();
    return r.finish<Up>("lost", lost);
  }
  if (m.kind == static_cast<uint8_t>(UpKind::profile)) return read_profile<Up>(r);
  return Error{fmt::format("message of unknown kind {}", m.kind)};
}

Result<Down> decode(const DownMessage& m) {
  if (!head_is_clean(m)) return Error{"message head is not zero"};
  const Reader r(m.body);
  if (m.kind < static_cast<uint8_t>(DownKind::begin) || m.kind > static_cast<uint8_t>(DownKind::commit))
    return Error{fmt::format("message of unknown kind {}", m.kind)};
  switch (static_cast<DownKind>(m.kind)) {
    case DownKind::begin: return read_begin(r);
    case DownKind::global: return read_global(r);
    case DownKind::treatment: return read_treatment(r);
    case DownKind::protect: return read_protect(r);
    case DownKind::class_prefix: return read_prefix(r);
    case DownKind::early_hello: return read_early_hello(r);
    case DownKind::penalty: return read_penalty(r);
    case DownKind::text_part: return read_text_part(r);
    case DownKind::profile: return read_profile<Down>(r);
    case DownKind::commit: return read_commit(r);
  }
  return Error{"message of unknown kind"};
}

Hello own_hello(unsigned lcores) noexcept {
  Hello h;
  h.hello_size = sizeof(Hello);
  h.lcores = lcores;
  h.memory_size = memory_size(lcores);
  h.pid = static_cast<uint32_t>(::getpid());
  return h;
}

Status compare(const Hello& theirs, unsigned lcores) {
  const Hello ours = own_hello(lcores);
  if (theirs.magic != ours.magic || theirs.hello_size != ours.hello_size)
    return Error{"it does not speak Mire's mailbox"};
  if (theirs.layout_version != ours.layout_version)
    return Error{fmt::format("its mailbox layout is {}, ours {}; install mired and mire-dataplane of one release",
                             theirs.layout_version, ours.layout_version)};
  if (theirs.lcores != ours.lcores || theirs.up_slots != ours.up_slots || theirs.down_slots != ours.down_slots ||
      theirs.up_message_size != ours.up_message_size || theirs.down_message_size != ours.down_message_size ||
      theirs.memory_size != ours.memory_size)
    return Error{"its mailbox has other sizes; install mired and mire-dataplane of one release"};
  return success();
}

}  // namespace mire::mailbox
