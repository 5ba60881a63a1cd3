"""peers - clients and servers over Linux's own TCP, scripted where a mail program would be too polite."""

import hashlib
import random
import smtplib
import socket
import threading
import time

from lab import family_of

GREETING = b"220 scripted.lab.example ESMTP\r\n"
BIG_REPLY_BYTES = 20_000_000


# -- clients

def connect(lab, source, server, port=25, timeout=20, prepare=None):
    """A TCP connection from the Internet's side. `prepare` may set options on the socket first."""
    with lab.inside("wan"):
        made = socket.socket(family_of(source), socket.SOCK_STREAM)
    made.settimeout(timeout)
    made.bind((source, 0))
    if prepare:
        prepare(made)
    made.connect((server, port))
    return made


def read_reply(connection):
    """One SMTP reply, whole, as bytes; what came so far if the server closes."""
    data = b""
    while True:
        lines = data.split(b"\r\n")
        if len(lines) > 1 and any(line[3:4] in (b" ", b"") for line in lines[:-1]):
            return data
        more = connection.recv(65536)
        if not more:
            return data
        data += more


def read_until_end(connection):
    """(what came, "fin" or "reset"); "open" if the peer stays beyond the socket's timeout."""
    data = b""
    try:
        while True:
            more = connection.recv(65536)
            if not more:
                return data, "fin"
            data += more
    except ConnectionResetError:
        return data, "reset"
    except TimeoutError:
        return data, "open"


class BoundSMTP(smtplib.SMTP):
    """smtplib, with its socket made inside the lab."""

    def __init__(self, lab, source, server, timeout=30):
        self.lab = lab
        super().__init__(server, 25, local_hostname="client.example", timeout=timeout, source_address=(source, 0))

    def _get_socket(self, host, port, timeout):
        with self.lab.inside("wan"):
            return super()._get_socket(host, port, timeout)


def deliver(lab, source, server, body="Subject: hello\r\n\r\nhello\r\n", recipient="someone@lab.example"):
    """One message, politely. Raises what smtplib raises if it is not accepted."""
    with BoundSMTP(lab, source, server) as client:
        refused = client.sendmail("sender@client.example", [recipient], body)
        assert refused == {}


def teach(lab, family, address):
    """Two dialogues of trusted sources: from then on the server's handshake and greeting are known."""
    for _ in range(2):
        connection = connect(lab, lab.client("trusted", family), address)
        assert read_reply(connection).startswith(b"220 ")
        connection.sendall(b"QUIT\r\n")
        read_reply(connection)
        connection.close()


