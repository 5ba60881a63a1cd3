#include "dataplane/smtp/verb.h"

namespace mire::smtp {

const char* name(Verb verb) noexcept {
  switch (verb) {
    case Verb::none: return "none";
    case Verb::helo: return "HELO";
    case Verb::ehlo: return "EHLO";
    case Verb::mail: return "MAIL";
    case Verb::rcpt: return "RCPT";
    case Verb::data: return "DATA";
    case Verb::bdat: return "BDAT";
    case Verb::rset: return "RSET";
    case Verb::vrfy: return "VRFY";
    case Verb::expn: return "EXPN";
    case Verb::turn: return "TURN";
    case Verb::quit: return "QUIT";
    case Verb::noop: return "NOOP";
    case Verb::starttls: return "STARTTLS";
    case Verb::auth: return "AUTH";
    case Verb::other: return "other";
  }
  return "?";
}

bool ends_group(Verb verb) noexcept {
  switch (verb) {
    case Verb::helo:
    case Verb::ehlo:
    case Verb::data:
    case Verb::vrfy:
    case Verb::expn:
    case Verb::turn:
    case Verb::quit:
    case Verb::noop:
    case Verb::starttls:
    case Verb::auth: return true;
    case Verb::none:
    case Verb::mail:
    case Verb::rcpt:
    case Verb::bdat:
    case Verb::rset:
    case Verb::other: return false;
  }
  return false;
}

}  // namespace mire::smtp
