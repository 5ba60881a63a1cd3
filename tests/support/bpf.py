"""bpf - the few bpf(2) commands that a bench needs: tiny XDP programs, written as instructions, and frames sent from the kernel.

`send` runs a program on live frames (BPF_PROG_TEST_RUN with BPF_F_TEST_XDP_LIVE_FRAMES): the fastest generator without a card.
Everything acts in the network namespace in which the calling thread stands, and goes when its descriptor is closed.
"""

import ctypes
import os
import platform
import struct

PROG_LOAD, PROG_TEST_RUN, LINK_CREATE = 5, 10, 28
PROG_TYPE_XDP, ATTACH_XDP, LIVE_FRAMES = 6, 37, 1 << 1
XDP_DROP, XDP_PASS = 1, 2
_CALL = {"x86_64": 321, "aarch64": 280}
_libc = ctypes.CDLL(None, use_errno=True)


def _bpf(command, attributes):
    buffer = ctypes.create_string_buffer(attributes, max(len(attributes), 128))
    done = _libc.syscall(_CALL[platform.machine()], command, buffer, len(buffer))
    if done < 0:
        raise OSError(ctypes.get_errno(), f"bpf({command}): {os.strerror(ctypes.get_errno())}")
    return done


def _load(*instructions):
    code = ctypes.create_string_buffer(b"".join(struct.pack("<BBhi", *one) for one in instructions), 8 * len(instructions))
    text = ctypes.create_string_buffer(b"GPL\0")
    return _bpf(PROG_LOAD, struct.pack("<IIQQ", PROG_TYPE_XDP, len(instructions), ctypes.addressof(code), ctypes.addressof(text)))


def verdict(action):
    """A program that gives every frame the same."""
    return _load((0xB7, 0, 0, action), (0x95, 0, 0, 0))


def redirect(ifindex):
    """bpf_redirect(ifindex, 0)"""
    return _load((0xB7, 1, 0, ifindex), (0xB7, 2, 0, 0), (0x85, 0, 0, 23), (0x95, 0, 0, 0))


def attach(program, ifindex):
    """The interface has the program as long as the descriptor that this gives is open."""
    return _bpf(LINK_CREATE, struct.pack("<IIII", program, ifindex, ATTACH_XDP, 0))


def send(program, frame, count, batch=64):
    """`count` copies of `frame`, each given to `program`, which redirects it."""
    data = ctypes.create_string_buffer(frame, len(frame))
    context = ctypes.create_string_buffer(struct.pack("<IIIIII", 0, len(frame), 0, 0, 0, 0), 24)
    _bpf(PROG_TEST_RUN, struct.pack("<IIIIQQIIIIQQIII", program, 0, len(frame), 0, ctypes.addressof(data), 0, count, 0, 24, 0,
                                    ctypes.addressof(context), 0, LIVE_FRAMES, 0, batch))
