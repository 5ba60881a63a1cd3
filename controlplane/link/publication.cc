#include "controlplane/link/publication.h"

namespace mire::link {

namespace {

void put_text(std::vector<mailbox::Down>& out, size_t which, std::string_view text) {
  for (size_t at = 0; at < text.size(); at += mailbox::kPieceBytes)
    out.emplace_back(mailbox::TextPart{static_cast<uint8_t>(which), mailbox::piece_of(text, at)});
}

}  // namespace

std::vector<mailbox::Down> publication(const config::Config& c, const Remembered& remembered) {
  static const config::Server kNothing;
  std::vector<mailbox::Down> out;
  out.reserve(1 + policy::kClasses + c.protect.size() + c.members.size() + remembered.early_hellos.size() +
              remembered.penalties.size() + remembered.profiles.size());
  out.emplace_back(mailbox::Global{c.observe, c.fail_closed, static_cast<uint64_t>(c.penalty_first.count()),
                                   static_cast<uint64_t>(c.penalty_most.count()), c.trap});
  for (size_t i = 0; i < policy::kClasses; ++i)
    out.emplace_back(mailbox::ClassTreatment{static_cast<policy::SourceClass>(i), c.treatments[i]});
  for (const wire::Address& server : c.protect) {
    const auto more = c.servers.find(server);
    const config::Server& said = more == c.servers.end() ? kNothing : more->second;
    for (size_t i = 0; i < mailbox::pieces(said.greeting.size()); ++i)
      out.emplace_back(
          mailbox::Protect{server, said.strangers, mailbox::piece_of(said.greeting, i * mailbox::kPieceBytes)});
  }
  for (const config::ClassMember& m : c.members) out.emplace_back(mailbox::ClassPrefix{m.prefix, m.source_class});
  for (size_t i = 0; i < c.texts.size(); ++i) put_text(out, i, c.texts[i]);
  for (size_t i = 0; i < c.teasers.size(); ++i) put_text(out, smtp::kOwnReplies + i, c.teasers[i]);
  for (const mailbox::EarlyHello& e : remembered.early_hellos) out.emplace_back(e);
  for (const mailbox::Penalty& p : remembered.penalties) out.emplace_back(p);
  for (const mailbox::Profile& p : remembered.profiles) out.emplace_back(p);
  return out;
}

}  // namespace mire::link
