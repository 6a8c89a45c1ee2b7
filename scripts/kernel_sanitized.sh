#!/bin/sh
# Runs the tests of the kernels against a kernel built with AddressSanitizer and UndefinedBehaviorSanitizer.
#
# The kernel is built into a temporary copy of the package, so the checkout's own stays as it is.
# PYTHONMALLOC=malloc lets the sanitizer see Python's objects too. Leak detection is off: the interpreter
# and Polars keep memory until exit by design, and would drown a leak of ours; tests count releases instead.
#
#     scripts/kernel_sanitized.sh [pytest arguments]
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-$root/.venv/bin/python}
[ -x "$python" ] || python=$(command -v python3)
asan=$(gcc -print-file-name=libasan.so)
[ -f "$asan" ] || { echo "no libasan beside gcc; install gcc's sanitizer runtime" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
mkdir "$work/source" "$work/package"
cp -R "$root/penstock" "$root/setup.py" "$work/source/"
find "$work/source" -name '*.so' -delete
(
    cd "$work/source"
    PENSTOCK_KERNEL_CFLAGS="-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all -Wall -Wextra" \
        PENSTOCK_KERNEL_LDFLAGS="-fsanitize=address,undefined" \
        "$python" -W ignore setup.py -q build_ext --inplace --parallel 2 >"$work/build.log" 2>&1 || { cat "$work/build.log" >&2; exit 1; }
)
if grep -E 'penstock/kernels/[a-z/]*\.(h|pyx):[0-9]+:[0-9]+: warning' "$work/build.log"; then
    echo "the kernel does not compile without warnings" >&2
    exit 1
fi

export LD_PRELOAD="$asan" PYTHONMALLOC=malloc PYTHONPATH="$work/source"
export PENSTOCK_TEST_EXAMPLES="${PENSTOCK_TEST_EXAMPLES:-0.25}" # all of them are tried without sanitizers
export HYPOTHESIS_STORAGE_DIRECTORY="$root/.hypothesis" # its tables of Unicode take half a minute to make here
export ASAN_OPTIONS="detect_leaks=0:abort_on_error=1:allocator_may_return_null=1" UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1"
cd "$work"
"$python" -P -c '
import penstock.kernels.bloom, penstock.kernels.columns, penstock.kernels.deflate, penstock.kernels.intake, penstock.kernels.lines, penstock.kernels.pages
kernels = penstock.kernels
for kernel in (kernels.bloom, kernels.columns, kernels.deflate, kernels.intake, kernels.lines, kernels.pages):
    built = open(kernel.__file__, "rb").read()
    assert kernel.__file__.startswith("'"$work"'"), kernel.__file__
    assert b"__asan_report" in built and b"__ubsan_handle" in built, "the kernel was built without sanitizers"
'
# Without the tests of other builds, which sanitize those themselves.
"$python" -P -m pytest -q -n 2 --capture=sys -p no:cacheprovider -c "$root/pyproject.toml" --rootdir "$root" "$root/tests/unit/encode" "$root/tests/unit/kernels" \
    "$root/tests/unit/intake/test_kernel.py" --ignore "$root/tests/unit/kernels/test_portable.py" "$@"
