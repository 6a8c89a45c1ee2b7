"""Builds the compiled room, penstock/kernels: one extension a .pyx file."""

import os
import pathlib

from Cython.Build import cythonize
from setuptools import Extension, setup

# No -march: wheels run on any machine of the architecture. PENSTOCK_KERNEL_* is for sanitizers and experiments.
flags = os.environ.get("PENSTOCK_KERNEL_CFLAGS", "-O3 -Wall -Wextra").split()
links = os.environ.get("PENSTOCK_KERNEL_LDFLAGS", "").split()
room = pathlib.Path("penstock/kernels")
headers = sorted(str(path) for path in (room / "include").rglob("*.h"))

kernels = [
    Extension(
        f"penstock.kernels.{source.stem}",
        [str(source)],
        depends=headers,
        include_dirs=[str(room / "include")],
        extra_compile_args=flags,
        extra_link_args=links,
    )
    for source in sorted(room.glob("*.pyx"))
]
cores = os.cpu_count() or 1
setup(
    ext_modules=cythonize(kernels, language_level=3, build_dir="build/cython", nthreads=cores),
    options={"build_ext": {"parallel": cores}},
)
