"""The kernel's other builds: plain C where there is no SIMD, NEON on aarch64 (emulated, where the tools are)."""

from __future__ import annotations

import pathlib
import shutil
import subprocess

import pytest

HERE = pathlib.Path(__file__).parent
HEADERS = HERE.parents[2] / "penstock" / "kernels" / "include"
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]

BUILDS = {
    "plain C": (["gcc", "-U__SSE2__", *SANITIZE], ["env", "LD_PRELOAD="]),
    "SSE2": (["gcc", *SANITIZE], ["env", "LD_PRELOAD="]),
    "NEON": (["aarch64-linux-gnu-gcc", "-static"], ["qemu-aarch64"]),
}


@pytest.mark.parametrize("build", BUILDS)
def test_every_build_escapes_and_counts_alike(build: str, tmp_path: pathlib.Path) -> None:
    compiler, runner = BUILDS[build]
    missing = [tool for tool in (compiler[0], runner[0]) if not shutil.which(tool)]
    if missing:
        pytest.skip(f"no {' and no '.join(missing)} here")
    program = tmp_path / "portable"
    flags = ["-O2", "-Wall", "-Wextra", "-Wno-unused-function", "-Werror", f"-I{HEADERS}"]
    source = str(HERE / "portable.c")
    subprocess.run([*compiler, *flags, source, "-o", str(program)], check=True, env={"PATH": "/usr/bin:/bin"})
    result = subprocess.run([*runner, str(program)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout == "60000\n"
