"""Arrow C streams laid out by hand, so that tests can hand the kernel arrays no library would make."""

from __future__ import annotations

import ctypes
import dataclasses
from typing import Any


class CSchema(ctypes.Structure):
    pass


CSchema._fields_ = [
    ("format", ctypes.c_char_p),
    ("name", ctypes.c_char_p),
    ("metadata", ctypes.c_char_p),
    ("flags", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("children", ctypes.POINTER(ctypes.POINTER(CSchema))),
    ("dictionary", ctypes.POINTER(CSchema)),
    ("release", ctypes.CFUNCTYPE(None, ctypes.POINTER(CSchema))),
    ("private_data", ctypes.c_void_p),
]


class CArray(ctypes.Structure):
    pass


CArray._fields_ = [
    ("length", ctypes.c_int64),
    ("null_count", ctypes.c_int64),
    ("offset", ctypes.c_int64),
    ("n_buffers", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("buffers", ctypes.POINTER(ctypes.c_void_p)),
    ("children", ctypes.POINTER(ctypes.POINTER(CArray))),
    ("dictionary", ctypes.POINTER(CArray)),
    ("release", ctypes.CFUNCTYPE(None, ctypes.POINTER(CArray))),
    ("private_data", ctypes.c_void_p),
]


class CStream(ctypes.Structure):
    pass


CStream._fields_ = [
    ("get_schema", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(CStream), ctypes.POINTER(CSchema))),
    ("get_next", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(CStream), ctypes.POINTER(CArray))),
    ("get_last_error", ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.POINTER(CStream))),
    ("release", ctypes.CFUNCTYPE(None, ctypes.POINTER(CStream))),
    ("private_data", ctypes.c_void_p),
]

_capsule = ctypes.pythonapi.PyCapsule_New
_capsule.restype = ctypes.py_object
_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]


@dataclasses.dataclass(kw_only=True)
class Column:
    """One array. Buffers are bytes or None, validity first, each copied into a block of exactly its size."""

    format: bytes
    length: int
    buffers: list[bytes | None]
    name: bytes = b""
    null_count: int = -1
    offset: int = 0
    children: list[Column] = dataclasses.field(default_factory=list)
    dictionary: Column | None = None


class RawFrame:
    """A frame of one batch per item of `batches` (each the columns of one struct array), `__arrow_c_stream__` included.

    Counts how often each C structure was released, since a consumer owes each exactly one call.
    """

    def __init__(self, *batches: Column, fail_next: bytes | None = None) -> None:
        self.batches = list(batches)
        self.fail_next = fail_next
        self.released = {"schema": 0, "array": 0}
        self.given = {"schema": 0, "array": 0}
        self._keep: list[Any] = []
        self._libc = ctypes.CDLL(None)
        self._libc.malloc.restype = ctypes.c_void_p
        self._libc.malloc.argtypes = [ctypes.c_size_t]

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> Any:
        batches = iter(self.batches)

        def get_schema(_stream: Any, out: Any) -> int:
            self.given["schema"] += 1
            self._schema(self.batches[0], out.contents, root=True)
            return 0

        def get_next(_stream: Any, out: Any) -> int:
            if self.fail_next:
                return 5
            batch = next(batches, None)
            ctypes.memset(out, 0, ctypes.sizeof(CArray))
            if batch is not None:
                self.given["array"] += 1
                self._array(batch, out.contents, root=True)
            return 0

        stream = CStream()
        fields = dict(CStream._fields_)
        stream.get_schema = fields["get_schema"](get_schema)
        stream.get_next = fields["get_next"](get_next)
        message = self._block((self.fail_next or b"") + b"\0")
        stream.get_last_error = fields["get_last_error"](lambda _stream: message)
        stream.release = fields["release"](lambda _stream: None)
        self._keep.append(stream)
        return _capsule(ctypes.addressof(stream), b"arrow_array_stream", None)

    def _schema(self, column: Column, out: CSchema, *, root: bool = False) -> None:
        out.format, out.name, out.flags = column.format, column.name, 2
        out.n_children, out.children = len(column.children), self._pointers(column.children, CSchema, self._schema)
        if column.dictionary is not None:
            inner = CSchema()
            self._schema(column.dictionary, inner)
            out.dictionary = ctypes.pointer(inner)
        out.release = dict(CSchema._fields_)["release"](self._releaser("schema", root))
        self._keep.append(out.release)

    def _array(self, column: Column, out: CArray, *, root: bool = False) -> None:
        out.length, out.null_count, out.offset = column.length, column.null_count, column.offset
        out.n_buffers = len(column.buffers)
        out.buffers = (ctypes.c_void_p * max(1, len(column.buffers)))(*map(self._block, column.buffers))
        out.n_children, out.children = len(column.children), self._pointers(column.children, CArray, self._array)
        if column.dictionary is not None:
            inner = CArray()
            self._array(column.dictionary, inner)
            out.dictionary = ctypes.pointer(inner)
        out.release = dict(CArray._fields_)["release"](self._releaser("array", root))
        self._keep.append(out.release)

    def _releaser(self, kind: str, root: bool) -> Any:
        def release(pointer: Any) -> None:
            self.released[kind] += root
            self._keep.append(pointer.contents.release)
            ctypes.memset(ctypes.byref(pointer.contents, type(pointer.contents).release.offset), 0, 8)

        return release

    def _pointers(self, columns: list[Column], kind: Any, fill: Any) -> Any:
        array = (ctypes.POINTER(kind) * max(1, len(columns)))()
        for place, column in enumerate(columns):
            item = kind()
            fill(column, item)
            array[place] = ctypes.pointer(item)
        return array

    def _block(self, content: bytes | None) -> int | None:
        """A heap block of exactly the buffer's size: a read past it is one the sanitizer sees. Never freed."""
        if content is None:
            return None
        block = self._libc.malloc(len(content))
        ctypes.memmove(block, content, len(content))
        return block


def struct(*columns: Column, length: int | None = None, offset: int = 0) -> Column:
    """A batch: the struct array that holds `columns`."""
    rows = columns[0].length - offset if length is None else length
    return Column(format=b"+s", length=rows, buffers=[None], null_count=0, offset=offset, children=list(columns))
