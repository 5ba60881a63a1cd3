// settings_builder.h - messages of mired become one Settings, whole or not at all.
//
// Runs on the control thread. Each message was validated alone (mailbox/layout.h); here is checked what only their
// sequence shows: begin before commit, counts, one class a treatment, limits. Refuses to know who sent them and who
// uses the result.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "dataplane/base/time.h"
#include "dataplane/mailbox/layout.h"
#include "dataplane/source/settings.h"

namespace mire::lcore {

class SettingsBuilder {
 public:
  // A commit's end. settings == nullptr: refused, for the reason in `refusal`; the settings in use stay.
  struct Outcome {
    uint64_t generation = 0;
    std::unique_ptr<source::Settings> settings;
    std::string refusal;
  };

  // Feeds one message. Nothing: more to come. `now` turns remaining seconds into a time.
  std::optional<Outcome> take(const mailbox::Down&, Time now);

  // Forgets a half-told configuration: the mired that began it is gone.
  void reset() noexcept;

 private:
  void begin(const mailbox::Begin&);
  void refuse(std::string why);
  void add(const mailbox::Global&);
  void add(const mailbox::ClassTreatment&);
  void add(const mailbox::Protect&);
  void add_greeting(const mailbox::Protect&);
  void add(const mailbox::ClassPrefix&);
  void add(const mailbox::EarlyHello&, Time now);
  void add(const mailbox::Penalty&, Time now);
  void add(const mailbox::TextPart&);
  void add(const mailbox::Profile&);
  Outcome commit(const mailbox::Commit&);

  std::unique_ptr<source::Settings> draft_;  // nullptr outside begin and commit
  std::string refusal_;                      // the first thing that was wrong with the draft
  uint64_t messages_ = 0;
  struct Draft {
    std::string text;
    bool begun = false;
    bool whole = false;
  };
  std::array<Draft, mailbox::kTexts> texts_;
  uint32_t prefixes_ = 0;
  // Sums of hashes: the same for the same set, in whatever order it is told.
  uint64_t protected_sum_ = 0;
  uint64_t exempt_sum_ = 0;
  uint64_t other_sum_ = 0;
  uint32_t treated_ = 0;  // bit a class
  mailbox::ProfileAssembly profile_;
  wire::Address greeter_;  // the last protected server, and what has come of its greeting
  std::string greeting_;
  bool greeting_open_ = false;
  bool global_seen_ = false;
};

}  // namespace mire::lcore
