/* vlan.bpf.c - makes a Linux without 802.1Q devices a tagged peer: at tc egress frames for 198.19.T.x (or
 * 2001:db8:19:T::x) get a tag, at tc ingress tags come off. T 100: VLAN 100. T 101: VLAN 30 within service tag 20
 * (QinQ). ARP and ND go the same way as what they ask for. For the tests' endpoints alone; no part of the product. */
/* clang-format off */
#include <linux/bpf.h> /* the helpers need its types before them */
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
/* clang-format on */

#define ETH_HEADER 14
#define P_IPV4 0x0800
#define P_ARP 0x0806
#define P_8021Q 0x8100
#define P_8021AD 0x88A8
#define P_IPV6 0x86DD

/* The third group of whom this frame is for, or -1 if that is not a tagged peer. */
static int tagged_network(struct __sk_buff* skb) {
  __u16 type;
  if (bpf_skb_load_bytes(skb, 12, &type, 2)) return -1;
  type = bpf_ntohs(type);
  if (type == P_IPV4 || type == P_ARP) {
    __u8 to[4];
    if (bpf_skb_load_bytes(skb, ETH_HEADER + (type == P_IPV4 ? 16 : 24), to, 4)) return -1;
    return to[0] == 198 && to[1] == 19 ? to[2] : -1;
  }
  if (type != P_IPV6) return -1;
  __u8 to[16];
  if (bpf_skb_load_bytes(skb, ETH_HEADER + 24, to, 16)) return -1;
  if (to[0] == 0xff) {
    /* solicited-node multicast: look at the neighbour solicitation's target */
    if (bpf_skb_load_bytes(skb, ETH_HEADER + 40 + 8, to, 16)) return -1;
  }
  if (to[0] != 0x20 || to[1] != 0x01 || to[2] != 0x0d || to[3] != 0xb8 || to[4] != 0 || to[5] != 0x19) return -1;
  return to[6] << 8 | to[7];
}

SEC("tc/push")
int push(struct __sk_buff* skb) {
  int network = tagged_network(skb);
  if (network == 100 || network == 0x100) {
    bpf_skb_vlan_push(skb, bpf_htons(P_8021Q), 100);
  } else if (network == 101 || network == 0x101) {
    bpf_skb_vlan_push(skb, bpf_htons(P_8021Q), 30);
    bpf_skb_vlan_push(skb, bpf_htons(P_8021AD), 20);
  }
  return TC_ACT_OK;
}

SEC("tc/pop")
int pop(struct __sk_buff* skb) {
  if (skb->vlan_present) bpf_skb_vlan_pop(skb);
  __u16 type;
  if (bpf_skb_load_bytes(skb, 12, &type, 2) == 0 && (type == bpf_htons(P_8021Q) || type == bpf_htons(P_8021AD)))
    bpf_skb_vlan_pop(skb);
  if (skb->vlan_present) bpf_skb_vlan_pop(skb);
  return TC_ACT_OK;
}

char _license[] SEC("license") = "GPL";
