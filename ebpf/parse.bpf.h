/* parse.bpf.h - is a frame TCP/25, an error about it, something else, or beyond what we read here?
 *
 * Shared by steer (XDP) and bypass (tc). Reads forward over the linear part of a frame and answers one question;
 * whatever it cannot answer with certainty is opaque and goes where TCP/25 goes: never round the gate. The whole truth
 * about a frame is dataplane/wire's. */
#ifndef MIRE_EBPF_PARSE_BPF_H
#define MIRE_EBPF_PARSE_BPF_H

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>

#include "kern_user.h"

#define MIRE_SMTP_PORT 25
#define MIRE_TAGS_READ 2       /* deeper VLAN stacks are opaque */
#define MIRE_EXTENSIONS_READ 6 /* longer IPv6 chains are opaque */
#define MIRE_ETH_P_QINQ_OLD 0x9100
#define MIRE_IPV4_FRAGMENT 0x3fff /* more fragments, or an offset */
#define MIRE_IPV6_OFFSET 0xfff8

enum mire_kind {
  MIRE_OTHER,  /* certainly not TCP/25 */
  MIRE_SMTP,   /* a whole TCP segment from or to port 25 */
  MIRE_OPAQUE, /* may be: a fragment of TCP, TCP behind IPv4 options or IPv6 extension headers, a deep tag stack, a
                  frame that ends too soon */
  MIRE_ABOUT,  /* an ICMP error that quotes TCP/25: the dataplane may have its numbers to translate back */
};

struct mire_frame {
  enum mire_kind kind;
  __u32 tags; /* VLAN tags read, those in metadata included */
};

struct mire_vlan {
  __be16 tci;
  __be16 inner_type;
};

struct mire_tcp_ports {
  __be16 source;
  __be16 destination;
};

/* linux/icmp.h wants libc's headers. */
struct mire_icmp {
  __u8 type;
  __u8 code;
  __be16 checksum;
  __be32 word;
};
enum mire_icmp_type { MIRE_ICMP_UNREACHABLE = 3, MIRE_ICMP_TIME_EXCEEDED = 11, MIRE_ICMP_PARAMETER = 12 };
enum mire_icmp6_type { MIRE_ICMP6_UNREACHABLE = 1, MIRE_ICMP6_PARAMETER = 4 }; /* 2 and 3 between them count too */

struct mire_ipv6_extension {
  __u8 next;
  __u8 length;
  __be16 offset_and_more; /* fragment header only */
  __be32 id;
};

static __always_inline enum mire_kind mire_read_ports(void* at, void* end) {
  struct mire_tcp_ports* tcp = at;
  if ((void*)(tcp + 1) > end) return MIRE_OPAQUE;
  return tcp->source == bpf_htons(MIRE_SMTP_PORT) || tcp->destination == bpf_htons(MIRE_SMTP_PORT) ? MIRE_SMTP
                                                                                                   : MIRE_OTHER;
}

/* What is quoted behind `at`: ports stand in its first eight bytes wherever it is cut. Of what is rare (fragments, IPv6
 * extension headers) nothing is known, and the error goes its way. */
static __always_inline enum mire_kind mire_read_quoted_ports(void* at, void* end) {
  return mire_read_ports(at, end) == MIRE_SMTP ? MIRE_ABOUT : MIRE_OTHER;
}

static __always_inline enum mire_kind mire_read_error4(void* at, void* end) {
  struct mire_icmp* icmp = at;
  struct iphdr* ip = at + sizeof(*icmp);
  if ((void*)(ip + 1) > end || ip->version != 4 || ip->protocol != IPPROTO_TCP) return MIRE_OTHER;
  if (icmp->type != MIRE_ICMP_UNREACHABLE && icmp->type != MIRE_ICMP_TIME_EXCEEDED && icmp->type != MIRE_ICMP_PARAMETER)
    return MIRE_OTHER;
  if (ip->ihl != 5) return MIRE_ABOUT; /* with options: perhaps */
  return mire_read_quoted_ports(ip + 1, end);
}

