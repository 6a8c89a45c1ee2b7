# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""The intake kernel: lines of JSON in, Arrow columns out, value for value what `intake.reference` makes (docs/intake.md).

The work is in the C headers below include/intake, without the GIL; here memory is owned and errors are named.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_New
from libc.stdint cimport INT64_MIN, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy, memset

import secrets


cdef extern from "arrow.h":
    struct ArrowArrayStream:
        void (*release)(ArrowArrayStream *) noexcept nogil


cdef extern from "intake/export.h" nogil:
    ctypedef struct locale_t:
        pass

    enum:
        PK_PADDING
        PK_VOTES
        PK_MAX_RANK

    const int64_t PK_NO_TIME
    const int64_t PK_UNSURE

    uint64_t pk_powers[][2]
    const int PK_POWER_FIRST
    const int PK_POWER_LAST

    struct pk_bytes:
        uint8_t *start
        size_t used

    struct pk_leaf:
        uint32_t field
        uint32_t at
        uint32_t bytes

    struct pk_field:
        uint32_t at
        uint32_t bytes
        uint32_t rows
        uint8_t rank

    struct pk_row:
        uint32_t leaf
        uint32_t line
        int64_t us

    struct pk_refused:
        uint32_t at
        uint32_t bytes
        uint32_t line

    struct pk_intake:
        uint64_t seed[2]
        const uint8_t *base
        pk_leaf *leaves
        size_t n_leaves
        pk_row *rows
        size_t n_rows
        pk_refused *refused
        size_t n_refused
        void *nodes
        pk_field *fields
        size_t n_fields
        uint32_t *node_table
        uint32_t *field_table
        pk_bytes names
        pk_bytes scratch
        uint32_t lines
        int is_trusted
        size_t flat_bytes

    struct pk_budget:
        size_t line_bytes
        size_t flat_bytes
        size_t new_names
        size_t refused

    struct pk_order:
        int64_t us
        uint32_t line
        uint32_t row

    struct pk_block:
        int owners
        uint8_t *text
        size_t used
        size_t size

    struct pk_frame:
        int64_t n_rows

    void pk_reset(pk_intake *, size_t max_names, size_t max_name_bytes)
    void pk_sort_rows(const pk_intake *, pk_order *)
    void pk_count_votes(const pk_intake *, const int32_t *slots, uint32_t (*votes)[8])
    void pk_block_drop(pk_block *)
    void pk_frame_drop(pk_frame *)
    pk_frame *pk_frame_new(pk_block *, int64_t rows, const uint32_t *fields, const uint8_t *types, size_t n)
    int pk_stream_make(ArrowArrayStream *, pk_frame *, const char *const *names)
    void pk_stream_release(ArrowArrayStream *)


cdef extern from "intake/entry.h" nogil:
    void pk_set_locale()
    int pk_try_start(pk_intake *)
    int64_t pk_try_scan(pk_intake *, const uint8_t *base, size_t at, size_t end, const pk_budget *)
    int64_t pk_try_field(pk_intake *, const uint8_t *name, size_t n)
    int pk_try_set_time(pk_intake *, size_t row, int64_t us, int is_timestamp)
    int pk_try_fill(pk_intake *, pk_frame *, const pk_order *, const int32_t *slots)


include "include/lines/powers.pxi"


_fill_powers()
pk_set_locale()

NO_TIME = PK_NO_TIME
PADDING = PK_PADDING

# Hostile events bring new names for ever; without a bound a service that runs for weeks would keep them all.
_MAX_NAMES = 400_000
"""Names (keys and dotted names) that are kept from batch to batch, and their bytes: then they are learned again."""
_MAX_NAME_BYTES = 16 * 1024 * 1024

STRING, LONG, DOUBLE, BOOLEAN, DATE, STRINGS, JSON = range(7)  # enum pk_type


