# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""The needle index's kernel: a row group's columns in, the keys of its values out; and the Bloom filter over keys.

The work is in include/bloom; here Arrow capsules are opened, errors named and memory owned. What the keys are is said in
plain Python by penstock/lake/needles/reference.py.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memset

import os


cdef extern from "arrow.h":
    struct ArrowSchema:
        const char *format
        int64_t n_children
        ArrowSchema **children
        void (*release)(ArrowSchema *) noexcept nogil

    struct ArrowArray:
        int64_t length
        int64_t n_buffers
        void (*release)(ArrowArray *) noexcept nogil

    struct ArrowArrayStream:
        int (*get_schema)(ArrowArrayStream *, ArrowSchema *) noexcept nogil
        int (*get_next)(ArrowArrayStream *, ArrowArray *) noexcept nogil
        void (*release)(ArrowArrayStream *) noexcept nogil


cdef extern from *:
    """
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    #include "bloom/columns.h"
    #include "bloom/filter.h"
    """
    ctypedef void *locale_t
    const int LC_ALL_MASK
    locale_t newlocale(int, const char *, locale_t)

    enum bl_error:
        BL_OK
        BL_NO_MEMORY
        BL_BAD_ARRAY
        BL_BAD_JSON

    enum bl_kind:
        BL_VALUES
        BL_WORDS
        BL_JSON
        BL_OVERFLOW
        BL_LONGS
        BL_DOUBLES

    struct bl_set:
        uint64_t *slots
        size_t capacity
        size_t used

    struct bl_bag:
        uint64_t *keys
        size_t used
        uint64_t spread

    struct bl_keys:
        bl_bag all
        bl_set column
        size_t few
        bint is_few
        bint is_field
        uint64_t salt
        uint8_t *scratch
        int failed

    const size_t BL_FIRST_SLOTS
    const size_t BL_CODE_POINTS
    const size_t BL_BLOCK_BYTES

    bint bl_set_open(bl_set *, size_t capacity, uint64_t spread)
    void bl_begin_column(bl_keys *)
    void bl_set_fold(bl_keys *, const uint32_t *)
    void bl_bag_open(bl_bag *, uint64_t spread)
    bint bl_bag_settle(bl_bag *) nogil
    uint64_t bl_mix(uint64_t) nogil
    uint64_t bl_hash(const uint8_t *, size_t)
    uint64_t bl_number_key(double)
    uint64_t bl_long_key(int64_t)
    uint64_t bl_prefix_key(const uint8_t *, size_t, int version)
    uint64_t bl_address6_key(const uint8_t *)
    uint64_t bl_chain_key(const uint64_t *)
    void bl_put_array(bl_keys *, bl_kind, const ArrowArray *, locale_t) nogil
    void bl_put_field_keys(bl_keys *, uint64_t salt) nogil
    void bl_filter_add(uint8_t *, uint32_t blocks, uint32_t groups, uint32_t group, const uint64_t *, size_t) nogil
    bint bl_block_has(const uint8_t *, uint64_t)


VALUES, WORDS, JSON, OVERFLOW, LONGS, DOUBLES = BL_VALUES, BL_WORDS, BL_JSON, BL_OVERFLOW, BL_LONGS, BL_DOUBLES
BLOCK_BYTES = BL_BLOCK_BYTES

# strtod of a process whose locale has a comma as decimal point would read 0.5 as 0.
cdef locale_t plain = newlocale(LC_ALL_MASK, "C", NULL)
cdef uint64_t secret = int.from_bytes(os.urandom(8), "little")
# What Polars hands out for the lake's column types; another layout is a TypeError, not a guess.
cdef dict formats = {
    BL_VALUES: b"vu", BL_WORDS: b"vu", BL_JSON: b"vu", BL_OVERFLOW: b"vu", BL_LONGS: b"l", BL_DOUBLES: b"g",
}
if plain == NULL:
    raise MemoryError()


cdef inline uint64_t some(uint64_t key) noexcept:
    """0 stands for no key."""
    return key if key else 1


def value_key(const uint8_t[::1] text not None):
    """The key of a string as a whole, or of a folded word."""
    return some(bl_hash(&text[0] if len(text) else NULL, len(text)))


def number_key(double value):
    """The key of a number: of its digits where it is whole and a double can say so exactly."""
    return some(bl_number_key(value))


def long_key(int64_t value):
    """The key of an integer; that of `number_key`."""
    return some(bl_long_key(value))


def prefix_key(const uint8_t[::1] prefix not None, int version):
    """The key of all addresses that begin with these bytes: 1 to 3 of version 4; 4, 6 or 8 of version 6."""
    return some(bl_prefix_key(&prefix[0], len(prefix), version))


def address6_key(const uint8_t[::1] address not None):
    """The key of an IPv6 address (16 bytes) in any spelling."""
    if len(address) != 16:
        raise ValueError("an IPv6 address has 16 bytes")
    return some(bl_address6_key(&address[0]))


def chain_key(one, two, three, four):
    """The key of four words that are octets, side by side; from the words' keys."""
    cdef uint64_t[4] hashes
    hashes[0], hashes[1], hashes[2], hashes[3] = one, two, three, four
    return some(bl_chain_key(hashes))


