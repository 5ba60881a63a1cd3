// met_flow.h - what a fuzzer knows of a stranger whom the gateway met itself, and what must be true of it.
//
// It sees the frames that go in and come out, never the gateway's inside. Where it cannot tell whether the gateway
// still keeps the flow (a reset, frames past us, a frame that got no buffer) it asks for nothing more until the next
// handshake.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "tests/support/gateway.h"

namespace mire::test {

[[noreturn]] inline void broken(const char* what) {
  std::fprintf(stderr, "property broken: %s\n", what);
  std::abort();
}

class MetFlow {
 public:
  // Numbers as the client was told them, and as the server counts once it was dialled.
  [[nodiscard]] bool dialled() const { return stage_ == Stage::dialled || stage_ == Stage::joined; }
  [[nodiscard]] SeqNo told_isn() const { return told_isn_; }
  [[nodiscard]] bool met() const { return stage_ != Stage::unknown; }
  void lose_sight() { stage_ = Stage::unknown; }

  // A frame of this flow, as it went in.
  void enters(Side from, const wire::Headers& h, std::string_view payload) {
    const uint8_t flags = h.flags;
    server_speaks_ = from == Side::lan;
    asks_ = from == Side::wan && (flags & wire::kSyn) != 0;
    if (from == Side::wan) {
      const bool whole = stage_ >= Stage::greeted && !payload.empty() && (flags & wire::kAck) != 0 &&
                         (flags & (wire::kRst | wire::kSyn)) == 0 && h.ack == told_isn_ + 1 + told_length();
      if (whole && h.seq <= client_isn_ + 1) {
        const auto before = static_cast<size_t>(client_isn_ + 1 - h.seq);
        if (before < payload.size()) spoken_.emplace_back(payload.substr(before));
      }
      if ((flags & wire::kRst) != 0) lose_sight();
      if ((flags & wire::kFin) != 0 && stage_ != Stage::joined && stage_ != Stage::dialled) closing_ = true;
      client_fin_ |= (flags & wire::kFin) != 0;
    } else {
      server_fin_ |= (flags & wire::kFin) != 0;
      if ((flags & wire::kRst) != 0 && dialled()) over_ = true;
      if ((flags & wire::kSyn) != 0 && stage_ == Stage::joined) over_ = true;
    }
  }

  // All that it made us send was seen.
  void settled() { asks_ = server_speaks_ = false; }

  // One that the gateway made.
  void sent(const Sent& s) {
    const uint8_t flags = s.h.flags;
    if (s.to == Side::wan) {
      if ((flags & wire::kSyn) != 0) {
        const bool same = stage_ == Stage::met && told_isn_ == s.h.seq && client_isn_ == s.h.ack - 1;
        if (same) return;
        const bool asked = asks_;
        *this = {};
        if (!asked) return;  // the server's own, which was held
        stage_ = Stage::met;
        told_isn_ = s.h.seq;
        client_isn_ = s.h.ack - 1;
        return;
      }
      if (stage_ == Stage::unknown) return;
      if ((flags & wire::kRst) != 0 || (flags & wire::kFin) != 0) closing_ = true;
      if (s.h.payload_length == 0 || (flags & wire::kFin) != 0) return;  // an ACK; or a reply of ours, and the end
      if (stage_ == Stage::joined) broken("we spoke in a dialogue");
      greeting_goes_out(s);
      return;
    }
    if (stage_ == Stage::unknown) return;
    if ((flags & wire::kSyn) != 0) {
      if (stage_ < Stage::greeted || spoken_.empty()) broken("dialled for somebody who has not spoken in turn");
      if (s.h.seq != client_isn_) broken("dialled with another number than the client's");
      if (stage_ == Stage::joined) broken("dialled again in a dialogue");
      stage_ = Stage::dialled;
      return;
    }
    if (!dialled() && server_speaks_ && s.has(wire::kRst)) return;  // to what it has of an older one of this name
    if (!dialled()) broken("the server heard of a stranger who was not dialled for");
    if (s.h.payload_length == 0) return;
    if (stage_ == Stage::joined) broken("the first words went on twice");
    if (s.h.seq != client_isn_ + 1) broken("the first words have another place than the client's");
    bool said = false;
    for (const auto& words : spoken_) said = said || words == s.text();
    if (!said) broken("the server got words that nobody said in turn");
    shift_ = static_cast<uint32_t>((told_isn_ + 1 + told_length()) - s.h.ack);
    stage_ = Stage::joined;
  }

  // One that went on: as it went in, and as it came out.
  void went_on(Side from, const wire::Headers& in, std::string_view said, const Sent& out) {
    if (stage_ == Stage::unknown || closing_) return;
    if (stage_ < Stage::greeted) return;  // perhaps forgotten before its proof
    if (stage_ != Stage::joined) {
      if ((in.flags & wire::kSyn) != 0) return;  // perhaps a new flow: its handshake will tell
      broken(from == Side::wan ? "a segment reached the server before the first command was in turn"
                               : "a segment of the server's own numbers reached a stranger");
    }
    if ((in.flags & wire::kSyn) != 0) return;  // its data and some options are taken off
    if (!same_words(from, said, out.text())) broken("a translated stream was changed");
    if (over_ || (client_fin_ && server_fin_)) return;
    const bool acks = (in.flags & wire::kAck) != 0;
    const bool right = from == Side::wan ? out.h.seq == in.seq && out.h.ack == (acks ? in.ack - shift_ : in.ack)
                                         : out.h.seq == in.seq + shift_ && out.h.ack == in.ack;
    if (!right) broken("a translated segment has another place in its stream");
  }

 private:
  enum class Stage { unknown, met, greeted, dialled, joined };

  // PIPECONNECT is overwritten in a server's EHLO reply.
  static bool same_words(Side from, std::string_view in, std::string_view out) {
    if (in.size() != out.size()) return false;
    for (size_t i = 0; i < in.size(); ++i)
      if (in[i] != out[i] && (from == Side::wan || out[i] != 'X')) return false;
    return true;
  }
  [[nodiscard]] uint32_t told_length() const { return static_cast<uint32_t>(told_.size()); }

  void greeting_goes_out(const Sent& s) {
    const auto at = static_cast<size_t>(s.h.seq - (told_isn_ + 1));
    const std::string text = s.text();
    if (!whole_ && at == told_.size()) {
      told_ += text;
      whole_ = (s.h.flags & wire::kPsh) != 0;
      if (whole_) stage_ = Stage::greeted;
      return;
    }
    if (at > told_.size() || told_.compare(at, text.size(), text) != 0) broken("a second greeting");
  }

  Stage stage_ = Stage::unknown;
  SeqNo told_isn_;
  SeqNo client_isn_;
  std::string told_;  // the greeting
  bool whole_ = false;
  std::vector<std::string> spoken_;  // first words, said in turn
  uint32_t shift_ = 0;
  bool closing_ = false;
  bool over_ = false;
  bool server_speaks_ = false;  // now
  bool asks_ = false;
  bool client_fin_ = false;
  bool server_fin_ = false;
};

}  // namespace mire::test