static __always_inline enum mire_kind mire_read_error6(void* at, void* end) {
  struct mire_icmp* icmp = at;
  struct ipv6hdr* ip = at + sizeof(*icmp);
  if ((void*)(ip + 1) > end || ip->version != 6 || ip->nexthdr != IPPROTO_TCP) return MIRE_OTHER;
  if (icmp->type < MIRE_ICMP6_UNREACHABLE || icmp->type > MIRE_ICMP6_PARAMETER) return MIRE_OTHER;
  return mire_read_quoted_ports(ip + 1, end);
}

static __always_inline enum mire_kind mire_read_ipv4(void* at, void* end) {
  struct iphdr* ip = at;
  if ((void*)(ip + 1) > end || ip->version != 4) return MIRE_OPAQUE;
  if (ip->protocol == IPPROTO_ICMP && ip->ihl == 5 && !(ip->frag_off & bpf_htons(MIRE_IPV4_FRAGMENT)))
    return mire_read_error4(ip + 1, end);
  if (ip->protocol != IPPROTO_TCP) return MIRE_OTHER; /* whatever its options: they cannot turn it into TCP */
  if (ip->ihl != 5 || ip->frag_off & bpf_htons(MIRE_IPV4_FRAGMENT)) return MIRE_OPAQUE;
  return mire_read_ports(ip + 1, end);
}

/* A chain is walked only to learn that no TCP is at its end (MLD comes behind hop-by-hop options). */
static __always_inline enum mire_kind mire_read_ipv6(void* at, void* end) {
  struct ipv6hdr* ip = at;
  if ((void*)(ip + 1) > end || ip->version != 6) return MIRE_OPAQUE;
  if (ip->nexthdr == IPPROTO_TCP) return mire_read_ports(ip + 1, end);
  if (ip->nexthdr == IPPROTO_ICMPV6) return mire_read_error6(ip + 1, end);
  __u8 next = ip->nexthdr;
  at = ip + 1;
#pragma unroll
  for (int i = 0; i < MIRE_EXTENSIONS_READ; i++) {
    struct mire_ipv6_extension* extension = at;
    switch (next) {
      case IPPROTO_TCP: return MIRE_OPAQUE;
      case IPPROTO_HOPOPTS:
      case IPPROTO_ROUTING:
      case IPPROTO_DSTOPTS:
      case IPPROTO_MH:
      case 139: /* HIP */
      case 140: /* Shim6 */
        if ((void*)(extension + 1) > end) return MIRE_OPAQUE;
        at += ((__u32)extension->length + 1) * 8;
        break;
      case IPPROTO_AH:
        if ((void*)(extension + 1) > end) return MIRE_OPAQUE;
        at += ((__u32)extension->length + 2) * 4;
        break;
      case IPPROTO_FRAGMENT:
        if ((void*)(extension + 1) > end) return MIRE_OPAQUE;
        /* Behind a later fragment's header stands data. What it is a fragment of, only the first one's chain can tell.
         */
        if (extension->offset_and_more & bpf_htons(MIRE_IPV6_OFFSET)) {
          switch (extension->next) {
            case IPPROTO_TCP:
            case IPPROTO_HOPOPTS:
            case IPPROTO_ROUTING:
            case IPPROTO_DSTOPTS:
            case IPPROTO_MH:
            case IPPROTO_AH:
            case 139:
            case 140: return MIRE_OPAQUE;
            default: return MIRE_OTHER;
          }
        }
        at += sizeof(*extension);
        break;
      default: return MIRE_OTHER; /* UDP, ICMPv6, ESP, no next header, ... */
    }
    next = extension->next;
  }
  return MIRE_OPAQUE;
}

