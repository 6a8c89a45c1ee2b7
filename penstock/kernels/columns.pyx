# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""Facts of a data file's columns: what they weigh, and which names an overflow holds.

What it says is what penstock/lake/layout.py says, in Polars, where this is not compiled.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset


cdef extern from "arrow.h":
    struct ArrowSchema:
        const char *format
        const char *name
        int64_t n_children
        ArrowSchema **children
        void (*release)(ArrowSchema *) noexcept nogil

    struct ArrowArray:
        int64_t length
        int64_t offset
        int64_t n_children
        ArrowArray **children
        void (*release)(ArrowArray *) noexcept nogil

    struct ArrowArrayStream:
        int (*get_schema)(ArrowArrayStream *, ArrowSchema *) noexcept nogil
        int (*get_next)(ArrowArrayStream *, ArrowArray *) noexcept nogil
        void (*release)(ArrowArrayStream *) noexcept nogil


cdef extern from *:
    """
    #include "names.h"
    #include "weights.h"
    """
    struct nm_name:
        const uint8_t *text
        size_t bytes

    struct nm_search:
        const ArrowArray *array
        int64_t row
        bint is_broken

    bint nm_next(nm_search *, nm_name *) nogil
    void wg_add(const ArrowArray *, int64_t row, int64_t block_rows, uint64_t *blocks) nogil


def weights(frame, int64_t rows, int64_t block_rows):
    """Bytes of the texts of a frame's columns, and of their lists' items, in each block of so many rows.

    Args:
        frame: of so many rows.

    Returns:
        For each column of strings, or of lists of strings, by name: its blocks' bytes. Other columns are left out.
    """
    if block_rows < 1:
        raise ValueError("a block has at least one row")
    capsule = frame.__arrow_c_stream__()
    cdef ArrowArrayStream *stream = <ArrowArrayStream *>PyCapsule_GetPointer(capsule, "arrow_array_stream")
    cdef ArrowArray array
    cdef int64_t row = 0, i, n = (rows + block_rows - 1) // block_rows
    cdef list names = columns_of(stream)
    cdef uint64_t *blocks = <uint64_t *>calloc(n * len(names) + 1, sizeof(uint64_t))
    if blocks == NULL:
        raise MemoryError()
    try:
        while next_array(stream, &array):
            try:
                if row + array.length > rows or array.n_children != len(names):
                    raise ValueError("the frame has other rows")
                for i in range(array.n_children):
                    if names[i] is not None:
                        wg_add(array.children[i], row, block_rows, blocks + i * n)
                row += array.length
            finally:
                array.release(&array)
        return {names[i]: [blocks[i * n + k] for k in range(n)] for i in range(len(names)) if names[i] is not None}
    finally:
        free(blocks)


cdef list columns_of(ArrowArrayStream *stream):
    """The names of a frame's columns; None for those without texts."""
    cdef ArrowSchema schema
    cdef ArrowSchema *child
    cdef int64_t i
    memset(&schema, 0, sizeof(schema))
    if stream.release == NULL or stream.get_schema(stream, &schema):
        raise OSError("the frame's Arrow stream failed")
    try:
        if schema.format[0] != b"+" or schema.format[1] != b"s":
            raise TypeError("not a frame")
        found = []
        for i in range(schema.n_children):
            child = schema.children[i]
            of_items = bytes(child.children[0].format) if child.n_children == 1 else b""
            is_text = bytes(child.format) + of_items in (b"vu", b"+Lvu")
            found.append(child.name.decode() if is_text else None)
        return found
    finally:
        schema.release(&schema)


def members(series):
    """The names of the members of a column of JSON objects, as they stand between their quotes: a set of bytes.

    Raises:
        TypeError: a column of another kind than strings.
        ValueError: a text has a string without an end, or a view points outside its buffer.
    """
    capsule = series.__arrow_c_stream__()
    cdef ArrowArrayStream *stream = opened(capsule)
    cdef ArrowArray array
    cdef nm_search *search = <nm_search *>calloc(1, sizeof(nm_search))
    cdef nm_name name
    cdef bint is_found
    found = set()
    if search == NULL:
        raise MemoryError()
    try:
        while next_array(stream, &array):
            # Names point into the array: none is remembered beyond it.
            memset(search, 0, sizeof(nm_search))
            search.array = &array
            search.row = array.offset
            try:
                while True:
                    with nogil:
                        is_found = nm_next(search, &name)
                    if not is_found:
                        break
                    found.add(PyBytes_FromStringAndSize(<const char *>name.text, name.bytes))
            finally:
                array.release(&array)
            if search.is_broken:
                raise ValueError("a text is no JSON, or an Arrow view points outside its buffer")
        return found
    finally:
        free(search)


cdef ArrowArrayStream *opened(capsule) except NULL:
    """The stream of a capsule, which must outlive it, if it is one of strings."""
    cdef ArrowArrayStream *stream = <ArrowArrayStream *>PyCapsule_GetPointer(capsule, "arrow_array_stream")
    cdef ArrowSchema schema
    memset(&schema, 0, sizeof(schema))
    if stream.release == NULL or stream.get_schema(stream, &schema):
        raise OSError("the column's Arrow stream failed")
    found = bytes(schema.format)
    if schema.release != NULL:
        schema.release(&schema)
    if found != b"vu":
        raise TypeError(f"a column of Arrow format {found.decode()!r} has no texts")
    return stream


cdef bint next_array(ArrowArrayStream *stream, ArrowArray *array) except -1:
    memset(array, 0, sizeof(array[0]))
    if stream.get_next(stream, array):
        raise OSError("the column's Arrow stream failed")
    return array.release != NULL
