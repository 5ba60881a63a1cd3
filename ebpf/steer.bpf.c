/* steer.bpf.c - the wire's fast path (XDP): what is not SMTP goes to the other port inside the kernel, SMTP to the
 * dataplane.
 *
 * Loaded and attached by DPDK's net_af_xdp, once for each port (devarg xdp_prog): it wants the map of sockets called
 * xsks_map, and that one is the port's own. It stays attached when the dataplane dies and then passes everything, or
 * keeps SMTP shut, as set. What it cannot send on by itself it passes up, where bypass at tc ingress carries it. No
 * per-flow state. */
#include "maps.bpf.h"
#include "parse.bpf.h"

struct {
  __uint(type, BPF_MAP_TYPE_XSKMAP);
  __uint(max_entries, MIRE_MAX_QUEUES);
  __type(key, __u32);
  __type(value, __u32);
} xsks_map SEC(".maps");

/* A redirect beyond the port's MTU and one tag is dropped in silence by the kernel, one of several buffers by some
 * drivers: such frames take the longer way over tc. */
static __always_inline int redirectable(struct xdp_md* ctx, struct mire_state* state, __u32 peer,
                                        struct mire_frame frame, __u32 length) {
  if (state->linear_only && length > ctx->data_end - ctx->data) return 0;
  if (frame.tags < 2) return 1;
  __u32 beyond_ethernet = length - ETH_HLEN;
  return bpf_check_mtu(ctx, peer, &beyond_ethernet, -4, 0) == 0;
}

static __always_inline int forward(struct xdp_md* ctx, struct mire_state* state, __u32 side, struct mire_frame frame,
                                   __u32 length, enum mire_count reason) {
  __u32 peer = side ? state->wan_ifindex : state->lan_ifindex;
  if (state->via_user || !redirectable(ctx, state, peer, frame, length)) return XDP_PASS;
  mire_count(reason, side);
  return (int)bpf_redirect(peer, 0);
}

SEC("xdp.frags")
int mire_steer(struct xdp_md* ctx) {
  struct mire_state* state = mire_configured();
  if (!state) return XDP_PASS;
  __u32 side;
  if (ctx->ingress_ifindex == state->wan_ifindex)
    side = 0;
  else if (ctx->ingress_ifindex == state->lan_ifindex)
    side = 1;
  else
    return XDP_PASS;

  struct mire_frame frame = mire_read((void*)(long)ctx->data, (void*)(long)ctx->data_end, 0);
  __u32 length = (__u32)bpf_xdp_get_buff_len(ctx);
  if (frame.kind == MIRE_OTHER && !state->via_user)
    return forward(ctx, state, side, frame, length, MIRE_COUNT_REDIRECTED);

  __u32 queue = ctx->rx_queue_index;
  if (mire_beats(state, queue) && bpf_map_lookup_elem(&xsks_map, &queue)) {
    if (state->largest_frame && length > state->largest_frame)
      return forward(ctx, state, side, frame, length, MIRE_COUNT_OVERSIZE);
    mire_count(MIRE_COUNT_TO_XSK, side);
    return (int)bpf_redirect_map(&xsks_map, queue, XDP_PASS);
  }

  /* The other side's numbers in an error are harmless: who gets it does not believe it (RFC 5927 4.1). */
  if (frame.kind == MIRE_ABOUT) return forward(ctx, state, side, frame, length, MIRE_COUNT_REDIRECTED);
  if (frame.kind == MIRE_OTHER) return XDP_PASS; /* via_user: nobody carries it but tc */
  if (state->fail_closed) {
    mire_count(MIRE_COUNT_REFUSED, side);
    return XDP_DROP;
  }
  if (mire_is_kept(state, queue, (void*)(long)ctx->data, (void*)(long)ctx->data_end, side)) {
    mire_count(MIRE_COUNT_KEPT, side);
    return XDP_DROP;
  }
  mire_bump_epoch(state);
  return forward(ctx, state, side, frame, length, MIRE_COUNT_BYPASSED);
}

char mire_license[] SEC("license") = "GPL"; /* helpers that ask for it; the source is under the project's licence too */