/* `tags` were taken off the frame before we saw it. */
static __always_inline struct mire_frame mire_read(void* at, void* end, __u32 tags) {
  struct mire_frame frame = {.kind = MIRE_OPAQUE, .tags = tags};
  struct ethhdr* ethernet = at;
  if ((void*)(ethernet + 1) > end) return frame;
  __be16 type = ethernet->h_proto;
  at = ethernet + 1;
#pragma unroll
  for (int i = 0; i <= MIRE_TAGS_READ; i++) {
    if (type != bpf_htons(ETH_P_8021Q) && type != bpf_htons(ETH_P_8021AD) && type != bpf_htons(MIRE_ETH_P_QINQ_OLD))
      break;
    struct mire_vlan* vlan = at;
    if (++frame.tags > MIRE_TAGS_READ || (void*)(vlan + 1) > end) return frame;
    type = vlan->inner_type;
    at = vlan + 1;
  }
  if (type == bpf_htons(ETH_P_IP))
    frame.kind = mire_read_ipv4(at, end);
  else if (type == bpf_htons(ETH_P_IPV6))
    frame.kind = mire_read_ipv6(at, end);
  else
    frame.kind = MIRE_OTHER;
  return frame;
}

/* Of plain TCP/25 the flow. `side` 0: it came in by wan. 0: not plain, or neither way of a judged connection. */
static __always_inline int mire_read_flow(void* at, void* end, __u32 side, struct mire_flow* flow) {
  struct ethhdr* ethernet = at;
  if ((void*)(ethernet + 1) > end) return 0;
  __be16 type = ethernet->h_proto;
  at = ethernet + 1;
#pragma unroll
  for (int i = 0; i < MIRE_TAGS_READ; i++) {
    if (type != bpf_htons(ETH_P_8021Q) && type != bpf_htons(ETH_P_8021AD) && type != bpf_htons(MIRE_ETH_P_QINQ_OLD))
      break;
    struct mire_vlan* vlan = at;
    if ((void*)(vlan + 1) > end) return 0;
    type = vlan->inner_type;
    at = vlan + 1;
  }
  __u32* client = side ? flow->server : flow->client; /* the source, seen from here */
  __u32* server = side ? flow->client : flow->server;
  if (type == bpf_htons(ETH_P_IP)) {
    struct iphdr* ip = at;
    if ((void*)(ip + 1) > end || ip->protocol != IPPROTO_TCP || ip->ihl != 5) return 0;
    client[0] = client[1] = server[0] = server[1] = 0;
    client[2] = server[2] = bpf_htonl(0xffff);
    client[3] = ip->saddr;
    server[3] = ip->daddr;
    at = ip + 1;
  } else if (type == bpf_htons(ETH_P_IPV6)) {
    struct ipv6hdr* ip = at;
    if ((void*)(ip + 1) > end || ip->nexthdr != IPPROTO_TCP) return 0;
    __builtin_memcpy(client, &ip->saddr, 16);
    __builtin_memcpy(server, &ip->daddr, 16);
    at = ip + 1;
  } else {
    return 0;
  }
  struct tcphdr* tcp = at;
  if ((void*)(tcp + 1) > end) return 0;
  if ((side ? tcp->source : tcp->dest) != bpf_htons(MIRE_SMTP_PORT)) return 0;
  flow->client_port = side ? tcp->dest : tcp->source;
  flow->is_syn = tcp->syn;
  return 1;
}

/* Does it wait for the dataplane's successor? */
static __always_inline int mire_is_kept(struct mire_state* state, __u32 queue, void* at, void* end, __u32 side) {
  __u64 index = queue;
  barrier_var(index);
  if (index >= MIRE_MAX_QUEUES) return 0;
  __u64 beat = *(volatile __u64*)&state->heartbeat_ns[index];
  if ((__s64)(bpf_ktime_get_ns() - beat) > (__s64)MIRE_SUCCESSOR_NS) return 0;
  struct mire_flow flow;
  if (!mire_read_flow(at, end, side, &flow) || flow.is_syn) return 0;
  __u64 place = mire_kept_index(state->kept_key, &flow);
  barrier_var(place);
  if (place >= MIRE_KEPT) return 0;
  return *(volatile __u8*)&state->kept[place] != 0;
}

#endif
