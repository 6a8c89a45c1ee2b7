"""A server that says nothing."""

from __future__ import annotations

import socket
import threading


class SilentServer:
    """Accepts connections and never answers.

    Attributes:
        port: on loopback.
        reached: set with the first connection.
        held: the connections.
    """

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.reached = threading.Event()
        self.held: list[socket.socket] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.held.append(connection)
            self.reached.set()

    def close(self) -> None:
        """Ends all connections; idempotent."""
        if self._listener.fileno() < 0:
            return
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread; closing alone would let it accept one more
        self._accepting.join()
        self._listener.close()
        for connection in self.held:
            connection.close()
