"""Builds the compiled room: penstock/encode/_jsonl.pyx and _deflate.pyx."""

import os

from Cython.Build import cythonize
from setuptools import Extension, setup

# No -march: wheels run on any machine of the architecture. PENSTOCK_KERNEL_* is for sanitizers and experiments.
flags = os.environ.get("PENSTOCK_KERNEL_CFLAGS", "-O3 -Wall -Wextra").split()
links = os.environ.get("PENSTOCK_KERNEL_LDFLAGS", "").split()
headers = {
    "_jsonl": ["arrow_abi", "jsonl_output", "jsonl_text", "jsonl_number", "jsonl_column", "jsonl_rows"],
    "_deflate": ["deflate_codes", "deflate"],
}

kernels = [
    Extension(
        f"penstock.encode.{module}",
        [f"penstock/encode/{module}.pyx"],
        depends=[f"penstock/encode/{name}.h" for name in names],
        include_dirs=["penstock/encode"],
        extra_compile_args=flags,
        extra_link_args=links,
    )
    for module, names in headers.items()
]
setup(ext_modules=cythonize(kernels, language_level=3, build_dir="build/cython"))
