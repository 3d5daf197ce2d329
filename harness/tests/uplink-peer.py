# SPDX-License-Identifier: LGPL-2.1-or-later
"""Servers for vm-uplink.sh, in one process, which says "ready" when all of them listen:

    uplink-peer.py NAME=ADDRESS,PORT … [dns=ADDRESS,PORT,ANSWER]

Each NAME answers HTTP with its name, or for /big with three million bytes, and counts what it is asked in the file NAME.log;
`dns` answers every question for an IPv4 address with ANSWER.
"""

import http.server
import socket
import socketserver
import sys
import threading

BIG = bytes(i * 7 % 251 for i in range(3_000_000))


def make_handler(name):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = BIG if self.path == "/big" else f"{name}\n".encode()
            with open(f"{name}.log", "a", encoding="ascii") as log:
                log.write(f"{self.client_address[0]} {self.path}\n")
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    return Handler


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True

    def __init__(self, name, address, port):
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        super().__init__((address, port), make_handler(name))

    def server_bind(self):  # without asking anybody for a name
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "peer", self.server_address[1]


def answer_names(server, answer):
    while True:
        question, who = server.recvfrom(512)
        end = question.index(b"\0", 12) + 5
        is_ipv4 = question[end - 4 : end - 2] == b"\0\1"
        reply = question[:2] + b"\x81\x80\0\1" + (b"\0\1" if is_ipv4 else b"\0\0") + b"\0\0\0\0" + question[12:end]
        if is_ipv4:
            reply += b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + socket.inet_aton(answer)
        server.sendto(reply, who)


for word in sys.argv[1:]:
    name, place = word.split("=")
    address, port, *answer = place.split(",")
    if name == "dns":
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind((address, int(port)))
        threading.Thread(target=answer_names, args=(udp, *answer), daemon=True).start()
    else:
        threading.Thread(target=Server(name, address, int(port)).serve_forever, daemon=True).start()
print("ready", flush=True)
threading.Event().wait()
