/* maps.bpf.h - the maps of kern_user.h as the programs see them, and what both programs ask of them.
 *
 * Pinned by name: steer takes the maps that introduce_maps() put under the dataplane's private bpffs, bypass those that
 * the loader hands it. */
#ifndef MIRE_EBPF_MAPS_BPF_H
#define MIRE_EBPF_MAPS_BPF_H

/* clang-format off */
#include <linux/bpf.h> /* the helpers need its types before them */
#include <bpf/bpf_helpers.h>
/* clang-format on */

#include "kern_user.h"

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct mire_state);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} mire_state_v2 SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, MIRE_COUNT_REASONS * 2);
  __type(key, __u32);
  __type(value, __u64);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} mire_counts_v2 SEC(".maps");

/* The state, if it is one that we understand and that names two ports. */
static __always_inline struct mire_state* mire_configured(void) {
  __u32 only = 0;
  struct mire_state* state = bpf_map_lookup_elem(&mire_state_v2, &only);
  if (!state || state->layout != MIRE_LAYOUT || !state->wan_ifindex || !state->lan_ifindex) return 0;
  return state;
}

static __always_inline void mire_count(enum mire_count reason, __u32 side) {
  __u32 index = reason * 2 + side;
  __u64* count = bpf_map_lookup_elem(&mire_counts_v2, &index);
  if (count) *count += 1; /* per CPU, and neither program is interrupted by itself on the same port's CPU */
}

/* Signed: a beat may be a little newer than our reading of the clock. */
static __always_inline int mire_beats(struct mire_state* state, __u32 queue) {
  __u64 index = queue;
  barrier_var(index); /* the verifier must see the register checked that is used */
  if (!state->ready || index >= MIRE_MAX_QUEUES) return 0;
  __u64 beat = *(volatile __u64*)&state->heartbeat_ns[index];
  return (__s64)(bpf_ktime_get_ns() - beat) <= (__s64)MIRE_HEARTBEAT_STALE_NS;
}

static __always_inline void mire_bump_epoch(struct mire_state* state) { __sync_fetch_and_add(&state->bypass_epoch, 1); }

#endif