cdef class Block:
    """Lines of text, filled from the front. Frames made of it keep its memory; a Block is for one thread at a time."""

    cdef pk_block *block

    def __cinit__(self, size_t capacity):
        self.block = new_block(capacity)

    def __dealloc__(self):
        pk_block_drop(self.block)

    def __len__(self):
        return self.block.used

    def append(self, data):
        """Adds bytes at the end."""
        cdef Py_buffer view
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            self.put(<const uint8_t *>view.buf, view.len)
        finally:
            PyBuffer_Release(&view)

    def append_from(self, Block other, size_t start, size_t stop):
        """Adds other's bytes [start, stop)."""
        if start > stop or stop > other.block.used or other is self:
            raise ValueError("no such bytes")
        self.put(other.block.text + start, stop - start)

    def text(self, size_t start, size_t stop):
        """Its bytes [start, stop), copied."""
        if start > stop or stop > self.block.used:
            raise ValueError("no such bytes")
        return PyBytes_FromStringAndSize(<char *>self.block.text + start, stop - start)

    def last_newline(self):
        """Where the last newline is; -1 if there is none."""
        cdef Py_ssize_t i = self.block.used
        while i > 0:
            i -= 1
            if self.block.text[i] == 10:
                return i
        return -1

    def lines(self, size_t start, size_t stop):
        """How many newlines its bytes [start, stop) have."""
        cdef size_t i, n = 0
        if start > stop or stop > self.block.used:
            raise ValueError("no such bytes")
        for i in range(start, stop):
            n += self.block.text[i] == 10
        return n

    def truncate(self, size_t length):
        """Forgets what lies behind `length`. No frame may have been made of it."""
        if length < self.block.used:
            self.block.used = length
            # Newlines behind the text: no scan of a string or a number goes past one, so that none needs to ask for the
            # end.
            memset(self.block.text + length, 10, PK_PADDING)

    def clear(self):
        """Makes the block empty; its memory is used again if no frame needs it any more."""
        # Frames that were made of it point into its text, and may be read in another thread.
        if self.block.owners == 1:
            self.truncate(0)
            return
        cdef pk_block *fresh = new_block(self.block.size - PK_PADDING)
        pk_block_drop(self.block)
        self.block = fresh

    cdef put(self, const uint8_t *data, size_t n):
        cdef pk_block *wider
        cdef uint8_t *moved
        cdef size_t wanted = self.block.used + n + PK_PADDING
        # Offsets of Arrow's string views are signed 32 bits.
        if wanted >= 1 << 31:
            raise MemoryError("a block holds less than 2 GiB")
        if wanted > self.block.size:
            wanted += wanted // 4
            if self.block.owners == 1:
                moved = <uint8_t *>realloc(self.block.text, wanted)
                if moved == NULL:
                    raise MemoryError()
                self.block.text = moved
                self.block.size = wanted
            else:  # frames point into the old one
                wider = new_block(wanted)
                memcpy(wider.text, self.block.text, self.block.used)
                wider.used = self.block.used
                pk_block_drop(self.block)
                self.block = wider
        memcpy(self.block.text + self.block.used, data, n)
        self.block.used += n
        memset(self.block.text + self.block.used, 10, PK_PADDING)


cdef pk_block *new_block(size_t capacity) except NULL:
    cdef pk_block *block = <pk_block *>calloc(1, sizeof(pk_block))
    if block == NULL:
        raise MemoryError()
    block.owners = 1
    block.size = capacity + PK_PADDING
    block.text = <uint8_t *>malloc(block.size)
    if block.text == NULL:
        free(block)
        raise MemoryError()
    memset(block.text, 10, PK_PADDING)
    return block


cdef class Frame:
    """Columns of some rows, for `polars.DataFrame` or whoever reads the Arrow C stream. Immutable."""

    cdef pk_frame *frame
    cdef list names

    def __dealloc__(self):
        pk_frame_drop(self.frame)

    def __len__(self):
        return self.frame.n_rows

    def __arrow_c_stream__(self, requested_schema=None):
        cdef ArrowArrayStream *stream = <ArrowArrayStream *>calloc(1, sizeof(ArrowArrayStream))
        cdef const char **names = <const char **>calloc(len(self.names), sizeof(char *))
        cdef Py_ssize_t i
        try:
            if stream == NULL or names == NULL:
                raise MemoryError()
            for i in range(len(self.names)):
                names[i] = self.names[i]
            if not pk_stream_make(stream, self.frame, names):
                raise MemoryError()
            return PyCapsule_New(stream, "arrow_array_stream", &free_stream)
        except:
            free(stream)
            raise
        finally:
            free(names)


cdef void free_stream(object capsule) noexcept:
    cdef ArrowArrayStream *stream = <ArrowArrayStream *>PyCapsule_GetPointer(capsule, "arrow_array_stream")
    if stream.release != NULL:
        stream.release(stream)
    free(stream)


