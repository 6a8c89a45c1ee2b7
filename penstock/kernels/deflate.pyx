# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""The compiled deflater: lines in, one segment of raw deflate out. The work is in include/deflate; here memory is owned."""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.stdlib cimport free, realloc


cdef extern from "deflate/deflate.h" nogil:
    struct pk_deflate:
        size_t begin
        size_t end

    struct pk_mark:
        uint32_t start
        uint32_t end
        uint16_t column
        uint16_t kind

    enum pk_level:
        PK_FASTEST
        PK_FAST

    enum pk_mark_kind:
        PK_MARK_PLAIN

    const size_t PK_BLOCK_BOUND

    void pk_deflate_init()
    void pk_clear_upper_halves()
    pk_deflate *pk_deflate_new()
    void pk_deflate_begin(pk_deflate *, pk_level)
    size_t pk_deflate_take(pk_deflate *, const uint8_t *, size_t, size_t, const pk_mark **, const pk_mark *)
    int pk_is_full(const pk_deflate *)
    uint8_t *pk_deflate_block(pk_deflate *, uint8_t *)
    uint8_t *pk_deflate_flush(pk_deflate *, uint8_t *)


pk_deflate_init()

cdef struct Workspace:
    pk_deflate *state
    uint8_t *out
    size_t capacity


# One for each thread that may encode at once on a large machine; each keeps 1.6 MiB and its output.
cdef enum:
    MOST_SPARE = 16

cdef Workspace spare[MOST_SPARE]
cdef size_t n_spare = 0


cdef Workspace take_workspace() noexcept:
    """One that was used before, whose pages are there already, or a new one. Under the GIL."""
    global n_spare
    cdef Workspace new
    if n_spare:
        n_spare -= 1
        return spare[n_spare]
    new.state = pk_deflate_new()
    new.out = NULL
    new.capacity = 0
    return new


cdef void give_back(Workspace used) noexcept:
    """Keeps it for the next segment, or frees it. Under the GIL."""
    global n_spare
    if used.state != NULL and n_spare < MOST_SPARE:
        spare[n_spare] = used
        n_spare += 1
    else:
        free(used.state)
        free(used.out)


def clear_upper_halves():
    """Zeroes the upper halves of this thread's wide registers, which ISA-L's checksums leave dirty: what runs after them is
    up to 29 % slower otherwise (docs/encoding.md)."""
    pk_clear_upper_halves()


cdef class Deflater:
    """One segment in the making. Of one thread at a time."""

    cdef Workspace own
    cdef size_t used

    def __cinit__(self, level="fast"):
        """`level`: `fastest` or `fast`."""
        if level not in ("fastest", "fast"):
            raise ValueError(f"no level {level!r}")
        self.own = take_workspace()
        if self.own.state == NULL:
            raise MemoryError()
        pk_deflate_begin(self.own.state, PK_FASTEST if level == "fastest" else PK_FAST)

    def __dealloc__(self):
        # Whatever `__cinit__` came to: without a state it only frees.
        give_back(self.own)

    def add(self, const uint8_t[::1] lines not None, const uint8_t[::1] marks=None):
        """Deflate some more; nothing of it need be seen before `finish`. Without the GIL.

        `marks`: where the values of the lines are, as `Layout.chunks` says; without them the lines are taken as plain text.
        The lines of a segment all have marks, or none.
        """
        cdef size_t size = <size_t>lines.shape[0]
        cdef pk_mark plain
        cdef const pk_mark *first = &plain
        cdef size_t n_marks = 1
        cdef bint enough
        if not size:
            return
        # Cut anywhere: plain text is one, however it is cut.
        if size > <uint32_t>-1:  # marks count in 32 bits
            for start in range(0, lines.shape[0], 1 << 30):
                self.add(lines[start : start + (1 << 30)])
            return
        if marks is not None and marks.shape[0]:
            first = <const pk_mark *>&marks[0]
            n_marks = <size_t>marks.shape[0] // sizeof(pk_mark)
        # One mark over everything stands for lines of which nothing is known.
        plain.start = 0
        plain.end = <uint32_t>size
        plain.column = 0
        plain.kind = PK_MARK_PLAIN
        with nogil:
            # The caller has just computed a checksum of these lines by ISA-L.
            pk_clear_upper_halves()
            enough = self.take(&lines[0], size, first, first + n_marks)
        if not enough:
            raise MemoryError()

    cdef bint take(self, const uint8_t *lines, size_t size, const pk_mark *first, const pk_mark *last) noexcept nogil:
        """False without memory."""
        cdef size_t at = 0
        while at < size:
            at += pk_deflate_take(self.own.state, lines + at, size - at, at, &first, last)
            if pk_is_full(self.own.state) and not self.write_block():
                return False
        return True

    def finish(self):
        """The whole segment, ended by a full flush."""
        cdef bint enough = True
        with nogil:
            if self.own.state.end > self.own.state.begin:
                enough = self.write_block()
            if enough and self.reserve():
                self.used = pk_deflate_flush(self.own.state, self.own.out + self.used) - self.own.out
            else:
                enough = False
        if not enough:
            raise MemoryError()
        return PyBytes_FromStringAndSize(<char *>self.own.out, <Py_ssize_t>self.used)

    cdef bint write_block(self) noexcept nogil:
        if not self.reserve():
            return False
        self.used = pk_deflate_block(self.own.state, self.own.out + self.used) - self.own.out
        return True

    cdef bint reserve(self) noexcept nogil:
        """Room for one more block; False without memory."""
        cdef size_t wanted
        cdef uint8_t *grown
        if self.own.capacity - self.used >= PK_BLOCK_BOUND:
            return True
        # Grows by half, so that a segment of many blocks is moved a few times only.
        wanted = self.own.capacity + self.own.capacity // 2 + 2 * PK_BLOCK_BOUND
        grown = <uint8_t *>realloc(self.own.out, wanted)
        if grown == NULL:
            return False
        self.own.out = grown
        self.own.capacity = wanted
        return True
