// ICMP errors about segments of a server's connection: what they quote is in the numbers of whoever was to get it, and
// their receiver believes only its own.
#include "dataplane/lcore/pipeline_impl.h"

namespace mire::lcore {

void Pipeline::Impl::on_error(FrameRef& f, const Column& c, const wire::Quotation& q) {
  const bool about_server = f.from == Side::wan;
  const wire::Address& server = about_server ? q.source : q.destination;
  const uint32_t endpoint = endpoints_.find({server, c.headers.vlan.value});
  const flow::FlowId id{about_server ? q.destination : q.source, about_server ? q.destination_port : q.source_port,
                        static_cast<uint16_t>(endpoint)};
  const Handle h =
      endpoint == 0 || c.headers.destination != q.source ? flow::kNoFlow : flows_.find(id, flows_.probe(id));
  if (h == flow::kNoFlow) {
    count(Reason::not_smtp);
    return;
  }
  const flow::State32& s = flows_[h];
  if (flow::talks_with_us(s.state)) {
    f.fate = Fate::drop;
    count(Reason::error_of_ours);
    return;
  }
  const auto translation = translation_of(s);
  if (!translation) {
    count(Reason::not_smtp);
    return;
  }
  about_server ? wire::to_servers_own_numbers(f.bytes(), q, *translation)
               : wire::to_clients_own_numbers(f.bytes(), q, *translation);
  count(Reason::error_translated);
}

}  // namespace mire::lcore
