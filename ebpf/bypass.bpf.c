/* bypass.bpf.c - closes the wire at tc ingress of both ports: whatever no XDP program took goes out of the other port.
 *
 * It carries everything while no dataplane is attached, and beside a dataplane the few frames that steer passes up. The
 * VLAN tag that the stack has taken off by now stays in the frame's metadata and goes out with it. */
#include <linux/pkt_cls.h>

#include "maps.bpf.h"
#include "parse.bpf.h"

#define VLAN_TAG 4
#define HEADERS_READ 192 /* made linear, so that mire_read may look at them */

static __always_inline struct mire_frame read_frame(struct __sk_buff* skb) {
  __u32 want = skb->len < HEADERS_READ ? skb->len : HEADERS_READ;
  if (skb->data_end - skb->data < want) bpf_skb_pull_data(skb, want); /* if it fails, what is out of reach is opaque */
  return mire_read((void*)(long)skb->data, (void*)(long)skb->data_end, skb->vlan_present ? 1 : 0);
}

/* Only steer lets such a frame through to us while a dataplane lives: it was not bypassed for want of somebody. */
static __always_inline int oversize(struct __sk_buff* skb, struct mire_state* state) {
  __u32 queue = skb->queue_mapping ? skb->queue_mapping - 1 : 0;
  __u32 length = skb->len + (skb->vlan_present ? VLAN_TAG : 0); /* as steer saw it */
  return state->largest_frame && length > state->largest_frame && mire_beats(state, queue);
}

SEC("tc")
int mire_bypass(struct __sk_buff* skb) {
  struct mire_state* state = mire_configured();
  if (!state) return TC_ACT_UNSPEC;
  __u32 side, peer;
  if (skb->ifindex == state->wan_ifindex) {
    side = 0;
    peer = state->lan_ifindex;
  } else if (skb->ifindex == state->lan_ifindex) {
    side = 1;
    peer = state->wan_ifindex;
  } else {
    return TC_ACT_UNSPEC;
  }

  struct mire_frame frame = read_frame(skb);
  if (frame.kind == MIRE_SMTP || frame.kind == MIRE_OPAQUE) {
    if (oversize(skb, state)) {
      mire_count(MIRE_COUNT_OVERSIZE, side);
      return (int)bpf_redirect(peer, 0);
    }
    if (state->fail_closed) {
      mire_count(MIRE_COUNT_REFUSED_TC, side);
      return TC_ACT_SHOT;
    }
    __u32 queue = skb->queue_mapping ? skb->queue_mapping - 1 : 0;
    if (mire_is_kept(state, queue, (void*)(long)skb->data, (void*)(long)skb->data_end, side)) {
      mire_count(MIRE_COUNT_KEPT, side);
      return TC_ACT_SHOT;
    }
    mire_bump_epoch(state);
    mire_count(MIRE_COUNT_BYPASS_TC_SMTP, side);
  }
  mire_count(MIRE_COUNT_BYPASS_TC, side);
  return (int)bpf_redirect(peer, 0);
}

char mire_license[] SEC("license") = "GPL"; /* helpers that ask for it; the source is under the project's licence too */
