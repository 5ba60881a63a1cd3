"""snapshot - everything about the gateway's two interfaces that a run might change, as one value to compare."""

import json


def take(lab):
    facts = {}
    for port in lab.facts["ports"].values():
        link = json.loads(lab.run("gw", "ip", "-d", "-j", "link", "show", "dev", port).stdout)[0]
        facts[port] = {
            "link": {key: link.get(key) for key in ("flags", "mtu", "qdisc", "promiscuity", "allmulti", "xdp", "address", "num_rx_queues",
                                                    "gso_max_size", "master")},
            "offloads": lab.run("gw", "ethtool", "-k", port).stdout,
            "qdiscs": lab.run("gw", "tc", "qdisc", "show", "dev", port).stdout,
            "filters": [lab.run("gw", "tc", "filter", "show", "dev", port, hook).stdout for hook in ("ingress", "egress")],
            "ipv6": lab.run("gw", "cat", f"/proc/sys/net/ipv6/conf/{port}/disable_ipv6").stdout,
            "addresses": lab.run("gw", "ip", "-o", "addr", "show", "dev", port).stdout,
        }
    return facts