cdef class Scanner:
    """Reads batches of lines, one after the other; the names it has learned live on. For one thread at a time."""

    cdef pk_intake k
    cdef tuple time_fields
    cdef pk_order *order
    cdef dict known  # field -> its name, of those asked for
    cdef Block block

    def __cinit__(self, tuple time_fields, seed=None):
        """`time_fields`: fields that may hold an event's time, the first usable counts; `@timestamp` is among them."""
        # Ranks are bits of a mask; 0 is for fields that hold no time.
        if "@timestamp" not in time_fields or len(time_fields) >= PK_MAX_RANK:
            raise ValueError("time_fields needs @timestamp, and may have 15 names")
        memset(&self.k, 0, sizeof(self.k))
        # Unknown to senders, so that nobody can send names whose hashes collide.
        chosen = secrets.randbits(128) if seed is None else seed
        self.k.seed[0] = chosen & 0xFFFFFFFFFFFFFFFF
        self.k.seed[1] = chosen >> 64
        self.time_fields = time_fields
        if not pk_try_start(&self.k):
            raise MemoryError()
        self.reset()

    def __dealloc__(self):
        free(self.k.leaves)
        free(self.k.rows)
        free(self.k.refused)
        free(self.k.nodes)
        free(self.k.fields)
        free(self.k.node_table)
        free(self.k.field_table)
        free(self.k.names.start)
        free(self.k.scratch.start)
        free(self.order)

    @property
    def rows(self):
        """Events of this batch."""
        return self.k.n_rows

    @property
    def lines(self):
        """Lines seen since `begin`."""
        return self.k.lines

    def begin(self):
        """Counts lines from 0 again."""
        self.k.lines = 0

    def reset(self):
        """A new batch: forgets all rows."""
        pk_reset(&self.k, _MAX_NAMES, _MAX_NAME_BYTES)
        free(self.order)
        self.order = NULL
        self.block = None
        if self.k.n_fields == 0:  # at first, and where names were forgotten
            self.known = {}
            self.field("@timestamp")
            for rank, name in enumerate(self.time_fields):
                self.k.fields[<size_t>self.field(name)].rank = rank + 1

    def scan(
        self, Block block, size_t at, size_t end, size_t line_bytes, size_t flat_bytes, size_t new_names,
        size_t refused=0xFFFFFFFF
    ):
        """Scans the lines in block[at:end]; where it stopped, which is before `end` when a budget is used up.

        `line_bytes`: of a line, at most. `flat_bytes`: of the dotted names of all values. `new_names`: of new names. `refused`: lines.
        """
        cdef pk_budget budget
        cdef int64_t stopped
        budget.line_bytes, budget.flat_bytes, budget.new_names, budget.refused = (
            line_bytes, flat_bytes, new_names, refused
        )
        if at > end or end > block.block.used:
            raise ValueError("no such bytes")
        if at < end and block.block.text[end - 1] != 10 and block.block.text[end] != 10:
            raise ValueError("the bytes must end with a line")
        self.block = block
        with nogil:
            stopped = pk_try_scan(&self.k, block.block.text, at, end, &budget)
        if stopped < 0:
            raise MemoryError()
        return stopped

    def refused(self):
        """(line, start, stop) of each line that is not plainly right, for the reference to look at."""
        return [
            (self.k.refused[i].line, self.k.refused[i].at, self.k.refused[i].at + self.k.refused[i].bytes)
            for i in range(self.k.n_refused)
        ]

    def add(self, Block block, bytes text, uint32_t line):
        """Takes in one more event, of a line that was refused, in the reference's own spelling."""
        cdef pk_budget budget
        cdef uint32_t lines = self.k.lines
        cdef size_t at = block.block.used, before = self.k.n_rows
        cdef int64_t stopped
        budget.line_bytes = budget.flat_bytes = budget.new_names = budget.refused = <size_t>-1
        # A newline before it too: the text in front may be a line that is not ended.
        block.append(b"\n" + text + b"\n")
        self.k.lines = line
        self.k.is_trusted = 1
        with nogil:
            stopped = pk_try_scan(&self.k, block.block.text, at + 1, block.block.used - 1, &budget)
        self.k.is_trusted = 0
        self.k.lines = lines
        if stopped < 0:
            raise MemoryError()
        if self.k.n_rows != before + 1:
            raise ValueError("no event in the reference's spelling")

    def rows_before(self, uint32_t line):
        """How many of the batch's events stand in lines before `line`."""
        cdef size_t i, n = 0
        for i in range(self.k.n_rows):
            n += self.k.rows[i].line < line
        return n

    def unsure(self):
        """Rows whose time Python must read."""
        cdef size_t i
        return [i for i in range(self.k.n_rows) if self.k.rows[i].us == PK_UNSURE]

    def times(self, size_t row):
        """The fields of a row that may hold its time, best first: (name, JSON text)."""
        cdef size_t i
        self.check(row)
        # Again: the block may have moved since the scan, when `add` made it grow.
        self.k.base = self.block.block.text
        found = []
        for i in range(self.k.rows[row].leaf, self.k.rows[row + 1].leaf):
            leaf = self.k.leaves[i]
            rank = self.k.fields[leaf.field].rank
            if rank:
                text = PyBytes_FromStringAndSize(<const char *>self.k.base + leaf.at, leaf.bytes)
                found.append((rank, self.time_fields[rank - 1], text))
        return [(name, text) for _, name, text in sorted(found)]

    def set_time(self, size_t row, us, bint is_timestamp):
        """Settles a row's time: microseconds since 1970, or None. `is_timestamp`: it is its @timestamp's."""
        self.check(row)
        if not pk_try_set_time(&self.k, row, PK_NO_TIME if us is None else us, is_timestamp):
            raise MemoryError()

    def arrive(self, int64_t us):
        """Gives all rows without a time this one; how many there were."""
        cdef size_t i, n = 0
        for i in range(self.k.n_rows):
            if self.k.rows[i].us == PK_NO_TIME:
                self.k.rows[i].us = us
                n += 1
        return n

    def present(self, uint32_t least):
        """(field, name, rows) of the fields that at least so many rows have; the commonest first, then by name."""
        cdef size_t i
        found = []
        # From 1: field 0 is @timestamp, which has a column anyway.
        for i in range(1, self.k.n_fields):
            if self.k.fields[i].rows and self.k.fields[i].rows >= least:
                found.append((i, self.name(i), self.k.fields[i].rows))
        found.sort(key=lambda entry: (-entry[2], entry[1]))
        return found

    def votes(self, list fields):
        """What the values of these fields are: a list of 8 counts each, in the order of `enum pk_vote`."""
        cdef size_t n = len(fields), i
        cdef int32_t *slots = <int32_t *>malloc((self.k.n_fields + 1) * sizeof(int32_t))
        cdef uint32_t (*votes)[8]
        votes = <uint32_t (*)[8]>calloc(n + 1, sizeof(votes[0]))
        try:
            if slots == NULL or votes == NULL:
                raise MemoryError()
            self.k.base = self.block.block.text
            for i in range(self.k.n_fields):
                slots[i] = -1
            for i in range(n):
                slots[self.checked(fields[i])] = <int32_t>i
            with nogil:
                pk_count_votes(&self.k, slots, votes)
            return [[votes[i][j] for j in range(PK_VOTES)] for i in range(n)]
        finally:
            free(slots)
            free(votes)

    def sort(self):
        """Puts the rows in the order of their times; of equals, the one that came first is first."""
        free(self.order)
        # One more than needed: malloc of nothing may give NULL, which would look like no memory.
        self.order = <pk_order *>malloc((self.k.n_rows + 1) * sizeof(pk_order))
        if self.order == NULL:
            raise MemoryError()
        with nogil:
            pk_sort_rows(&self.k, self.order)

    def frame(self, size_t start, size_t stop, list fields, list names, list types):
        """Rows [start, stop) in the order of `sort`: @timestamp, the fields in columns of the types, the overflow.

        Columns without a value are left out. `types` are STRING, LONG ... of this module.
        """
        cdef size_t n = len(fields), i
        cdef uint32_t *ids = <uint32_t *>malloc((n + 1) * sizeof(uint32_t))
        cdef uint8_t *kinds = <uint8_t *>malloc(n + 1)
        cdef int32_t *slots = <int32_t *>calloc(self.k.n_fields + 1, sizeof(int32_t))
        cdef Frame made = Frame()
        cdef int done
        try:
            if ids == NULL or kinds == NULL or slots == NULL:
                raise MemoryError()
            if self.order == NULL or start > stop or stop > self.k.n_rows or <size_t>len(names) != n or <size_t>len(types) != n:
                raise ValueError("no such rows or columns")
            for i in range(n):
                ids[i] = self.checked(fields[i])
                slots[ids[i]] = <int32_t>i + 1
                if not 0 <= types[i] <= JSON:
                    raise ValueError("no such type")
                kinds[i] = types[i]
            self.k.base = self.block.block.text
            made.names = [b"@timestamp", *(name.encode() for name in names), b"_overflow"]
            made.frame = pk_frame_new(self.block.block, stop - start, ids, kinds, n)
            if made.frame == NULL:
                raise MemoryError()
            with nogil:
                done = pk_try_fill(&self.k, made.frame, self.order + start, slots)
            if not done:
                raise MemoryError()
            return made
        finally:
            free(ids)
            free(kinds)
            free(slots)

    cdef check(self, size_t row):
        if row >= self.k.n_rows:
            raise IndexError(row)

    cdef uint32_t checked(self, size_t field) except? 0:
        if not 0 < field < self.k.n_fields:
            raise IndexError(field)
        return <uint32_t>field

    cdef field(self, str name):
        text = name.encode()
        cdef const uint8_t *start = text
        found = pk_try_field(&self.k, start, len(text))
        if found < 0:
            raise MemoryError()
        return found

    cdef name(self, size_t field):
        found = self.known.get(field)
        if found is None:
            start = <const char *>self.k.names.start + self.k.fields[field].at
            found = self.known[field] = PyBytes_FromStringAndSize(start, self.k.fields[field].bytes).decode()
        return found
