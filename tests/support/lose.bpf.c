/* lose.bpf.c - loses, doubles or delays segments of TCP port 25 at an endpoint (tc, either way): the n-th of the
 * connection with a certain client port, counted from 1, or some of all. Delayed is what goes to another interface,
 * from which the test brings it back. For the tests' endpoints alone; no part of the product. */
/* clang-format off */
#include <linux/bpf.h> /* the helpers need its types before them */
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
/* clang-format on */

#define DEALT_WITH 25 /* the mark of what comes by again */

enum deed { NOTHING, LOSE, DOUBLE, DELAY };

struct plan {
  __u32 deed;
  __u32 n;     /* which segment; port 0: so many of 65,536, by chance */
  __u32 seen;  /* so far; port 0: the state of chance */
  __u32 done;  /* how often it was done */
  __u32 delay; /* ifindex to which delayed frames go */
  __u32 in;    /* this is an ingress */
};

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 4096);
  __type(key, __u32); /* client's port; 0: whoever has no plan of its own */
  __type(value, struct plan);
} plans SEC(".maps");

/* The client's port, or 0 if this is not mail. */
static __u32 port_of(struct __sk_buff* skb) {
  __u16 type, ports[2];
  __u8 protocol;
  int v4, at;
  if (bpf_skb_load_bytes(skb, 12, &type, 2)) return 0;
  v4 = type == bpf_htons(0x0800);
  if (!v4 && type != bpf_htons(0x86DD)) return 0;
  if (bpf_skb_load_bytes(skb, 14 + (v4 ? 9 : 6), &protocol, 1) || protocol != 6) return 0;
  at = 14 + (v4 ? 20 : 40);
  if (bpf_skb_load_bytes(skb, at, ports, 4)) return 0;
  if (ports[0] == bpf_htons(25)) return bpf_ntohs(ports[1]);
  return ports[1] == bpf_htons(25) ? bpf_ntohs(ports[0]) : 0;
}

SEC("tc/lose")
int lose(struct __sk_buff* skb) {
  __u32 port = port_of(skb), all = 0;
  if (port == 0 || skb->mark == DEALT_WITH) return TC_ACT_OK;
  struct plan* p = bpf_map_lookup_elem(&plans, &port);
  if (p) {
    if (__sync_fetch_and_add(&p->seen, 1) + 1 != p->n) return TC_ACT_OK;
  } else {
    p = bpf_map_lookup_elem(&plans, &all);
    if (!p || (bpf_get_prandom_u32() & 0xffff) >= p->n) return TC_ACT_OK;
  }
  __sync_fetch_and_add(&p->done, 1);
  if (p->deed == LOSE) return TC_ACT_SHOT;
  skb->mark = DEALT_WITH;
  if (p->deed == DELAY) return bpf_redirect(p->delay, 0);
  if (p->deed == DOUBLE) bpf_clone_redirect(skb, skb->ifindex, p->in ? BPF_F_INGRESS : 0);
  return TC_ACT_OK;
}

char _license[] SEC("license") = "GPL";
