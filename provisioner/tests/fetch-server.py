#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A web server on loopback that misbehaves in as many ways as its paths have names.

    fetch-server.py FILE LOG FOLDER [CERTIFICATE KEY]

Serves FILE under each name, says its port on standard output, and writes each request to LOG: path, Range, If-Range.
What is to wait waits for the file "go" in FOLDER. Ends with its standard input."""
import os
import socketserver
import ssl
import sys
import threading
import time

CONTENT = open(sys.argv[1], "rb").read()
OTHER = bytes(byte ^ 0xFF for byte in CONTENT)
LOG = open(sys.argv[2], "a", buffering=1)
FOLDER = sys.argv[3]
HALF = len(CONTENT) // 2
count_lock = threading.Lock()
counts = {}


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 50

    def handle_error(self, request, client_address):
        pass  # whoever hung up


class Handler(socketserver.StreamRequestHandler):
    def setup(self):
        if len(sys.argv) > 4:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(sys.argv[4], sys.argv[5])
            self.request = context.wrap_socket(self.request, server_side=True)
        super().setup()

    def handle(self):
        line = self.rfile.readline().decode("latin-1").split()
        if len(line) < 2:
            return
        self.asked = {}
        while (header := self.rfile.readline().decode("latin-1").strip()):
            name, _, value = header.partition(":")
            self.asked[name.lower()] = value.strip()
        path = line[1]
        proxied = path.startswith("http://")
        if proxied:
            path = "/" + path.split("/", 3)[3]
        name = path.split("?")[0].strip("/").split("/")[0]
        print("proxied" if proxied else "direct", path, self.asked.get("range", "-"),
              self.asked.get("if-range", "-"), file=LOG)
        with count_lock:
            counts[path] = counts.get(path, 0) + 1
            self.nth = counts[path]
        getattr(self, name.replace("-", "_").replace(".", "_"), self.missing)()
        self.wfile.flush()

    def put(self, *data):
        for piece in data:
            self.wfile.write(piece.encode("latin-1") if isinstance(piece, str) else piece)

    def head(self, status="200 OK", length=None, **headers):
        self.put(f"HTTP/1.1 {status}\r\nConnection: close\r\n")
        if length is not None:
            self.put(f"Content-Length: {length}\r\n")
        for name, value in headers.items():
            self.put(f"{name.replace('_', '-')}: {value}\r\n")
        self.put("\r\n")

    def first(self):
        value = self.asked.get("range", "")
        return int(value[6:].split("-")[0]) if value.startswith("bytes=") else 0

    def honest(self, content=CONTENT, etag='"one"'):
        """Ranges as they should be."""
        first = self.first()
        if first and self.asked.get("if-range", etag) == etag:
            if first >= len(content):
                self.head("416 Range Not Satisfiable", 0, Content_Range=f"bytes */{len(content)}")
                return
            self.head("206 Partial Content", len(content) - first, ETag=etag,
                      Content_Range=f"bytes {first}-{len(content) - 1}/{len(content)}")
            self.put(content[first:])
        else:
            self.head(length=len(content), ETag=etag)
            self.put(content)

    def missing(self):
        self.head("404 Not Found", 9)
        self.put("not found")

    good = honest

    # ---- what is cut, and goes on in one way or another
    def cut(self, etag='"one"'):
        self.head(length=len(CONTENT), ETag=etag)
        self.put(CONTENT[:HALF])

    def cut_once(self):
        self.cut() if self.nth == 1 else self.honest()

    def no_ranges(self):
        self.cut() if self.nth == 1 else (self.head(length=len(CONTENT)), self.put(CONTENT))

    def changed(self):
        self.cut('"zero"') if self.nth == 1 else self.honest()

    def changed_and_denied(self):
        """Says 206 to what is another file by now."""
        if self.nth == 1:
            self.cut('"zero"')
        elif self.nth == 2:
            self.asked.pop("if-range", None)
            self.honest()
        else:
            self.honest()

    def wrong_range(self):
        if self.nth == 1:
            self.cut()
        else:
            self.head("206 Partial Content", 10, ETag='"one"', Content_Range=f"bytes 5-14/{len(CONTENT)}")
            self.put(CONTENT[5:15])

    def no_range_now(self):
        if self.nth == 1:
            self.cut()
        elif self.first():
            self.head("416 Range Not Satisfiable", 0)
        else:
            self.honest()

    def cut_always(self):
        self.head(length=len(CONTENT), ETag='"one"')

    def tear(self):
        """A piece each time."""
        first = self.first()
        self.head("206 Partial Content" if first else "200 OK", len(CONTENT) - first, ETag='"one"',
                  Content_Range=f"bytes {first}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.put(CONTENT[first:first + len(CONTENT) // 8 + 1])

    # ---- what is not what it should be
    def truncated(self):
        self.head()
        self.put(CONTENT[:HALF])

    def other(self):
        self.head(length=len(OTHER))
        self.put(OTHER)

    def longer(self):
        self.head(length=len(CONTENT) - 1)
        self.put(CONTENT, CONTENT)

    def encoded(self):
        self.head(length=len(CONTENT), Content_Encoding="gzip")
        self.put(CONTENT)

    def too_large(self):
        self.head(length=1 << 50)
        self.put(CONTENT)

    def endless(self):
        self.head()
        while True:
            self.put(CONTENT)

    def endless_headers(self):
        self.put("HTTP/1.1 200 OK\r\n")
        for i in range(10000000):
            self.put(f"X-{i}: {'a' * 1000}\r\n")

    def endless_header(self):
        self.put("HTTP/1.1 200 OK\r\nX: ")
        while True:
            self.put("a" * 65536)

    def garbage(self):
        self.put(b"\x00\x01 this is no HTTP \xff\r\n" * 100)

    def silence(self):
        pass

    def stall(self):
        self.head(length=len(CONTENT))
        self.put(CONTENT[:1000])
        self.wfile.flush()
        self.rfile.read(1)  # until the other end hangs up

    def odd_words(self):
        self.head("200 \033[31mred", len(CONTENT), ETag='"\033]0;title\a"')
        self.put(CONTENT)

    # ---- who leads elsewhere
    def lead(self, where):
        self.head("302 Found", 0, Location=where)

    def lead_on(self):
        self.lead("/good")

    def lead_round(self):
        self.lead("/lead-round")

    def lead_to_file(self):
        self.lead("file:///etc/hostname")

    def lead_to_ftp(self):
        self.lead("ftp://127.0.0.1/x")

    def lead_to_plain(self):
        self.lead(f"http://127.0.0.1:{self.server.server_address[1]}/good")

    # ---- others
    def busy_once(self):
        if self.nth == 1:
            self.head("503 Service Unavailable", 0)
        else:
            self.honest()

    def wait(self):
        """The second half comes when the test says so."""
        first = self.first()
        if first:
            self.honest()
            return
        self.head(length=len(CONTENT), ETag='"one"')
        self.put(CONTENT[:HALF])
        self.wfile.flush()
        while not os.path.exists(FOLDER + "/go"):
            time.sleep(0.05)
        self.put(CONTENT[HALF:])

    def empty(self):
        self.head(length=0)

    def list(self):
        with open(FOLDER + "/list", "rb") as file:
            data = file.read()
        self.head(length=len(data))
        self.put(data)


with Server(("127.0.0.1", 0), Handler) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()
