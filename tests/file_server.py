"""A web server on this machine for the tests of downloads."""

import http.server
import threading
import time


class Server(http.server.ThreadingHTTPServer):
    """Serves `content` (path -> bytes) on this machine and counts what it is asked for.

    `faults`: {path: what goes wrong with the first answers, in their order}, each a method of
    Handler.
    """

    def __init__(self, content):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = content
        self.faults = {}
        self.asked = []
        self.address = f"http://127.0.0.1:{self.server_port}/"
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        path = self.path.removeprefix("/")
        body = self.server.content.get(path)
        if faults := self.server.faults.get(path):
            getattr(self, faults.pop(0))(body)
            return
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def cut(self, body):
        """Half of what is announced."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2])

    def cut_chunk(self, body):
        """Half of a chunk."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"%x\r\n" % len(body) + body[: len(body) // 2])

    def pause(self, body):
        """The whole file, with a second's pause in its middle."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2])
        time.sleep(1)
        self.wfile.write(body[len(body) // 2 :])

    def bad_status(self, body):
        """What is not HTTP."""
        self.wfile.write(b"220 mail.invalid ESMTP\r\n\r\n")

    def log_message(self, *_):
        pass
