# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""The compiled kernel: Arrow C stream in, JSON Lines out, byte for byte what `reference` writes (docs/encoding.md).

The work is in the C headers beside this file; here capsules are opened, errors named and memory owned.
"""

from cpython.buffer cimport PyBuffer_FillInfo
from cpython.bytes cimport PyBytes_AS_STRING
from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy, memset

import json



cdef extern from "arrow.h":
    struct ArrowSchema:
        const char *format
        const char *name
        int64_t n_children
        ArrowSchema **children
        void (*release)(ArrowSchema *) noexcept nogil

    struct ArrowArray:
        int64_t length
        int64_t null_count
        int64_t offset
        int64_t n_children
        const void **buffers
        int64_t n_buffers
        ArrowArray **children
        void (*release)(ArrowArray *) noexcept nogil

    struct ArrowArrayStream:
        int (*get_schema)(ArrowArrayStream *, ArrowSchema *) noexcept nogil
        int (*get_next)(ArrowArrayStream *, ArrowArray *) noexcept nogil
        const char *(*get_last_error)(ArrowArrayStream *) noexcept nogil
        void (*release)(ArrowArrayStream *) noexcept nogil


cdef extern from "lines/rows.h" nogil:
    enum pk_error:
        PK_OK
        PK_NO_MEMORY
        PK_BAD_ARRAY
        PK_BAD_JSON
        PK_BAD_TIME
        PK_BAD_OVERFLOW

    enum pk_kind:
        PK_NULL

    struct pk_output:
        uint8_t *start
        uint8_t *end
        pk_error error
        pk_mark *marks
        size_t n_marks
        int keeps_marks

    struct pk_mark:
        pass

    struct pk_column:
        pk_kind kind
        int64_t offset
        int64_t length
        bint all_null
        uint16_t mark_column

    struct pk_field:
        const uint8_t *key
        uint32_t key_bytes

    struct pk_layout:
        uint32_t n_fields
        pk_field *fields
        uint32_t slots
        uint32_t *table
        size_t row_bound

    struct pk_span:
        int64_t row

    struct pk_batch:
        const pk_layout *layout
        pk_column **columns
        uint32_t *active
        uint32_t n_active
        pk_column *overflow
        pk_span *spans
        int64_t length
        int64_t row
        uint32_t failed_field

    const int PK_COLUMNS
    const int PK_KEY_STEP
    const int PK_POWER_FIRST
    const int PK_POWER_LAST
    uint64_t pk_powers[][2]

    void pk_text_init()
    void pk_layout_finish(pk_layout *)
    pk_column *pk_column_open(const ArrowSchema *, int raw, int depth, const char **unknown)
    int pk_column_bind(pk_column *, const ArrowArray *)
    void pk_column_close(pk_column *)
    int pk_is_string(const pk_column *)
    uint8_t *pk_put_rows(pk_output *, uint8_t *, pk_batch *, size_t enough)


cdef object _CAUSES = {
    PK_BAD_ARRAY: "an Arrow offset points outside its buffer",
    PK_BAD_JSON: "a JSON text is empty or holds a control character",
    PK_BAD_TIME: "a time lies outside the years 0001 to 9999",
    PK_BAD_OVERFLOW: "the overflow is not one compact JSON object",
}


include "include/lines/powers.pxi"


pk_text_init()
_fill_powers()


cdef class LineBuffer:
    """Memory with lines in it; bytes-like. What memoryviews show never changes while they live."""

    cdef pk_output out
    cdef size_t used
    cdef int exports

    def __cinit__(self, size_t capacity):
        self.out.start = <uint8_t *>malloc(capacity)
        if self.out.start == NULL:
            raise MemoryError()
        self.out.end = self.out.start + capacity

    def __dealloc__(self):
        free(self.out.start)
        free(self.out.marks)

    def __len__(self):
        return self.used

    def __getbuffer__(self, Py_buffer *view, int flags):
        # Read-only. While somebody looks, `_free_buffer` does not hand the memory out again.
        PyBuffer_FillInfo(view, self, self.out.start, self.used, 1, flags)
        self.exports += 1

    def __releasebuffer__(self, Py_buffer *view):
        self.exports -= 1

    cdef trim(self):
        """Give back what was reserved and not needed."""
        cdef uint8_t *block = <uint8_t *>realloc(self.out.start, self.used if self.used else 1)
        # A realloc that shrinks may fail as well; the larger block then serves.
        if block != NULL:
            self.out.start = block
            self.out.end = block + self.used


cdef class Marks:
    """Where the values of a buffer's lines begin and end, for the deflater (marks.h); bytes-like."""

    cdef LineBuffer lines

    def __cinit__(self, LineBuffer lines):
        self.lines = lines

    def __getbuffer__(self, Py_buffer *view, int flags):
        cdef pk_output *out = &self.lines.out
        PyBuffer_FillInfo(view, self, out.marks, <Py_ssize_t>(out.n_marks * sizeof(pk_mark)), 1, flags)
        self.lines.exports += 1

    def __releasebuffer__(self, Py_buffer *view):
        self.lines.exports -= 1


