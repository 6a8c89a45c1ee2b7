from collections.abc import Iterator
from typing import Any

class LineBuffer:
    def __len__(self) -> int: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...

class Layout:
    fields: tuple[str, ...]
    json_fields: frozenset[str]
    overflow: str
    reserved: frozenset[str]
    def __init__(
        self, fields: tuple[str, ...], json_fields: frozenset[str], overflow: str, reserved: frozenset[str]
    ) -> None: ...
    def encode(self, frame: Any) -> tuple[LineBuffer, int]: ...
    def chunks(self, frame: Any, chunk_bytes: int) -> Iterator[tuple[memoryview, int, memoryview]]: ...
