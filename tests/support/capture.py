"""capture - pcap files, written and read by hand: what went in and what came out, byte for byte."""

import struct

MICROSECONDS, NANOSECONDS = 0xA1B2C3D4, 0xA1B23C4D


def write(path, frames):
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", MICROSECONDS, 2, 4, 0, 0, 65535, 1))
        for number, frame in enumerate(frames):
            file.write(struct.pack("<IIII", 1_000_000 + number // 1000, number % 1000, len(frame), len(frame)) + frame)


def read(path):
    """The frames in order; a record cut short at the file's end is left out."""
    data, frames, at = path.read_bytes(), [], 24
    assert struct.unpack_from("<I", data)[0] in (MICROSECONDS, NANOSECONDS)
    while at + 16 <= len(data):
        length = struct.unpack_from("<I", data, at + 8)[0]
        if at + 16 + length > len(data):
            break
        frames.append(data[at + 16:at + 16 + length])
        at += 16 + length
    return frames