cdef class Layout:
    """A selection of fields, laid out for the kernel. Immutable; safe to share between threads."""

    cdef pk_layout layout
    cdef bytes keys
    cdef readonly tuple fields
    cdef readonly frozenset json_fields
    cdef readonly str overflow
    cdef readonly frozenset reserved

    def __cinit__(self, tuple fields, frozenset json_fields, str overflow, frozenset reserved):
        """`fields` in the order of writing; `json_fields`: those whose column holds JSON text.

        `overflow` names the column with the fields that have none of their own; the columns `reserved` are never read
        as fields, since an event's own field may have such a name.
        """
        cdef Py_ssize_t at = 0
        cdef uint32_t f, n = <uint32_t>len(fields), slots = 1
        # At most half full: a look-up of a name that was not asked for must meet a free slot soon.
        while slots < 2 * n + 1:
            slots *= 2
        self.fields = fields
        self.json_fields = json_fields
        self.overflow = overflow
        self.reserved = reserved
        keys = [f",{json.dumps(name, ensure_ascii=False)}:".encode() for name in fields]
        # Padded, so that a key is copied in whole steps without a look at its length.
        padded = [-(-len(key) // PK_KEY_STEP) * PK_KEY_STEP for key in keys]
        self.keys = b"".join(key.ljust(size, b"\0") for key, size in zip(keys, padded))
        self.layout.n_fields = n
        self.layout.slots = slots
        self.layout.fields = <pk_field *>calloc(n if n else 1, sizeof(pk_field))
        self.layout.table = <uint32_t *>calloc(slots, sizeof(uint32_t))
        if self.layout.fields == NULL or self.layout.table == NULL:
            raise MemoryError()
        for f in range(n):
            self.layout.fields[f].key = <const uint8_t *>PyBytes_AS_STRING(self.keys) + at
            self.layout.fields[f].key_bytes = <uint32_t>len(keys[f])
            at += padded[f]
        pk_layout_finish(&self.layout)

    def __dealloc__(self):
        free(self.layout.fields)
        free(self.layout.table)

    def encode(self, frame):
        """(LineBuffer, events) of a whole frame."""
        cdef Writer writer = Writer(self, frame)
        cdef LineBuffer lines = LineBuffer(self.layout.row_bound + 65536)
        events = writer.fill(lines, <size_t>-1)
        lines.trim()
        return lines, events

    def chunks(self, frame, size_t chunk_bytes):
        """Yields (memoryview, events, memoryview of marks): whole lines, each piece ended by the row that brings it to
        `chunk_bytes`."""
        cdef Writer writer = Writer(self, frame)
        cdef LineBuffer lines
        buffers = []
        while True:
            lines = _free_buffer(buffers, chunk_bytes + self.layout.row_bound + 65536)
            events = writer.fill(lines, chunk_bytes)
            if not events:
                return
            yield memoryview(lines), events, memoryview(Marks(lines))


cdef LineBuffer _free_buffer(list buffers, size_t capacity):
    """A buffer nobody looks at any more, or a new one."""
    cdef LineBuffer lines
    for lines in buffers:
        # The caller of the piece before may still hold it, in a queue for instance: then there is one buffer more.
        if not lines.exports:
            return lines
    lines = LineBuffer(capacity)
    lines.out.keeps_marks = 1
    buffers.append(lines)
    return lines


cdef class Writer:
    """A frame on its way: its stream, the batch at hand, and the row to write next."""

    cdef Layout layout
    cdef object capsule
    cdef ArrowArrayStream *stream
    cdef ArrowArray array
    cdef pk_batch batch
    cdef pk_column *overflow
    cdef list places  # child of the stream's struct for each field; -1: none
    cdef int64_t overflow_place
    cdef int64_t n_children
    cdef bint ended

    def __cinit__(self, Layout layout, frame):
        cdef uint32_t n = layout.layout.n_fields
        self.layout = layout
        self.batch.layout = &layout.layout
        self.batch.columns = <pk_column **>calloc(n + 1, sizeof(pk_column *))
        self.batch.active = <uint32_t *>calloc(n + 1, sizeof(uint32_t))
        self.batch.spans = <pk_span *>calloc(n + 1, sizeof(pk_span))
        if self.batch.columns == NULL or self.batch.active == NULL or self.batch.spans == NULL:
            raise MemoryError()
        self.capsule = frame.__arrow_c_stream__()
        self.stream = <ArrowArrayStream *>PyCapsule_GetPointer(self.capsule, "arrow_array_stream")
        self.open_columns()

    def __dealloc__(self):
        cdef uint32_t f
        if self.batch.columns != NULL:
            for f in range(self.layout.layout.n_fields):
                pk_column_close(self.batch.columns[f])
        pk_column_close(self.overflow)
        free(self.batch.columns)
        free(self.batch.active)
        free(self.batch.spans)
        if self.array.release != NULL:
            self.array.release(&self.array)

    cdef open_columns(self):
        cdef ArrowSchema schema
        cdef uint32_t f
        memset(&schema, 0, sizeof(schema))
        # Arrow's sign that somebody has taken the stream: its pointers mean nothing any more.
        if self.stream.release == NULL:
            raise TypeError("the frame's Arrow stream was used before")
        self.check(self.stream.get_schema(self.stream, &schema))
        try:
            if schema.format != b"+s":
                raise TypeError("the frame's Arrow stream holds no table")
            self.n_children = schema.n_children
            names = {}
            for child in range(schema.n_children):
                # Of two columns of one name the first counts, as a look-up by name does elsewhere.
                names.setdefault(schema.children[child].name.decode(), child)
            self.places = []
            for f, name in enumerate(self.layout.fields):
                place = -1 if name in self.layout.reserved else names.get(name, -1)
                self.places.append(place)
                if place >= 0:
                    raw = name in self.layout.json_fields
                    self.batch.columns[f] = open_column(schema.children[<int64_t>place], name, raw)
                    # The deflater has tables for so many columns; two that share one cost some matches, never a byte of
                    # output.
                    self.batch.columns[f].mark_column = <uint16_t>(f % PK_COLUMNS)
            self.overflow_place = names.get(self.layout.overflow, -1)
            if self.overflow_place >= 0:
                self.overflow = open_column(schema.children[self.overflow_place], self.layout.overflow, True)
        finally:
            if schema.release != NULL:
                schema.release(&schema)

    cdef check(self, int status):
        cdef const char *message
        if status:
            message = self.stream.get_last_error(self.stream)
            raise OSError(status, "the frame's Arrow stream failed: " + (message.decode(errors="replace") if message else ""))

    cdef bint next_batch(self) except -1:
        """Bind the stream's next batch; False at its end."""
        cdef int status
        cdef uint32_t f
        if self.array.release != NULL:
            self.array.release(&self.array)
        memset(&self.array, 0, sizeof(self.array))
        with nogil:
            status = self.stream.get_next(self.stream, &self.array)
        self.check(status)
        if self.array.release == NULL:
            return False
        # A struct may have nulls of its own in Arrow. Rows of a table have none, and the loop over rows does not ask.
        if self.array.n_children != self.n_children or (self.array.n_buffers and self.array.null_count > 0 and self.array.buffers[0]):
            raise TypeError("a batch of the frame's Arrow stream has missing rows or columns")
        self.batch.length = self.array.length
        self.batch.row = 0
        self.batch.n_active = 0
        for f in range(self.layout.layout.n_fields):
            # Row numbers begin again at 0: a span of the batch before must not count.
            self.batch.spans[f].row = -1
            if self.batch.columns[f] != NULL:
                self.bind(self.batch.columns[f], self.places[f])
                if not self.batch.columns[f].all_null:
                    self.batch.active[self.batch.n_active] = f
                    self.batch.n_active += 1
        self.batch.overflow = NULL
        if self.overflow != NULL:
            self.bind(self.overflow, self.overflow_place)
            if not self.overflow.all_null:
                self.batch.overflow = self.overflow
        return True

    cdef bind(self, pk_column *column, int64_t place):
        if not pk_column_bind(column, self.array.children[place]) or column.length < self.array.offset + self.array.length:
            raise TypeError("a batch of the frame's Arrow stream does not match its schema")
        # The struct's offset applies to its children besides their own (Arrow columnar format, "Struct Layout").
        column.offset += self.array.offset

    cdef fill(self, LineBuffer lines, size_t enough):
        """Write rows into an unused buffer until it holds `enough`; how many. 0: the frame is at its end."""
        cdef uint8_t *at = lines.out.start
        cdef int64_t before, events = 0
        lines.used = 0
        lines.out.n_marks = 0
        while not self.ended and lines.used < enough:
            if self.batch.row == self.batch.length and not self.next_batch():
                self.ended = True
                break
            before = self.batch.row
            with nogil:
                at = pk_put_rows(&lines.out, at, &self.batch, enough)
            if at == NULL:
                self.fail(lines.out.error)
            events += self.batch.row - before
            lines.used = at - lines.out.start
        return events

    cdef fail(self, pk_error error):
        if error == PK_NO_MEMORY:
            raise MemoryError()
        fields = self.layout.fields + (self.layout.overflow,)
        name = fields[self.batch.failed_field]
        raise ValueError(f"field {name!r}: {_CAUSES[error]}")


cdef pk_column *open_column(ArrowSchema *schema, name, bint raw) except NULL:
    # Tells the two ways to fail apart: NULL without a format means that there was no memory.
    cdef const char *unknown = NULL
    cdef pk_column *column = pk_column_open(schema, raw, 0, &unknown)
    if column == NULL and unknown == NULL:
        raise MemoryError()
    if column == NULL:
        kind = "JSON text" if raw else "JSON"
        raise TypeError(f"field {name!r}: no {kind} form for a column of Arrow format {unknown.decode()!r}")
    return column
