/* kern_user.h - the one truth of what the eBPF programs and the userspace share.
 *
 * Compiled as C for the kernel and as C++ for the loader and the dataplane. Names of maps carry the layout's version:
 * an old map that is still held by an old program is never misread. Everything is in host byte order unless a name says
 * be. */
#ifndef MIRE_EBPF_KERN_USER_H
#define MIRE_EBPF_KERN_USER_H

#include <linux/types.h>

#define MIRE_LAYOUT 2u
#define MIRE_MAX_QUEUES 64u
#define MIRE_HEARTBEAT_STALE_NS 1000000000ull /* a dataplane silent for longer counts as dead */
#define MIRE_SUCCESSOR_NS 30000000000ull /* and so long its successor is waited for, with the flows that it keeps */
#define MIRE_KEPT 262144u                /* a power of two */

/* A flow that we met ourselves is in numbers that only we can translate. While nobody judges, its segments are dropped
 * rather than passed: TCP repeats them to the dataplane that comes back. Two flows may share a place; the other one is
 * then repeated too. Addresses as 16 bytes (IPv4 mapped, RFC 4291 2.5.5.2) and the client's port, in network order. */
struct mire_flow {
  __u32 client[4];
  __u32 server[4];
  __u16 client_port;
  __u16 is_syn; /* begins a connection: that is nobody's yet (not hashed) */
};

static inline __attribute__((always_inline)) __u32 mire_kept_index(__u32 key, const struct mire_flow* f) {
  __u32 h = key ^ f->client_port;
  for (int i = 0; i < 4; i++) {
    h = (h ^ f->client[i]) * 0x9e3779b1u;
    h ^= h >> 15;
    h = (h ^ f->server[i]) * 0x85ebca6bu;
    h ^= h >> 13;
  }
  return h & (MIRE_KEPT - 1);
}

/* Array map "mire_state_v2", one element, BPF_F_MMAPABLE: the dataplane writes it without a system call. What every
 * frame reads stands in the first cache line, apart from what lcores and programs write. Either side looks at layout
 * first. */
struct mire_state {
  __u32 layout;      /* MIRE_LAYOUT */
  __u32 wan_ifindex; /* 0: not configured, the programs pass every frame up */
  __u32 lan_ifindex;
  __u32 fail_closed;   /* 1: TCP/25 is dropped while nobody judges it */
  __u32 ready;         /* 1: somebody judges; 0: redirect everything (but see fail_closed) */
  __u32 via_user;      /* 1: a port cannot be redirected to (no ndo_xdp_xmit): hand every frame to the XSK */
  __u32 linear_only;   /* 1: a port takes no redirected frame of several buffers: pass those up to bypass at tc */
  __u32 largest_frame; /* bytes an XSK takes, 0: any; larger TCP/25 frames are redirected unread and counted */
  __u32 kept_key;      /* of mire_kept_index: random, new with each start */
  __u32 reserved[7];
  __u64 bypass_epoch; /* grows whenever TCP/25 goes past the dataplane for want of somebody at the XSK */
  __u64 reserved_epoch[7];
  __u64 heartbeat_ns[MIRE_MAX_QUEUES]; /* CLOCK_MONOTONIC, by receive queue, written by its lcore; one queue, one lcore
                                          for both ports */
  __u8 kept[MIRE_KEPT]; /* by mire_kept_index: flows that only this dataplane or its successor can carry on */
};

/* Per-CPU array map "mire_counts_v2", __u64: frames, index = reason * 2 + side (0: came in by wan, 1: by lan). */
enum mire_count {
  MIRE_COUNT_REDIRECTED,     /* not ours: redirected to the other port */
  MIRE_COUNT_TO_XSK,         /* handed to the dataplane */
  MIRE_COUNT_BYPASSED,       /* TCP/25, redirected by steer because nobody was there */
  MIRE_COUNT_REFUSED,        /* TCP/25, dropped because nobody was there (fail closed) */
  MIRE_COUNT_OVERSIZE,       /* TCP/25, too large for the XSK: redirected unread */
  MIRE_COUNT_BYPASS_TC,      /* any frame redirected by bypass at tc ingress */
  MIRE_COUNT_BYPASS_TC_SMTP, /* of these, TCP/25 */
  MIRE_COUNT_REFUSED_TC,     /* TCP/25 dropped at tc ingress (fail closed) */
  MIRE_COUNT_KEPT,           /* TCP/25 dropped for a flow that waits for the dataplane's successor */
  MIRE_COUNT_REASONS
};

#define MIRE_STATE_MAP "mire_state_v2"
#define MIRE_COUNTS_MAP "mire_counts_v2"
#define MIRE_STEER_PROGRAM "mire_steer"   /* XDP: names that tell our programs from others'; at most 15 characters */
#define MIRE_BYPASS_PROGRAM "mire_bypass" /* tc ingress */

#ifdef __cplusplus
static_assert(sizeof(struct mire_state) == 128 + 8 * MIRE_MAX_QUEUES + MIRE_KEPT,
              "shared layout: change MIRE_LAYOUT and the map names with it");
#else
_Static_assert(sizeof(struct mire_state) == 128 + 8 * MIRE_MAX_QUEUES + MIRE_KEPT,
               "shared layout: change MIRE_LAYOUT and the map names with it");
#endif

#endif
