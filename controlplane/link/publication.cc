#include "controlplane/link/publication.h"

namespace mire::link {

std::vector<mailbox::Down> publication(const config::Config& c, const Remembered& remembered) {
  std::vector<mailbox::Down> out;
  out.reserve(1 + policy::kClasses + c.protect.size() + c.members.size() + remembered.early_hellos.size() +
              remembered.penalties.size());
  out.emplace_back(mailbox::Global{c.observe, c.fail_closed, static_cast<uint64_t>(c.penalty_first.count()),
                                   static_cast<uint64_t>(c.penalty_most.count())});
  for (size_t i = 0; i < policy::kClasses; ++i)
    out.emplace_back(mailbox::ClassTreatment{static_cast<policy::SourceClass>(i), c.treatments[i]});
  for (const wire::Address& server : c.protect) out.emplace_back(mailbox::Protect{server});
  for (const config::ClassMember& m : c.members) out.emplace_back(mailbox::ClassPrefix{m.prefix, m.source_class});
  for (const mailbox::EarlyHello& e : remembered.early_hellos) out.emplace_back(e);
  for (const mailbox::Penalty& p : remembered.penalties) out.emplace_back(p);
  return out;
}

}  // namespace mire::link
