#!/usr/bin/python3
"""dns_responder - a name server for tests, over UDP and TCP, that answers from a table and misbehaves where it is told to.

  dns_responder.py ADDRESS PORT TABLE.json

TABLE: {"name TYPE": [data, ...]} with TXT strings, addresses, "10 mx.example" for MX, {"soa": minimum} for a name without data.
A string instead of a list is a behaviour: "servfail", "refused", "silent", "garbage", or "late SECONDS". "truncate": [...] beside the
table names questions that UDP answers with TC and nothing in it. Names that are not in the table: NXDOMAIN. Prints "ready", then one
line a question: `udp name TYPE`.
"""

import ipaddress
import json
import socket
import struct
import sys
import threading
import time

TYPES = {1: "A", 15: "MX", 16: "TXT", 28: "AAAA", 6: "SOA"}
NUMBERS = {name: number for number, name in TYPES.items()}
TTL = 7200


def wire_name(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.strip(".").split(".")) + b"\0"


def question_of(message):
    labels, at = [], 12
    while message[at]:
        labels.append(message[at + 1:at + 1 + message[at]].decode("ascii", "replace"))
        at += 1 + message[at]
    return ".".join(labels).lower(), struct.unpack(">H", message[at + 1:at + 3])[0], message[12:at + 5]


def data_of(kind, item):
    if kind in ("A", "AAAA"):
        return ipaddress.ip_address(item).packed
    if kind == "MX":
        preference, name = item.split()
        return struct.pack(">H", int(preference)) + wire_name(name)
    pieces = [item[i:i + 255].encode() for i in range(0, len(item), 255)] or [b""]
    return b"".join(bytes([len(piece)]) + piece for piece in pieces)


def reply(message, table, udp):
    name, number, question = question_of(message)
    kind = TYPES.get(number, str(number))
    print("udp" if udp else "tcp", name, kind, flush=True)
    entry = table.get(f"{name} {kind}")
    known = any(key.split()[0] == name for key in table if key != "truncate")
    code, answers, authority, flags = 0, [], [], 0x8580
    if entry is None:
        code = 0 if known else 3
    elif isinstance(entry, dict):
        soa = wire_name("ns.example") + wire_name("root.example") + struct.pack(">5I", 1, 2, 3, 4, entry["soa"])
        authority = [b"\xc0\x0c" + struct.pack(">HHIH", 6, 1, TTL, len(soa)) + soa]
    elif isinstance(entry, list):
        answers = [b"\xc0\x0c" + struct.pack(">HHIH", number, 1, TTL, len(data)) + data
                   for data in (data_of(kind, item) for item in entry)]
        if udp and f"{name} {kind}" in table.get("truncate", []):
            answers, flags = [], flags | 0x0200
    elif entry == "silent":
        return None
    elif entry == "garbage":
        return message[:2] + b"\x85\x80" + b"\xff" * 40
    elif entry.startswith("late "):
        time.sleep(float(entry.split()[1]))
        answers = [b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, TTL, 4) + b"\x7f\0\0\x02"]
    else:
        code = {"servfail": 2, "refused": 5}[entry]
    return message[:2] + struct.pack(">5H", flags | code, 1, len(answers), len(authority), 0) + question + b"".join(answers + authority)


def serve_tcp(listener, table):
    while True:
        peer, _ = listener.accept()
        with peer:
            peer.settimeout(5)
            size = struct.unpack(">H", peer.recv(2))[0]
            answer = reply(peer.recv(size), table, udp=False)
            if answer is not None:
                peer.sendall(struct.pack(">H", len(answer)) + answer)


def main():
    address, port, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    with open(path) as file:
        table = json.load(file)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    udp, tcp = socket.socket(family, socket.SOCK_DGRAM), socket.socket(family, socket.SOCK_STREAM)
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    udp.bind((address, port))
    tcp.bind((address, port))
    tcp.listen()
    threading.Thread(target=serve_tcp, args=(tcp, table), daemon=True).start()
    print("ready", flush=True)

    def one(message, peer):
        answer = reply(message, table, udp=True)
        if answer is not None:
            udp.sendto(answer, peer)

    while True:
        threading.Thread(target=one, args=udp.recvfrom(4096), daemon=True).start()


if __name__ == "__main__":
    main()
