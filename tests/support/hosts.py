"""Hosts of their own on one machine: network namespaces on one bridge, whose links can be cut. Needs root and `ip`.

What listens on this machine's loopback is reached from each host at its own 127.0.0.1, through the bridge: certificates
that are made out to 127.0.0.1 stay good, and a cut link cuts everything.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping

NETWORK = "10.77.0."
GATEWAY = f"{NETWORK}1"
_FORWARD = """
import socket, sys, threading
listen, target = (sys.argv[1], int(sys.argv[2])), (sys.argv[3], int(sys.argv[2]))
def pump(source, sink):
    try:
        while chunk := source.recv(1 << 18):
            sink.sendall(chunk)
    except OSError:
        pass
    for end in (source, sink):
        try: end.shutdown(socket.SHUT_RDWR)
        except OSError: pass
def join(near):
    try: far = socket.create_connection(target, timeout=10)
    except OSError: return near.close()
    far.settimeout(None)
    threading.Thread(target=pump, args=(near, far), daemon=True).start()
    pump(far, near)
server = socket.create_server(listen, backlog=128)
while True:
    threading.Thread(target=join, args=(server.accept()[0],), daemon=True).start()
"""


def possible() -> bool:
    """Whether this process may make hosts."""
    return os.geteuid() == 0 and shutil.which("ip") is not None


class Hosts:
    """The hosts `a`, `b`, …; a context manager that leaves nothing behind.

    Args:
        names: of the hosts.
        ports: of this machine's loopback that each host reaches at its own.
    """

    def __init__(self, names: Iterable[str], ports: Iterable[int]) -> None:
        self._mark = f"pst{os.getpid() % 10_000}"
        self._names = list(names)
        self._ports = list(ports)
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Hosts:
        try:
            self._make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._processes):
            process.kill()
            process.wait()
        for name in self._names:
            # Whatever was started there, also by what was started there.
            inside = subprocess.run(
                ["ip", "netns", "pids", self._host(name)], capture_output=True, text=True, check=False
            )
            for pid in inside.stdout.split():
                subprocess.run(["kill", "-9", pid], check=False, capture_output=True)
            subprocess.run(["ip", "netns", "del", self._host(name)], check=False, capture_output=True)
        subprocess.run(["ip", "link", "del", f"{self._mark}br"], check=False, capture_output=True)

    def _make(self) -> None:
        self._ip("link", "add", f"{self._mark}br", "type", "bridge")
        self._ip("addr", "add", f"{GATEWAY}/24", "dev", f"{self._mark}br")
        self._ip("link", "set", f"{self._mark}br", "up")
        for port in self._ports:
            self._start([sys.executable, "-c", _FORWARD, GATEWAY, str(port), "127.0.0.1"])
        for name in self._names:
            near, far, host = f"{self._mark}{name}", f"{self._mark}{name}x", self._host(name)
            self._ip("netns", "add", host)
            self._ip("link", "add", near, "type", "veth", "peer", "name", far)
            self._ip("link", "set", far, "netns", host)
            self._ip("link", "set", near, "master", f"{self._mark}br", "up")
            self._ip("-n", host, "addr", "add", f"{self.address(name)}/24", "dev", far)
            self._ip("-n", host, "link", "set", far, "up")
            self._ip("-n", host, "link", "set", "lo", "up")
            for port in self._ports:
                self.start(name, [sys.executable, "-c", _FORWARD, "127.0.0.1", str(port), GATEWAY])

    def address(self, name: str) -> str:
        return f"{NETWORK}{2 + self._names.index(name)}"

    def start(
        self,
        name: str,
        command: list[str],
        environment: Mapping[str, str] | None = None,
        log: pathlib.Path | None = None,
    ) -> subprocess.Popen[bytes]:
        """Starts a process on a host."""
        return self._start(["ip", "netns", "exec", self._host(name), *command], environment, log)

    def cut(self, name: str) -> None:
        """Nothing gets through to the host or from it."""
        self._ip("link", "set", f"{self._mark}{name}", "down")

    def restore(self, name: str) -> None:
        self._ip("link", "set", f"{self._mark}{name}", "up")

    def _host(self, name: str) -> str:
        return f"{self._mark}-{name}"

    def _start(
        self, command: list[str], environment: Mapping[str, str] | None = None, log: pathlib.Path | None = None
    ) -> subprocess.Popen[bytes]:
        with open(log or os.devnull, "ab") as output:
            process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        self._processes.append(process)
        return process

    def _ip(self, *words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)
