#include "dataplane/lcore/pipeline.h"

#include <algorithm>
#include <new>

#include "dataplane/base/prefetch.h"
#include "dataplane/lcore/pipeline_impl.h"

namespace mire::lcore {

using Role = Column::Role;

namespace {
constexpr uint16_t kSmtp = 25;

// Who is the client of a frame with port 25 in it, seen from the side that it came in by?
Role role_of(const wire::Headers& h, Side from) noexcept {
  if (h.kind != wire::FrameKind::tcp) return Role::none;
  if (from == Side::wan && h.destination_port == kSmtp) return Role::client;
  if (from == Side::lan && h.source_port == kSmtp) return Role::server;
  return Role::none;
}

// An error that comes in by wan tells of a segment that a server sent to its client.
bool about_smtp(const wire::Quotation& q, Side from) noexcept {
  return (from == Side::wan ? q.source_port : q.destination_port) == kSmtp;
}
}  // namespace

Pipeline::Impl::Impl(const PipelineOptions& options, Transmitter& out, EventSink& events)
    : options_(options),
      out_(out),
      events_(events),
      lots_(options.seed),
      cookies_(options.cookie_key),
      flows_(options.sizes.flows_v4, options.sizes.flows_v6, (options.sizes.flows_v4 + options.sizes.flows_v6) / 8,
             options.seed ^ 0x666c6f77),
      calendar_(options.sizes.flows_v4 + options.sizes.flows_v6),
      sources_(options.sizes.sources, options.seed ^ 0x736f7572),
      trapped_(options.seed ^ 0x74726170),
      departed_(options.sizes.departed, options.seed ^ 0x676f6e65),
      banners_(options.sizes.banner_bytes, options.seed ^ 0x62616e6e),
      endpoints_(options.sizes.servers, options.seed ^ 0x656e6470),
      paths_(options.sizes.paths, options.seed ^ 0x70617468),
      known_servers_(options.sizes.servers + 1),
      dialogues_(options.sizes.dialogues + 1),
      scratch_(hold::BannerPool::kLargest) {
  MIRE_ASSERT(options.sizes.servers < 65536 && options.sizes.paths < 65536);
  for (uint32_t i = options.sizes.dialogues; i > 0; --i) {
    dialogues_[i].next = free_dialogue_;
    free_dialogue_ = i;
  }
}

const source::Settings* Pipeline::Impl::use(const source::Settings* fresh) {
  const source::Settings* old = settings_;
  settings_ = fresh;
  if (fresh == nullptr) return old;
  const bool reset_strays = resets_strays_;
  treatments_ = fresh->treatments;
  for (auto& t : treatments_) t.observe = t.observe || fresh->observe;
  trap_ = {std::max(1u, fresh->trap.per_second / options_.lcores), fresh->trap.per_source};
  trap_tokens_ = std::min(trap_tokens_, trap_.per_second);
  refuses_alone_ = std::any_of(treatments_.begin(), treatments_.end(), policy::refuses_alone);
  resets_strays_ = std::any_of(treatments_.begin(), treatments_.end(), policy::resets_joined);
  // What was not judged so far has no entry, and while nobody asked nothing was noted of those that were forgotten.
  const bool as_before = std::exchange(judges_, fresh->judges) == fresh->judges;
  if (old == nullptr || !reset_strays || !as_before) went_past();
  for (uint32_t id = 1; id <= endpoints_.capacity(); ++id) {
    ServerFacts& known = known_servers_[id];
    const ServerFacts told = facts_of(endpoints_[id].address);
    known.is_protected = told.is_protected;
    known.early_hello_until = std::max(known.early_hello_until, told.early_hello_until);  // mired may not have heard
    heed(id);
  }
  recall_profiles();
  return old;
}

void Pipeline::Impl::begin_turn(Time now) {
  now_ = now;
  if (!watching_since_ && settings_ != nullptr) watching_since_ = now;
}

// What the settings say of a server, looked up once a commit rather than once a packet.
Pipeline::Impl::ServerFacts Pipeline::Impl::facts_of(const wire::Address& server) const {
  const auto hit = settings_->early_hello_until.find(server);
  ServerFacts facts;
  if (hit != settings_->early_hello_until.end()) facts.early_hello_until = hit->second;
  facts.is_protected = settings_->protects(server);
  return facts;
}

void Pipeline::Impl::process(Burst& burst, Time now) {
  MIRE_ASSERT(burst.count <= kBurst);
  begin_turn(now);
  if (!started_ || now_ms() > calendar_.now_ms() + 1000) expire(now);
  parse(burst);
  look_up();
  for (burst.decided = 0; burst.decided < burst.count; ++burst.decided) {
    FrameRef& f = burst.frames[burst.decided];
    act(f, columns_[burst.decided]);
    if (f.fate == Fate::drop) ++counters_.dropped[static_cast<size_t>(f.from)];
  }
}

// Fills headers, roles and probes. Nothing is asked for here: a prefetch that misses the TLB holds up whatever waits
// for a store to be forwarded (keys are put together from parts), and the burst would go one miss at a time.
void Pipeline::Impl::parse(Burst& burst) {
  smtp_.clear();
  for (size_t i = 0; i < burst.count; ++i) prefetch_line(burst.frames[i].data);
  for (size_t i = 0; i < burst.count; ++i) {
    const FrameRef& f = burst.frames[i];
    Column& c = columns_[i];
    const auto side = static_cast<size_t>(f.from);
    ++counters_.frames_in[side];
    counters_.bytes_in[side] += f.length;

    // In its place: a copy would wait for each of the small stores that make it.
    // (The probe likewise.)
    ::new (&c.headers) wire::Headers(wire::parse(f.bytes()));
  }
  for (size_t i = 0; i < burst.count; ++i) {
    Column& c = columns_[i];
    const wire::Headers& h = c.headers;
    c.role = role_of(h, burst.frames[i].from);
    if (c.role == Role::none) continue;
    const bool client = c.role == Role::client;
    const uint32_t server = endpoints_.find({client ? h.destination : h.source, h.vlan.value});
    c.id = {client ? h.source : h.destination, client ? h.source_port : h.destination_port,
            static_cast<uint16_t>(server)};
    c.handle = flow::kNoFlow;
    if (server == 0) continue;
    ::new (&c.probe) flow::FlowTable::Probe(flows_.probe(c.id));
    smtp_.add(i);
  }
}

// Asks for the buckets; when they have come, for the records in them; and when those have come, for what their next
// step will touch: the source, the calendar's page, the flow that gives way.
void Pipeline::Impl::look_up() {
  for (const size_t i : smtp_) flows_.prefetch(columns_[i].probe);
  elsewhere_.clear();
  for (const size_t i : smtp_) {
    columns_[i].handle = flows_.prefetch_record(columns_[i].probe);
    if (columns_[i].handle == flow::kNoFlow) elsewhere_.add(i);
  }
  for (const size_t i : elsewhere_) columns_[i].handle = flows_.prefetch_elsewhere(columns_[i].probe);
  unsigned holds = 0, begun = 0;
  asking_.clear();
  for (const size_t i : smtp_)
    if (foresee(columns_[i], holds, begun)) asking_.add(i);
  for (const size_t i : asking_) sources_.prefetch(columns_[i].source);
  elsewhere_.clear();
  for (const size_t i : asking_)
    if (!sources_.prefetch_record(columns_[i].source)) elsewhere_.add(i);
  for (const size_t i : elsewhere_) sources_.prefetch_elsewhere(columns_[i].source);
  for (const size_t i : asking_)
    if (columns_[i].deadline_ms != 0) calendar_.prefetch_chunk(columns_[i].deadline_ms);
}

// Settles which flow it is. True: it will ask for its source. A guess, and only worth a cache miss: a frame of the same
// burst may change everything.
bool Pipeline::Impl::foresee(Column& c, unsigned& holds, unsigned& begun) {
  if (c.handle != flow::kNoFlow && !flows_.is(c.handle, c.id)) c.handle = flows_.find(c.id, c.probe);
  const uint8_t flags = c.headers.flags;
  const bool client = c.role == Role::client, fresh = c.handle == flow::kNoFlow;
  const bool proves = client && !fresh && flows_[c.handle].state == State::syn_ack_sent && (flags & wire::kSyn) == 0;
  const bool begins = client && fresh && (flags & wire::kSyn) != 0;
  const bool ends = !fresh && (flags & wire::kRst) != 0;
  if (!proves && !begins && !ends) return false;
  c.source = sources_.probe(c.id.client);
  c.deadline_ms = 0;
  if (begins) flows_.prefetch_oldest(begun++);
  if (!proves) return true;
  const policy::Treatment& t = treatment(flows_[c.handle].source_class);
  if (!policy::withholds(t)) return true;
  c.deadline_ms = deadline_after(hold_of(t.greeting, lots_.peek(holds++)));
  calendar_.prefetch(c.deadline_ms);
  return true;
}

// The flow of a frame, if its look-up still holds good.
flow::Handle Pipeline::Impl::flow_of(const Column& c) const {
  if (c.id.server == 0) return flow::kNoFlow;
  if (c.handle != flow::kNoFlow && flows_.is(c.handle, c.id)) return c.handle;
  return flows_.find(c.id, c.probe);
}

void Pipeline::Impl::act(FrameRef& f, Column& c) {
  f.fate = Fate::forward;
  switch (c.role) {
    case Role::none:
      if (c.headers.kind == wire::FrameKind::malformed) {
        count(Reason::malformed);
      } else if (c.headers.kind == wire::FrameKind::fragment) {
        count(Reason::fragment);
      } else if (c.headers.kind == wire::FrameKind::tcp &&
                 (c.headers.source_port == kSmtp || c.headers.destination_port == kSmtp)) {
        if ((c.headers.flags & wire::kSyn) != 0) clamp_mss(f, c);
        count(Reason::outbound);
      } else if (const auto quoted = wire::quotation(f.bytes(), c.headers); quoted && about_smtp(*quoted, f.from)) {
        on_error(f, c, *quoted);
      } else {
        count(Reason::not_smtp);
      }
      return;
    case Role::client:
    case Role::server:
      if ((c.headers.flags & wire::kSyn) != 0) clamp_mss(f, c);
      break;
  }
  if (settings_ == nullptr) {
    if (!goes_on(c)) {
      count(Reason::not_configured);
      return;
    }
  } else if (c.id.server == 0) {
    // Perhaps it became known since this burst was looked up.
    const wire::Address& server = c.role == Role::client ? c.headers.destination : c.headers.source;
    if (!settings_->protects(server)) {
      count(Reason::not_smtp);
      return;
    }
    c.id.server = static_cast<uint16_t>(endpoints_.find({server, c.headers.vlan.value}));
    if (c.id.server != 0) c.probe = flows_.probe(c.id);
  } else if (!known_servers_[c.id.server].is_protected) {
    count(Reason::not_smtp);
    return;
  }
  if (c.role == Role::client) {
    on_client(f, c);
  } else {
    on_server(f, c);
  }
}

// Before there are settings: a flow that a dataplane before us had met is in numbers that only we can translate.
bool Pipeline::Impl::goes_on(const Column& c) const {
  const Handle h = flow_of(c);
  return h != flow::kNoFlow && outlives(h);
}

// --- the public face -------------------------------------------------------------------------------------------------

Pipeline::Pipeline(const PipelineOptions& o, Transmitter& t, EventSink& e) : impl_(std::make_unique<Impl>(o, t, e)) {}
Pipeline::~Pipeline() = default;

const source::Settings* Pipeline::use(const source::Settings* s) { return impl_->use(s); }
void Pipeline::process(Burst& burst, Time now) { impl_->process(burst, now); }
void Pipeline::expire(Time now) { impl_->expire(now); }
std::optional<Time> Pipeline::next_deadline(Time) const { return impl_->next_deadline(); }
void Pipeline::restore(const defer::Survivor& s, Time now) { impl_->restore(s, now); }
void Pipeline::bypassed() { impl_->bypassed(); }
void Pipeline::went_past() { impl_->went_past(); }
void Pipeline::release_all(Time now) { impl_->release_all(now); }
RoomsInUse Pipeline::rooms_in_use() const { return impl_->rooms_in_use(); }
const Counters& Pipeline::counters() const noexcept { return impl_->counters(); }
std::optional<SourceView> Pipeline::find_source(const wire::Address& a, Time now) const {
  return impl_->find_source(a, now);
}

unsigned owner_of(const wire::Address& client, unsigned lcores, uint64_t seed) noexcept {
  if (lcores <= 1) return 0;
  const uint64_t h = KeyedHash{seed ^ 0x6f776e65}.of(wire::source_of(client));
  return static_cast<unsigned>(((h >> 32) * lcores) >> 32);
}

std::optional<wire::Address> client_of(const FrameRef& f) noexcept {
  const wire::Headers h = wire::parse(f.bytes());
  const bool smtp = h.kind == wire::FrameKind::tcp && (h.source_port == kSmtp || h.destination_port == kSmtp);
  if (!smtp && h.kind != wire::FrameKind::fragment) {
    const auto quoted = wire::quotation(f.bytes(), h);
    if (!quoted || !about_smtp(*quoted, f.from)) return std::nullopt;
    return f.from == Side::wan ? quoted->destination : quoted->source;
  }
  return f.from == Side::wan ? h.source : h.destination;
}

}  // namespace mire::lcore
