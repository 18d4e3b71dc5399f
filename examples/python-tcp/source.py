"""Prints the lines that a TCP server sends, as they come."""

import encodings.idna  # noqa: F401 (host names are encoded by it, and nothing can be imported later on)
import socket
import sys

from componentize_py_types import Err
from wit_world import exports


class Run(exports.Run):
    def run(self) -> None:
        host, _, port = sys.argv[1].rpartition(":")
        try:
            with socket.create_connection((host, int(port))) as peer:
                while block := peer.recv(65536):
                    sys.stdout.buffer.write(block)
                    sys.stdout.buffer.flush()
        except OSError as error:
            # Text on standard error is a line in Fluent Bit's log; the next run tries again.
            print(f"{sys.argv[1]}: {error}", file=sys.stderr)
            raise Err(None)
