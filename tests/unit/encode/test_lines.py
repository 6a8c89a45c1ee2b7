"""LineEncoder: what it owns, what it promises threads, and what happens without the kernel."""

from __future__ import annotations

import concurrent.futures
import sys
import warnings

import polars as pl
import pytest

from penstock import encode
from penstock.encode import lines as line_room

FRAME = pl.DataFrame({"a": [f"value {n} é" for n in range(5000)], "b": range(5000)})
kernel_built = pytest.mark.skipif(not encode.LineEncoder(["a"], {}).compiled, reason="the kernel is not built")


def test_a_field_named_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="named twice"):
        encode.LineEncoder(["a", "a"], {})


def test_no_field_at_all_gives_empty_objects() -> None:
    for kernel in (True, False):
        assert bytes(encode.LineEncoder([], {}, kernel=kernel).encode(FRAME.head(2)).data) == b"{}\n{}\n"


def test_reference_and_kernel_cut_the_same_chunks() -> None:
    def pieces(kernel: bool) -> list[tuple[bytes, int]]:
        encoder = encode.LineEncoder(["a", "b"], {}, kernel=kernel)
        return [(bytes(piece), events) for piece, events, _ in encoder.chunks(FRAME, 1000)]

    assert pieces(True) == pieces(False)
    assert len(pieces(True)) > 100


@kernel_built
def test_a_piece_that_is_held_keeps_its_lines() -> None:
    encoder = encode.LineEncoder(["a"], {})
    held = [piece for piece, *_ in encoder.chunks(FRAME, 1000)]
    assert b"".join(held) == bytes(encoder.encode(FRAME).data)


@kernel_built
def test_pieces_take_turns_in_two_buffers() -> None:
    buffers = {piece.obj for piece, *_ in encode.LineEncoder(["a"], {}).chunks(FRAME, 1000)}
    assert len(buffers) == 2


@kernel_built
def test_lines_are_read_only_and_outlive_the_frame() -> None:
    encoder = encode.LineEncoder(["a"], {})
    view = memoryview(encoder.encode(pl.DataFrame({"a": ["x" * 100]})).data)
    assert view.readonly
    assert bytes(view) == b'{"a":"' + b"x" * 100 + b'"}\n'


@kernel_built
def test_a_wide_selection_over_few_rows_gives_back_what_it_reserved() -> None:
    lines = encode.LineEncoder([f"f{n}" for n in range(3000)], {}).encode(pl.DataFrame({"f1": [1]}))
    assert bytes(lines.data) == b'{"f1":1}\n'
    assert memoryview(lines.data).nbytes == len(lines.data) == 9


def test_threads_share_one_encoder() -> None:
    encoder = encode.LineEncoder(["b", "a"], {})
    expected = bytes(encoder.encode(FRAME).data)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: bytes(encoder.encode(FRAME).data), range(40)))
    assert set(results) == {expected}


def test_without_the_kernel_it_warns_once_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "penstock.kernels.lines", None)
    monkeypatch.setattr(line_room, "_warned", [])
    with pytest.warns(RuntimeWarning, match="build_ext") as caught:
        encoder = encode.LineEncoder(["b"], {})
    assert len(caught) == 1
    assert caught[0].filename == __file__, "the warning points at who asked for an encoder"
    assert "kernel missing" in caplog.text
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not encode.LineEncoder(["b"], {}).compiled
    assert not encoder.compiled
    assert bytes(encoder.encode(FRAME.head(1)).data) == b'{"b":0}\n'


def test_cut_ends_each_piece_at_the_first_line_that_fills_it() -> None:
    lines = b"12345\n1\n12\n123456789\n1\n"
    assert [bytes(piece) for piece in line_room.cut(lines, 6)] == [b"12345\n", b"1\n12\n123456789\n", b"1\n"]
    assert [bytes(piece) for piece in line_room.cut(lines, 7)] == [b"12345\n1\n", b"12\n123456789\n", b"1\n"]
    assert [bytes(piece) for piece in line_room.cut(lines, 1000)] == [lines]
    assert list(line_room.cut(b"", 5)) == []
