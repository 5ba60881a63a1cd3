// kind.h - what can be said for or against a source, and the words for it.
//
// Everything may print kinds; what they are worth is settings'. X(name, side, weight, text): the weight is the default,
// in points for one; bad kinds take points away.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace mire::reputation {

enum class Side : uint8_t { good, bad };

#define MIRE_KINDS(X)                                                                            \
  X(accepted, good, 0.2, "accepted messages")           /* 2xx after the final dot */            \
  X(mail_days, good, 1.0, "days with mail")             /* derived: never observed by itself */  \
  X(patience, good, 0.1, "waited and spoke in turn")    /* while its greeting was withheld */    \
  X(orderly_tls, good, 0.1, "orderly TLS sessions")     /* > 2 kB up, closed by the client */    \
  X(outbound, good, 4.0, "our mail that it accepted")   /* by address, or by its domain's SPF */ \
  X(ham, good, 2.0, "reported as ham")                  /* by outside filters */                 \
  X(gave_up, bad, -0.5, "gave up while held")           /* closed before its greeting came */    \
  X(early_talk, bad, -20.0, "early talk")               /* spoke before it had read */           \
  X(pipelining, bad, -2.0, "unsynchronised pipelining") /* the same for later replies */         \
  X(unknown_recipient, bad, -0.3, "unknown recipients") /* 550, 551, 553 to RCPT */              \
  X(refusal, bad, -2.0, "refused messages")             /* 5xx to MAIL or DATA */                \
  X(spam, bad, -5.0, "reported as spam")                /* by outside filters */                 \
  X(dnsbl, bad, -10.0, "DNSBL weight")                  /* not kept as evidence: a standing */

enum class Kind : uint8_t {
#define X(name, side, weight, text) name,
  MIRE_KINDS(X)
#undef X
};

inline constexpr size_t kKinds = 0
#define X(name, side, weight, text) +1
    MIRE_KINDS(X)
#undef X
    ;
inline constexpr size_t kKept = static_cast<size_t>(Kind::dnsbl);  // kinds that evidence keeps

[[nodiscard]] constexpr size_t index(Kind k) noexcept { return static_cast<size_t>(k); }
[[nodiscard]] constexpr Kind kind_at(size_t i) noexcept { return static_cast<Kind>(i); }
[[nodiscard]] Side side_of(Kind) noexcept;
// The word as operators type it ("early_talk"), and what it stands for ("early talk").
[[nodiscard]] std::string_view to_string(Kind) noexcept;
[[nodiscard]] std::string_view describe(Kind) noexcept;
[[nodiscard]] std::optional<Kind> kind_named(std::string_view) noexcept;

}  // namespace mire::reputation
