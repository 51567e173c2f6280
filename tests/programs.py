"""Programs as jobs are given them."""

from __future__ import annotations

import base64


def container_command(program: str) -> dict[str, list[str]]:
    """A program as ContainerEntrypoint and ContainerArguments, whose members are single lines of 256 characters."""
    start = "import sys, base64; exec(compile(base64.b64decode(''.join(sys.argv[1:])), 'train.py', 'exec'))"
    text = base64.b64encode(program.encode()).decode()
    pieces = [text[i : i + 256] for i in range(0, len(text), 256)]
    return {"ContainerEntrypoint": ["python3", "-u", "-c", start], "ContainerArguments": pieces}


#: Ways in which a script may leave a file open; each is written out when an interpreter ends.
LEFT_OPEN = [
    "def log(line): f.write(line)\nf = open('left.csv', 'w')\nlog('epoch,loss')",
    "f = open('left.csv', 'wb')\nf.write(b'epoch,loss')",
    "def log(line): f.write(line)\nf = open('left.csv', 'w+b')\nlog(b'epoch,loss')",
    "import threading, time\nthreading.Thread(target=time.sleep, args=[600], daemon=True).start()\n"
    "f = open('left.csv', 'w')\nf.write('epoch,loss')",
    "class Last:\n    def __init__(self): self.file = open('left.csv', 'w')\n"
    "    def __del__(self): self.file.write('epoch,loss')\nlast = Last()",
]
