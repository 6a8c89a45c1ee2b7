"""Builds the one compiled room: penstock/encode/_jsonl.pyx."""

import os

from Cython.Build import cythonize
from setuptools import Extension, setup

flags = os.environ.get("PENSTOCK_KERNEL_CFLAGS", "-O3").split()
links = os.environ.get("PENSTOCK_KERNEL_LDFLAGS", "").split()

kernel = Extension(
    "penstock.encode._jsonl",
    ["penstock/encode/_jsonl.pyx"],
    extra_compile_args=flags,
    extra_link_args=links,
)
built = [kernel] if os.path.exists("penstock/encode/_jsonl.pyx") else []
setup(ext_modules=cythonize(built, language_level=3) if built else [])
