#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""peer.py SOCKET CONSOLE: a harness that comes and goes. Prints TAP. SOCKET is the agent's port, as the
emulator's server, and CONSOLE the file with the kernel's log. Whoever comes after the agent has noticed
that the one before left must hear HELLO first, from the same agent."""
import socket
import struct
import sys
import time

HELLO, STDOUT, EXIT, FAILED, RUN, STDIN, CREDIT, PING = 1, 2, 4, 6, 32, 33, 64, 65
count = 0
full_ports_stay_shut = False


def tap(passed, name, why=""):
    global count
    count += 1
    print(f"{'ok' if passed else 'not ok'} {count} - {name}")
    if not passed and why:
        print(f"# {why}")
    sys.stdout.flush()


def departures(console):
    with open(console, "rb") as file:
        return file.read().count(b"the harness has left")


class Peer:
    def __init__(self, path, timeout=60):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        self.socket.connect(path)

    def send(self, kind, channel, payload=b""):
        self.socket.sendall(struct.pack("<IHH", len(payload), kind, channel) + payload)

    def bytes(self, length):
        data = b""
        while len(data) < length:
            more = self.socket.recv(length - len(data))
            if not more:
                raise EOFError("the agent's port was closed")
            data += more
        return data

    def frame(self):
        length, kind, channel = struct.unpack("<IHH", self.bytes(8))
        if length > 65536:
            raise ValueError(f"a frame of {length} bytes: this is no frame")
        return kind, channel, self.bytes(length)

    def hello(self):
        kind, _, payload = self.frame()
        if kind != HELLO:
            raise ValueError(f"the first frame is of type {kind}, not HELLO")
        words = payload[4:].decode().split("\0")
        return next(word for word in words if word.startswith("nonce="))

    def start(self, channel, *argv):
        strings = "".join(word + "\0" for word in ("/",) + argv).encode()
        self.send(RUN, channel, struct.pack("<IIII", len(argv), 0, 0, 0) + strings)

    def run(self, channel, *argv):
        """What it wrote, when it has ended."""
        self.start(channel, *argv)
        self.send(STDIN, channel)
        output = b""
        while True:
            kind, of, payload = self.frame()
            if kind == FAILED:
                raise ValueError(payload.decode())
            if (kind, of) == (STDOUT, channel):
                output += payload
            if (kind, of) == (EXIT, channel):
                return output.decode()

    def fill(self):
        """Sends until neither side takes any more."""
        self.socket.settimeout(3)
        ping = struct.pack("<IHHQ", 8, PING, 0, 0) * 512
        try:
            while True:
                self.socket.sendall(ping)
        except TimeoutError:
            pass

    def leave(self, console):
        before = departures(console)
        self.socket.close()
        end = time.monotonic() + 60
        while departures(console) == before:
            if time.monotonic() > end:
                raise TimeoutError("the agent did not notice")
            time.sleep(0.1)


def leave_a_command(peer):
    peer.start(1, "sleep", "86400")


def leave_half_a_frame(peer):
    peer.socket.sendall(struct.pack("<IHH", 60000, RUN, 3) + b"x" * 20000)


def leave_all_queues_full(peer):
    peer.start(1, "yes")
    peer.fill()


def leave_a_broken_conversation(peer):
    peer.send(999, 1)


def leave_at_once(_):
    pass


def check(path, console, nonce, leave):
    name = leave.__name__.replace("_", " ")
    try:
        peer = Peer(path)
        peer.hello()
        leave(peer)
        peer.leave(console)
        peer = Peer(path)
        found = peer.hello()
        left = peer.run(7, "sh", "-c", "pidof sleep yes; echo done")
        peer.leave(console)
    except (OSError, EOFError, ValueError) as error:
        if isinstance(error, TimeoutError) and leave is leave_all_queues_full and full_ports_stay_shut:
            tap(True, f"{name} # SKIP this emulator keeps a port shut that was full when its peer left")
            return
        tap(False, name, f"{type(error).__name__}: {error}")
        return
    tap(found == nonce and left == "done\n", name, f"{found}, asked was {nonce}; {left!r}")


def main():
    global full_ports_stay_shut
    path, console = sys.argv[1:3]
    full_ports_stay_shut = sys.argv[3:] == ["full-ports-stay-shut"]
    peer = Peer(path)
    nonce = peer.hello()
    tap(True, "a harness hears HELLO")
    peer.leave(console)
    for leave in (leave_a_command, leave_half_a_frame, leave_a_broken_conversation, leave_at_once,
                  leave_at_once, leave_all_queues_full):
        check(path, console, nonce, leave)
    print(f"1..{count}")


main()
