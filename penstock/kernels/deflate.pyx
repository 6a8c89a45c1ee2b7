# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""The compiled deflater: lines in, one segment of raw deflate out. The work is in deflate.h; here memory is owned."""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t
from libc.stdlib cimport free, realloc


cdef extern from "deflate/deflate.h" nogil:
    struct pk_deflate:
        size_t begin
        size_t end

    const size_t PK_BLOCK
    const size_t PK_BLOCK_BOUND

    void pk_deflate_init()
    pk_deflate *pk_deflate_new()
    void pk_deflate_begin(pk_deflate *)
    size_t pk_deflate_take(pk_deflate *, const uint8_t *, size_t)
    uint8_t *pk_deflate_block(pk_deflate *, uint8_t *)
    uint8_t *pk_deflate_flush(pk_deflate *, uint8_t *)


pk_deflate_init()

cdef struct Workspace:
    pk_deflate *state
    uint8_t *out
    size_t capacity


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


cdef class Deflater:
    """One segment in the making. Of one thread at a time."""

    cdef Workspace own
    cdef size_t used

    def __cinit__(self):
        self.own = take_workspace()
        if self.own.state == NULL:
            raise MemoryError()
        pk_deflate_begin(self.own.state)

    def __dealloc__(self):
        give_back(self.own)

    def add(self, const uint8_t[::1] lines not None):
        """Deflate some more; nothing of it need be seen before `finish`. Without the GIL."""
        cdef size_t size = <size_t>lines.shape[0]
        cdef const uint8_t *at
        cdef size_t taken
        cdef bint enough = True
        if not size:
            return
        at = &lines[0]
        with nogil:
            while size and enough:
                taken = pk_deflate_take(self.own.state, at, size)
                at += taken
                size -= taken
                if self.own.state.end - self.own.state.begin == PK_BLOCK:
                    enough = self.write_block()
        if not enough:
            raise MemoryError()

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
        wanted = self.own.capacity + self.own.capacity // 2 + 2 * PK_BLOCK_BOUND
        grown = <uint8_t *>realloc(self.own.out, wanted)
        if grown == NULL:
            return False
        self.own.out = grown
        self.own.capacity = wanted
        return True
