"""Builds the one compiled room: penstock/encode/_jsonl.pyx."""

import os

from Cython.Build import cythonize
from setuptools import Extension, setup

# No -march: wheels run on any machine of the architecture. PENSTOCK_KERNEL_* is for sanitizers and experiments.
flags = os.environ.get("PENSTOCK_KERNEL_CFLAGS", "-O3 -Wall -Wextra").split()
links = os.environ.get("PENSTOCK_KERNEL_LDFLAGS", "").split()
headers = ["arrow_abi", "jsonl_output", "jsonl_text", "jsonl_number", "jsonl_column", "jsonl_rows"]

kernel = Extension(
    "penstock.encode._jsonl",
    ["penstock/encode/_jsonl.pyx"],
    depends=[f"penstock/encode/{name}.h" for name in headers],
    include_dirs=["penstock/encode"],
    extra_compile_args=flags,
    extra_link_args=links,
)
setup(ext_modules=cythonize([kernel], language_level=3, build_dir="build/cython"))