def field_key(uint64_t key, uint64_t salt):
    """The key of a value in one field; `salt` is the `value_key` of the field's name."""
    return some(bl_mix(key ^ salt))


cdef class Keys:
    """The distinct keys of one row group.

    Args:
        fold: for each of the 0x110000 code points 0 (no part of a word) or its folded code point; kept, not copied.
        few: columns of at most so many distinct keys get field keys.
    """

    cdef bl_keys keys
    cdef object fold

    def __cinit__(self, const uint32_t[::1] fold not None, size_t few):
        if <size_t>len(fold) != BL_CODE_POINTS:
            raise ValueError("the table of folded code points has another size")
        self.fold = fold
        for i in range(128):
            if fold[i] > 127:
                raise ValueError("an ASCII character folds to one that is none")
        bl_set_fold(&self.keys, &fold[0])
        self.keys.few = few
        bl_bag_open(&self.keys.all, secret)
        if not bl_set_open(&self.keys.column, BL_FIRST_SLOTS, secret):
            raise MemoryError()

    def __dealloc__(self):
        free(self.keys.all.keys)
        free(self.keys.column.slots)
        free(self.keys.scratch)

    def __len__(self):
        self.settle()
        return self.keys.all.used

    def add(self, series, int kind, uint64_t salt):
        """Adds the keys of a column. True if it has field keys, too: its values are few, or it is the overflow.

        Raises:
            TypeError: the column's Arrow format is not that of its kind.
            ValueError: a view points outside its buffer, or text is no JSON. The keys are not complete then.
        """
        # The capsule owns the stream: it must live until the last batch is read, though only the pointer is used below.
        capsule = series.__arrow_c_stream__()
        cdef ArrowArrayStream *stream = <ArrowArrayStream *>PyCapsule_GetPointer(capsule, "arrow_array_stream")
        check_format(stream, kind)
        bl_begin_column(&self.keys)
        self.keys.is_field = kind == BL_OVERFLOW
        self.keys.is_few = kind in (BL_VALUES, BL_LONGS, BL_DOUBLES)
        while self.add_batch(stream, <bl_kind>kind):
            pass
        # At the end, over the distinct values: which columns have few is known only now.
        if self.keys.is_few:
            bl_put_field_keys(&self.keys, salt)
        self.check()
        return bool(self.keys.is_few or self.keys.is_field)

    cdef bint add_batch(self, ArrowArrayStream *stream, bl_kind kind) except -1:
        cdef ArrowArray array
        memset(&array, 0, sizeof(array))
        if stream.get_next(stream, &array):
            raise OSError("the column's Arrow stream failed")
        if array.release == NULL:
            return False
        with nogil:
            bl_put_array(&self.keys, kind, &array, plain)
        # Before the check, which may raise: an array that is not released is a leak.
        array.release(&array)
        self.check()
        return True

    cdef check(self):
        if self.keys.failed == BL_NO_MEMORY:
            raise MemoryError()
        if self.keys.failed == BL_BAD_ARRAY:
            raise ValueError("an Arrow view points outside its buffer")
        if self.keys.failed == BL_BAD_JSON:
            raise ValueError("a text is no compact JSON")

    def export(self):
        """The keys as native 64-bit integers, in no order."""
        self.settle()
        return PyBytes_FromStringAndSize(<const char *>self.keys.all.keys, self.keys.all.used * sizeof(uint64_t))

    cdef settle(self):
        cdef bint is_settled
        with nogil:
            is_settled = bl_bag_settle(&self.keys.all)
        if not is_settled:
            raise MemoryError()


cdef check_format(ArrowArrayStream *stream, int kind):
    cdef ArrowSchema schema
    memset(&schema, 0, sizeof(schema))
    if stream.release == NULL or stream.get_schema(stream, &schema):
        raise OSError("the column's Arrow stream failed")
    found = bytes(schema.format)
    if found == b"+L" and kind == BL_VALUES and schema.n_children == 1:
        found = bytes(schema.children[0].format)
    if schema.release != NULL:
        schema.release(&schema)
    if found != formats.get(kind):
        raise TypeError(f"a column of Arrow format {found.decode()!r} has no keys of kind {kind}")


def filter_add(uint8_t[::1] filter not None, uint32_t blocks, uint32_t groups, uint32_t group, const uint64_t[::1] keys not None):
    """Sets the bits of one row group's keys; `filter` has `blocks` x `groups` blocks."""
    if <uint64_t>len(filter) != <uint64_t>blocks * groups * BL_BLOCK_BYTES or group >= groups:
        raise ValueError("the filter has another size")
    # Of an empty memoryview there is no element whose address could be taken.
    if len(keys):
        with nogil:
            bl_filter_add(&filter[0], blocks, groups, group, &keys[0], len(keys))


def block_has(const uint8_t[::1] block not None, uint64_t key):
    """Whether a block of a filter may hold the key."""
    if len(block) != <Py_ssize_t>BL_BLOCK_BYTES:
        raise ValueError("a block has 32 bytes")
    return bool(bl_block_has(&block[0], key))
