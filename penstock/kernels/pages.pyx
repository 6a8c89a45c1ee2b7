# cython: language_level=3, boundscheck=False, initializedcheck=False
"""The pages kernel: single rows out of our own Parquet files, and rows whose text may hold a literal.

A scan that filters reads, checks and copies every value of a page; this looks at pages where they lie and takes out the
few values that are wanted. It knows what our own files have (include/pages) and says `Unfit` to all else. Polars, which
reads the same files, is the specification.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy, memset


cdef extern from "pages/chunk.h" nogil:
    enum pg_result:
        PG_OK
        PG_UNFIT
        PG_NO_MEMORY
        PG_MANY

    enum:
        PG_STOP
        PG_BINARY
        PG_LIST
        PG_STRUCT
        PG_INT64
        PG_DOUBLES
        PG_STRINGS
        PG_UNPACKED
        PG_LZ4

    struct pg_reader:
        const uint8_t *at
        const uint8_t *end
        int bad

    struct pg_chunk:
        const uint8_t *at
        const uint8_t *end
        int64_t type
        int64_t codec
        int optional
        uint32_t rows

    struct pg_found:
        uint8_t *bytes
        uint32_t *rows
        uint64_t *ends
        uint8_t *valid
        size_t n
        size_t used

    struct pg_literal:
        pass

    int pg_field(pg_reader *, int64_t *)
    uint64_t pg_list(pg_reader *, int *)
    int64_t pg_integer(pg_reader *)
    const uint8_t *pg_binary(pg_reader *, size_t *)
    void pg_skip(pg_reader *, int, int)
    void pg_literal_set(pg_literal *, const uint8_t *, size_t)
    int pg_take(const pg_chunk *, const uint32_t *, size_t, pg_found *)
    int pg_search(const pg_chunk *, uint32_t, uint32_t, const pg_literal *, size_t, int, size_t, pg_found *)
    int pg_anywhere(const pg_chunk *, int, const pg_literal *, size_t, int, int *)
    void pg_found_drop(pg_found *)


LONG, DOUBLE, STRING = PG_INT64, PG_DOUBLES, PG_STRINGS
MICROSECONDS = 10
"""The converted type of instants."""

_MOST_ROWS = 1 << 24
_MOST_VALUES = (1 << 32) - 1
_INT32 = 5
_OPTIONAL, _REPEATED = 1, 2


class Unfit(ValueError):
    """The file has what this kernel does not read, or is damaged: let Polars read it."""


cdef class File:
    """A Parquet file in memory (bytes or a map).

    Attributes:
        rows: the rows of each row group.
    """

    cdef Py_buffer _view
    cdef bint _is_open
    cdef readonly list rows
    cdef list _chunks  # for each row group: name -> (type, codec, optional, start, length)
    cdef dict _leaves  # name -> (type, optional, converted type)
    cdef set _lists  # names of columns that are lists of strings

    def __cinit__(self, content):
        PyObject_GetBuffer(content, &self._view, PyBUF_SIMPLE)
        self._is_open = True
        self.rows, self._chunks, self._leaves, self._lists = [], [], {}, set()
        cdef const uint8_t *start = <const uint8_t *>self._view.buf
        cdef uint64_t size = <uint64_t>self._view.len, length
        if size < 12 or memcmp(start + size - 4, b"PAR1", 4):
            raise Unfit("no Parquet file")
        cdef const uint8_t *tail = start + size - 8
        length = tail[0] | <uint64_t>tail[1] << 8 | <uint64_t>tail[2] << 16 | <uint64_t>tail[3] << 24
        if length > size - 12:
            raise Unfit("no footer")
        cdef pg_reader r
        r.at, r.end, r.bad = tail - length, tail, 0
        self._footer(&r)
        if r.bad:
            raise Unfit("the footer is damaged")

    def __dealloc__(self):
        self.close()

    def close(self):
        """Lets go of the bytes."""
        if self._is_open:
            self._is_open = False
            PyBuffer_Release(&self._view)

    cdef _footer(self, pg_reader *r):
        cdef int64_t id = 0
        cdef int kind, inner
        cdef uint64_t n
        while True:
            kind = pg_field(r, &id)
            if kind == PG_STOP:
                return
            if id == 2 and kind == PG_LIST:
                n = pg_list(r, &inner)
                self._schema(r, n)
            elif id == 4 and kind == PG_LIST:
                n = pg_list(r, &inner)
                for _ in range(n):
                    if not r.bad:
                        self._row_group(r)
            else:
                pg_skip(r, kind, 0)

    cdef _schema(self, pg_reader *r, uint64_t n):
        """The flat columns: children of the root that have none themselves. And lists of strings, of three levels."""
        waiting, top, leaves = [0], None, {}
        for place in range(n):
            if r.bad:
                return
            name, kind, repetition, children, converted = self._element(r)
            if place == 0:
                waiting = [children]
                continue
            while waiting and waiting[-1] == 0:
                waiting.pop()
            if not waiting:
                raise Unfit("the schema is damaged")
            waiting[-1] -= 1
            if len(waiting) == 1:
                top = name
            if children:
                waiting.append(children)
            elif len(waiting) == 1 and repetition != _REPEATED:
                self._leaves[name] = (kind, repetition == _OPTIONAL, converted)
            else:
                leaves.setdefault(top, []).append((kind, len(waiting)))
        self._lists = {top for top, found in leaves.items() if found == [(PG_STRINGS, 3)]}

    cdef _element(self, pg_reader *r):
        cdef int64_t id = 0
        cdef int kind
        cdef size_t size
        cdef const uint8_t *text
        name, found = b"", {1: -1, 3: 0, 5: 0, 6: -1}
        while True:
            kind = pg_field(r, &id)
            if kind == PG_STOP:
                return name, found[1], found[3], found[5], found[6]
            if id == 4 and kind == PG_BINARY:
                text = pg_binary(r, &size)
                name = PyBytes_FromStringAndSize(<const char *>text, size)
            elif kind == _INT32 and id in found:
                found[id] = pg_integer(r)
            elif id == 10 and kind == PG_STRUCT:
                found[6] = self._logical_type(r, 0, found[6])
            else:
                pg_skip(r, kind, 0)

    cdef _logical_type(self, pg_reader *r, int depth, found):
        """The converted type that a logical type of microseconds stands for; `found` for all others."""
        cdef int64_t id = 0
        cdef int kind
        while True:
            kind = pg_field(r, &id)
            if kind == PG_STOP:
                return found
            if kind == PG_STRUCT and id == (8, 2, 2)[depth] and depth < 2:
                found = self._logical_type(r, depth + 1, found)
            else:
                if kind == PG_STRUCT and depth == 2 and id == 2:
                    found = MICROSECONDS
                pg_skip(r, kind, 0)

    cdef _row_group(self, pg_reader *r):
        cdef int64_t id = 0
        cdef int kind, inner
        cdef uint64_t n
        chunks, rows = {}, -1
        while True:
            kind = pg_field(r, &id)
            if kind == PG_STOP:
                break
            if id == 1 and kind == PG_LIST:
                n = pg_list(r, &inner)
                for _ in range(n):
                    if not r.bad:
                        self._column(r, chunks)
            elif id == 3 and kind == 6:
                rows = pg_integer(r)
            else:
                pg_skip(r, kind, 0)
        if not 0 <= rows <= _MOST_ROWS:
            raise Unfit("a row group without rows, or with more than ours have")
        self.rows.append(rows)
        self._chunks.append(chunks)

    cdef _column(self, pg_reader *r, dict chunks):
        cdef int64_t id = 0
        cdef int kind
        while True:
            kind = pg_field(r, &id)
            if kind == PG_STOP:
                return
            if id == 3 and kind == PG_STRUCT:
                self._column_data(r, chunks)
            else:
                pg_skip(r, kind, 0)

    cdef _column_data(self, pg_reader *r, dict chunks):
        cdef int64_t id = 0
        cdef int kind, inner
        cdef uint64_t n
        cdef size_t size
        cdef const uint8_t *text
        name, found = None, {1: -1, 4: -1, 5: -1, 7: -1, 9: -1, 11: 0}
        while True:
            kind = pg_field(r, &id)
            if kind == PG_STOP:
                break
            if id == 3 and kind == PG_LIST:
                n = pg_list(r, &inner)
                for place in range(n):
                    text = pg_binary(r, &size)
                    if place == 0:
                        name = PyBytes_FromStringAndSize(<const char *>text, size)
            elif (kind == _INT32 or kind == 6) and id in found:
                found[id] = pg_integer(r)
            else:
                pg_skip(r, kind, 0)
        if name in self._leaves or name in self._lists:
            start = found[11] if 0 < found[11] < found[9] else found[9]
            chunks[name] = (found[1], found[4], found[5], start, found[7])

    def weight(self, str name):
        """Packed bytes of a column in the file; of a column that is not flat: None."""
        key = name.encode("utf-8", "surrogatepass")
        return sum(chunks[key][4] for chunks in self._chunks if key in chunks) if key in self._leaves else None

    def kind(self, str name):
        """(physical type, converted type) of a column that can be read here; None for all others."""
        key = name.encode("utf-8", "surrogatepass")
        if key not in self._leaves:
            return None
        physical, _, converted = self._leaves[key]
        fits = all(key in chunks and chunks[key][0] == physical and chunks[key][1] in (PG_LZ4, PG_UNPACKED)
                   for chunks in self._chunks)
        return (physical, converted) if fits and physical in (PG_INT64, PG_DOUBLES, PG_STRINGS) else None

    cdef int _chunk(self, int group, str name, pg_chunk *chunk) except -1:
        if not self._is_open:
            raise Unfit("closed")
        key = name.encode("utf-8", "surrogatepass")
        if key not in self._chunks[group]:
            raise Unfit("no such column")
        kind, codec, values, start, length = self._chunks[group][key]
        if start < 0 or length < 0 or start + length > self._view.len:
            raise Unfit("a column lies elsewhere")
        chunk.at = <const uint8_t *>self._view.buf + <int64_t>start
        chunk.end = chunk.at + <int64_t>length
        chunk.type, chunk.codec = kind, codec
        if key in self._lists:
            if not 0 <= values <= _MOST_VALUES:
                raise Unfit("a list with more values than ours have")
            chunk.rows, chunk.optional = values, True
            return 0
        if values != self.rows[group]:
            raise Unfit("a column of another length")
        chunk.rows, chunk.optional = self.rows[group], self._leaves[key][1]
        return 0

    def take(self, int group, str name, const uint32_t[::1] rows):
        """The values of some rows of a row group, ascending: strings or None; or numbers as `(bytes, valid bytes)`.

        Raises:
            Unfit: the column is of another kind, or damaged.
        """
        cdef pg_chunk chunk
        cdef pg_found found
        cdef int result
        _clear(&found)
        self._chunk(group, name, &chunk)
        if name.encode("utf-8", "surrogatepass") in self._lists:
            raise Unfit("a list")
        if rows.shape[0] == 0:
            return [] if chunk.type == PG_STRINGS else (b"", b"")
        with nogil:
            result = pg_take(&chunk, &rows[0], <size_t>rows.shape[0], &found)
        try:
            _check(result)
            return _values(&chunk, &found)
        finally:
            pg_found_drop(&found)

    def search(self, int group, str name, uint32_t first, uint32_t end, literals, size_t most):
        """Rows from `first` up to `end` of a row group whose text may hold all the literals, and their texts.

        Args:
            literals: bytes, ASCII, lower case, two or more each. Case does not matter.
            most: None is returned where there are more rows.

        Returns:
            (native 32-bit row numbers, strings). No row that holds them all is missing; some may not hold them.

        Raises:
            Unfit: the column is of another kind, or damaged.
        """
        cdef pg_chunk chunk
        cdef pg_found found
        cdef int result, folds
        cdef size_t n = len(literals)
        _clear(&found)
        self._chunk(group, name, &chunk)
        if chunk.type != PG_STRINGS or end > chunk.rows or name.encode("utf-8", "surrogatepass") in self._lists:
            raise Unfit("not to be searched")
        cdef pg_literal *sought = _literals(literals, &folds)
        try:
            with nogil:
                result = pg_search(&chunk, first, end, sought, n, folds, most, &found)
            if result == PG_MANY:
                return None
            _check(result)
            return PyBytes_FromStringAndSize(<const char *>found.rows, 4 * found.n), _values(&chunk, &found)
        finally:
            free(sought)
            pg_found_drop(&found)


    def may_hold(self, int group, str name, literals):
        """Whether some string of a column may hold all the literals: of a flat one, or of a list of strings.

        Args:
            literals: as for `search`.

        Returns:
            False: none does. True: one may.

        Raises:
            Unfit: the column is of another kind, or damaged.
        """
        cdef pg_chunk chunk
        cdef int result, levels, folds, found = 0
        cdef size_t n = len(literals)
        self._chunk(group, name, &chunk)
        if chunk.type != PG_STRINGS or chunk.codec not in (PG_LZ4, PG_UNPACKED):
            raise Unfit("not to be searched")
        # A list's values repeat, and they, their list or both may be missing.
        levels = 2 if name.encode("utf-8", "surrogatepass") in self._lists else chunk.optional
        cdef pg_literal *sought = _literals(literals, &folds)
        try:
            with nogil:
                result = pg_anywhere(&chunk, levels, sought, n, folds, &found)
            _check(result)
            return bool(found)
        finally:
            free(sought)


cdef pg_literal *_literals(literals, int *folds) except NULL:
    """To be freed by the caller; they point into `literals`."""
    cdef size_t n = len(literals)
    cdef const uint8_t *text
    if not n or any(len(one) < 2 for one in literals):
        raise Unfit("not to be searched")
    cdef pg_literal *sought = <pg_literal *>malloc(n * sizeof(pg_literal))
    if sought == NULL:
        raise MemoryError
    for place in range(n):
        text = literals[place]
        pg_literal_set(&sought[place], text, <size_t>len(literals[place]))
    folds[0] = any(b"s" in one or b"k" in one for one in literals)
    return sought


cdef void _clear(pg_found *found) noexcept:
    found.bytes, found.rows, found.ends, found.valid = NULL, NULL, NULL, NULL
    found.n = found.used = 0
    pg_found_drop(found)


cdef int _check(int result) except -1:
    if result == PG_NO_MEMORY:
        raise MemoryError
    if result != PG_OK:
        raise Unfit("a page that is not read here")
    return 0


cdef _values(const pg_chunk *chunk, const pg_found *found):
    cdef size_t i
    cdef uint64_t start = 0
    if chunk.type != PG_STRINGS:
        return _numbers(found)
    values = []
    try:
        for i in range(found.n):
            if found.valid[i]:
                values.append(PyUnicode_DecodeUTF8(<const char *>found.bytes + start, found.ends[i] - start, NULL))
            else:
                values.append(None)
            start = found.ends[i]
    except UnicodeDecodeError as error:
        raise Unfit("a string is damaged") from error
    return values


cdef _numbers(const pg_found *found):
    """8 bytes each; zeros where there is none."""
    cdef size_t i, at = 0
    out = PyBytes_FromStringAndSize(NULL, 8 * found.n)
    cdef char *to = out
    memset(to, 0, 8 * found.n)
    for i in range(found.n):
        if found.valid[i]:
            memcpy(to + 8 * i, found.bytes + at, 8)
            at += 8
    return out, PyBytes_FromStringAndSize(<const char *>found.valid, found.n)