def large_body(seed, size=20_000_000):
    """Lines that differ, so that one in a wrong place is noticed."""
    chance = random.Random(seed)
    line = bytes(chance.choice(b"abcdefghijklmnopqrstuvwxyz0123456789") for _ in range(70))
    return b"".join(b"%08d%s\r\n" % (number, line) for number in range(size // 80))


def begin_message(connection):
    """From the greeting that was read up to the 354."""
    for command in (b"EHLO big.example", b"MAIL FROM:<a@big.example>", b"RCPT TO:<b@lab.example>", b"DATA"):
        connection.sendall(command + b"\r\n")
        assert read_reply(connection)[:1] in (b"2", b"3")


def send_message(connection, body):
    begin_message(connection)
    connection.sendall(body + b".\r\n")
    assert read_reply(connection).startswith(b"250")


def fetch_big_reply(connection):
    """What a scripted server says to HELP; the SHA-256 of it, as the server's session knows it."""
    connection.sendall(b"HELP\r\n")
    digest, tail = hashlib.sha256(), b""
    while not tail.endswith(b"214 end\r\n"):
        data = connection.recv(1 << 20)
        assert data, "ended early"
        digest.update(data)
        tail = (tail + data)[-16:]
    return digest.hexdigest()


# -- servers

class Session:
    """What the server saw of one connection."""

    def __init__(self, connection, peer):
        self.connection, self.client, self.port = connection, peer[0], peer[1]
        self.accepted_at = time.time()
        self.received = bytearray()
        self.message = None         # (bytes, SHA-256) of the last DATA
        self.sent_sha = None        # of the big reply
        self.end = "open"           # fin, reset or error
        self.trouble = None
        self._rest = bytearray()    # received, not yet a line

    def send(self, data):
        self.connection.sendall(data)

    def line(self):
        """The next line of the client, or None at its end."""
        while b"\n" not in self._rest:
            data = self._receive()
            if not data:
                return None
            self._rest += data
        line, _, rest = bytes(self._rest).partition(b"\n")
        self._rest = bytearray(rest)
        return line.rstrip(b"\r")

    def _receive(self, keep=True):
        data = self.connection.recv(65536)
        if keep:
            self.received += data
        return data

    def read_message(self):
        """Up to the final dot; what is pipelined behind it stays for line()."""
        digest, size, tail, data = hashlib.sha256(), 0, b"\r\n", bytes(self._rest)
        while True:
            at = (tail + data).find(b"\r\n.\r\n")
            if at >= 0:
                used = at + 5 - len(tail)
                digest.update(data[:used])
                self.message = (size + used, digest.hexdigest())
                self._rest = bytearray(data[used:])
                return
            digest.update(data)
            size += len(data)
            tail = (tail + data)[-4:]
            data = self._receive(keep=False)
            if not data:
                raise ConnectionError("ended inside a message")

    def wait_end(self):
        """Reads until the client goes away."""
        while self._receive():
            pass


def polite(session, greeting=(GREETING,), pause_s=0.0, gap_s=0.0, ehlo=b"250-scripted.lab.example\r\n250 8BITMIME\r\n"):
    """A small mail server. `greeting`: pieces, each a segment of its own, `gap_s` apart, the first after `pause_s`."""
    time.sleep(pause_s)
    for number, piece in enumerate(greeting):
        if number:
            time.sleep(gap_s)
        session.send(piece)
    while (line := session.line()) is not None:
        word = line[:4].upper()
        if word == b"EHLO":
            session.send(ehlo)
        elif word == b"DATA":
            session.send(b"354 go on\r\n")
            session.read_message()
            session.send(b"250 2.0.0 taken\r\n")
        elif word == b"QUIT":
            session.send(b"221 bye\r\n")
            return
        elif word == b"HELP":
            session.sent_sha = send_big_reply(session)
        elif word in (b"HELO", b"MAIL", b"RCPT", b"RSET", b"NOOP"):
            session.send(b"250 ok\r\n")
        else:
            session.send(b"500 what?\r\n")
    return


def send_big_reply(session):
    """A lawful reply of 20 MB: continuation lines that differ, then the last one."""
    digest, sent = hashlib.sha256(), 0
    while sent < BIG_REPLY_BYTES:
        block = b"".join(b"214-%08d %s\r\n" % (sent // 64 + n, b"x" * 49) for n in range(1000))
        session.send(block)
        digest.update(block)
        sent += len(block)
    session.send(b"214 end\r\n")
    digest.update(b"214 end\r\n")
    return digest.hexdigest()


class Server:
    """Listens on one address of the lan side (or, for connections the other way, the wan side); `script(session)` runs for each
    connection in a thread of its own."""

    def __init__(self, lab, address, script=polite, port=25, side="lan", **script_options):
        self.address, self.port, self.script, self.script_options = address, port, script, script_options
        self.sessions = []
        with lab.inside(side):
            self.listener = socket.socket(family_of(address), socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((address, port))
        self.listener.listen(1024)
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self.listener.close()
        for session in self.sessions:
            session.connection.close()

    def _accept(self):
        while True:
            try:
                connection, peer = self.listener.accept()
            except OSError:
                return
            connection.settimeout(120)
            session = Session(connection, peer)
            self.sessions.append(session)
            threading.Thread(target=self._serve, args=(session,), daemon=True).start()

    def _serve(self, session):
        try:
            self.script(session, **self.script_options)
            session.end = "fin"
        except ConnectionResetError:
            session.end = "reset"
        except BrokenPipeError:
            session.end = "reset"
        except OSError as trouble:
            session.end, session.trouble = "error", trouble
        finally:
            session.connection.close()

    def find(self, client):
        """The latest connection of a client, or None."""
        return next((session for session in reversed(self.sessions) if session.client == client), None)

    def session_of(self, client, timeout=5):
        """The latest connection of a client, once there is one."""
        end = time.monotonic() + timeout
        while True:
            if session := self.find(client):
                return session
            assert time.monotonic() < end, f"no connection of {client} came to the server"
            time.sleep(0.01)

    def ended(self, client, timeout=5):
        """Its latest connection, once that has ended."""
        session = self.session_of(client, timeout)
        end = time.monotonic() + timeout
        while session.end == "open":
            assert time.monotonic() < end, f"the server's connection of {client} stays open"
            time.sleep(0.01)
        return session
