"""A worker as the front door sees one: a process on an inherited listening socket that does what requests tell it.

    python model_worker.py <descriptor> <log file>

One request at a time. Every request it begins to work on is a line in the log. Nothing but the standard library.
"""

import base64
import contextlib
import json
import os
import signal
import socket
import sys
import time


class Worker:
    def __init__(self, descriptor, log):
        self.listening = socket.socket(fileno=descriptor)
        self.log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def run(self):
        import selectors

        selector = selectors.DefaultSelector()
        selector.register(self.listening, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is self.listening:
                    connection, _ = self.listening.accept()
                    selector.register(connection, selectors.EVENT_READ)
                elif not self.survives(key.fileobj):
                    selector.unregister(key.fileobj)
                    key.fileobj.close()

    def survives(self, connection):
        """As :meth:`serve`; a front door that was killed is the end of its connection only."""
        try:
            return self.serve(connection)
        except ConnectionError:
            return False

    def serve(self, connection):
        """One request; False when the connection is over."""
        data = b""
        while b"\r\n\r\n" not in data:
            more = connection.recv(65536)
            if not more:
                return False
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        length = int(headers["content-length"])
        while len(body) < length:
            more = connection.recv(65536)
            if not more:
                return False
            body += more
        return self.answer(connection, lines[0], headers, body)

    def answer(self, connection, line, headers, body):
        told = json.loads(body) if body[:1] == b"{" else {}
        os.write(self.log, f"{told.get('id', '-')}\n".encode())
        do = told.get("do", "echo")
        if do == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if do == "close":
            return False
        if do == "sleep":
            time.sleep(told["seconds"])
        if do == "garble":
            connection.sendall(b"this is not HTTP\r\n\r\n")
            return False
        if do == "raw":
            connection.sendall(base64.b64decode(told["text"]))
            return False
        if do == "half":
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            return False
        if do == "endless":
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end")
            return False
        if do == "surplus":
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\n")
            return True
        if do == "chunked":
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(told.get("count", 3)):
                connection.sendall(b"10000\r\n" + b"c" * 65536 + b"\r\n")
            connection.sendall(b"0\r\n\r\n")
            return True
        if do == "stream":
            return self.stream(connection, told)
        status, extra, answer = "200 OK", "", b""
        if do == "error":
            status, answer = f"{told['status']} Told", told.get("text", "wrong").encode()
        elif do == "bytes":
            answer = b"b" * told["count"]
        elif do == "custom":
            extra = "X-Amzn-SageMaker-Custom-Attributes: from the model\r\n"
        if not answer and do not in ("error", "bytes"):
            seen = {"pid": os.getpid(), "line": line, "headers": headers, "size": len(body), "told": told}
            answer = json.dumps(seen).encode()
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{extra}Content-Length: {len(answer)}\r\n\r\n"
        connection.sendall(head.encode() + answer)
        return True

    def stream(self, connection, told):
        """Parts one after the other, each as soon as its gate (a file) is there; then the end that was told."""
        type_ = told.get("type", "text/plain")
        status = told.get("status", 200)
        head = (
            f"HTTP/1.1 {status} Told\r\nContent-Type: {type_}\r\nX-Amzn-SageMaker-Custom-Attributes: from the model\r\n"
        )
        chunked = not told.get("plain")
        connection.sendall(head.encode() + (b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"\r\n"))
        for part, gate in zip(told["parts"], told.get("gates") or [""] * len(told["parts"]), strict=True):
            while gate and not os.access(gate, os.F_OK):
                time.sleep(0.01)
            data = b"p" * part if isinstance(part, int) else part.encode()
            connection.sendall(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)
        end = told.get("end")
        if end == "wait":
            os.write(self.log, b"waits\n")
            if connection.recv(1) == b"":
                os.write(self.log, b"hung-up\n")
            return False
        if end == "forever":
            os.write(self.log, b"waits\n")
            connection.setblocking(False)
            while True:
                try:
                    if connection.recv(1) == b"":
                        os.write(self.log, b"hung-up\n")
                        return False
                except BlockingIOError:
                    time.sleep(0.01)
                with contextlib.suppress(BlockingIOError):
                    connection.send(b"1\r\nx\r\n")
        if end == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if end == "break":
            return False
        if chunked:
            trailer = f"X-Sagebrush-Failure: {end}\r\n" if end else ""
            connection.sendall(f"0\r\n{trailer}\r\n".encode())
        return chunked


if __name__ == "__main__":
    Worker(int(sys.argv[1]), sys.argv[2]).run()
