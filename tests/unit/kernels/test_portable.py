"""The kernel's other builds: plain C where there is no SIMD, NEON on aarch64 (emulated, where the tools are)."""

from __future__ import annotations

import pathlib
import shutil
import struct
import subprocess

import polars as pl
import pytest

from penstock import encode
from penstock.samples import generate

HERE = pathlib.Path(__file__).parent
HEADERS = HERE.parents[2] / "penstock" / "kernels" / "include"
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]

BUILDS = {
    "plain C": (["gcc", "-U__SSE2__", *SANITIZE], ["env", "LD_PRELOAD="]),
    "SSE2": (["gcc", *SANITIZE], ["env", "LD_PRELOAD="]),
    "NEON": (["aarch64-linux-gnu-gcc", "-static"], ["qemu-aarch64"]),
}


def built(source: str, build: str, folder: pathlib.Path) -> list[str]:
    """The command that runs a program of this build."""
    compiler, runner = BUILDS[build]
    missing = [tool for tool in (compiler[0], runner[0]) if not shutil.which(tool)]
    if missing:
        pytest.skip(f"no {' and no '.join(missing)} here")
    program = folder / "portable"
    flags = ["-O2", "-Wall", "-Wextra", "-Wno-unused-function", "-Werror", f"-I{HEADERS}"]
    command = [*compiler, *flags, str(HERE / source), "-o", str(program)]
    subprocess.run(command, check=True, env={"PATH": "/usr/bin:/bin"})
    return [*runner, str(program)]


@pytest.mark.parametrize("build", BUILDS)
def test_every_build_escapes_and_counts_alike(build: str, tmp_path: pathlib.Path) -> None:
    result = subprocess.run(built("portable.c", build, tmp_path), capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout == "60000\n"


@pytest.mark.parametrize("build", BUILDS)
def test_every_build_deflates_to_the_same_bytes(build: str, tmp_path: pathlib.Path) -> None:
    deflate = pytest.importorskip("penstock.kernels.deflate")
    fields = ["@timestamp", "source.ip", "source.port", "message"]
    events = list(generate.sample_events(1500))
    frame = pl.DataFrame({field: [event.get(field) for event in events] for field in fields}, strict=False)
    encoder = encode.LineEncoder(fields, {})
    command = built("portable_deflate.c", build, tmp_path)
    ((lines, _, marks),) = encoder.chunks(frame, 1 << 30)
    for number, level in enumerate(["fastest", "fast"], 1):
        deflater = deflate.Deflater(level)
        deflater.add(lines, marks)
        given = struct.pack("=I", len(marks) // 12) + bytes(marks) + bytes(lines)
        result = subprocess.run([*command, str(number)], input=given, capture_output=True, check=False)
        assert result.returncode == 0, result.stderr
        assert result.stdout == deflater.finish()
