"""The kernel writes what the reference writes, byte for byte, whatever the frame; broken arrays never hurt it."""

from __future__ import annotations

import datetime
import random
import struct
import types
import zlib
from typing import Any

import arro3.core
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import examples

from penstock import encode, errors
from penstock.encode import reference
from penstock.fields.types import FieldType

pytest.importorskip("penstock.kernels.lines", reason="the kernel is not built")

NO_TYPES: dict[str, FieldType] = {}
CALM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # machines and sanitizers may be slow
EDGES = [0, 1, 7, 11, 12, 13, 15, 16, 17, 31, 32, 33, 63, 64, 65]
UGLY = ['"', "\\", "\n", "\x00", "\x1f", "\x7f", "é", "\u2028", "\U0001f600", "a", "b", " "]


EVERY_LENGTH = ["x" * length for length in range(70)]
EVERY_LENGTH += ["x" * at + '"' + "y" * (length - at) for length in range(40) for at in range(length + 1)]


def kernel_bytes(frame: Any, fields: list[str], types: dict[str, FieldType] = NO_TYPES) -> bytes:
    encoder = encode.LineEncoder(fields, types)
    assert encoder.compiled
    return bytes(encoder.encode(frame).data)


def outcome(work: Any) -> Any:
    """Bytes, or the kind of refusal."""
    try:
        return work()
    except (ValueError, errors.ExportFailed):
        return "corrupt"


def same(frame: Any, fields: list[str], types: dict[str, FieldType] = NO_TYPES) -> None:
    expected = outcome(lambda: reference.encode(frame, fields, types))
    assert outcome(lambda: kernel_bytes(frame, fields, types)) == expected


strings = st.one_of(
    st.text(max_size=40),
    st.builds(
        lambda n, c, tail: "x" * n + c + tail, st.sampled_from(EDGES), st.sampled_from(UGLY), st.text(max_size=3)
    ),
    st.builds(lambda n: "y" * n, st.sampled_from(EDGES)),
    st.lists(st.sampled_from(UGLY), max_size=70).map("".join),
)
doubles = st.one_of(
    st.floats(),
    st.integers(0, 2**64 - 1).map(lambda bits: struct.unpack("<d", struct.pack("<Q", bits))[0]),
    st.decimals(-(10**9), 10**9, places=3).map(float),
)


def integers(bits: int, signed: bool) -> st.SearchStrategy[int]:
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else st.integers(0, 2**bits - 1)


first, last = datetime.datetime(1, 1, 1), datetime.datetime(9999, 12, 31, 23, 59, 59, 999999)
nanoseconds = st.datetimes(datetime.datetime(1678, 1, 1), datetime.datetime(2262, 1, 1))
KINDS: dict[Any, st.SearchStrategy[Any]] = {
    pl.String: strings,
    pl.Categorical: strings,
    pl.Enum(["", "allow", 'de"ny', "a value longer than a view"]): st.sampled_from(["", "allow", 'de"ny']),
    pl.Boolean: st.booleans(),
    pl.Float64: doubles,
    pl.Float32: st.floats(width=32),
    pl.Date: st.dates(),
    pl.Datetime("us", "UTC"): st.datetimes(first, last),
    pl.Datetime("ms"): st.datetimes(first, last),
    pl.Datetime("ns"): nanoseconds,
    pl.List(pl.String): st.lists(st.none() | strings, max_size=4),
    pl.List(pl.Int16): st.lists(st.none() | integers(16, True), max_size=4),
    pl.List(pl.List(pl.Float64)): st.lists(st.none() | st.lists(st.none() | doubles, max_size=3), max_size=3),
    pl.Null: st.none(),
}
for width in (8, 16, 32, 64):
    KINDS[getattr(pl, f"Int{width}")] = integers(width, True)
    KINDS[getattr(pl, f"UInt{width}")] = integers(width, False)

overflow_values = st.sampled_from(
    ['"443"', "null", "1.0", "[1,[2,{}]]", '{"x":"}]\\""}', '"\\u00e9"', "true", "-1e400", "[]", '["a",null]']
)


@st.composite
def frames(draw: st.DrawFn) -> pl.DataFrame:
    """Columns of any kinds, with nulls, an overflow at times, cut into slices and chunks."""
    rows = draw(st.integers(0, 12))
    kinds = draw(st.lists(st.sampled_from(list(KINDS)), max_size=5))
    columns = []
    for place, kind in enumerate(kinds):
        item = KINDS[kind] if draw(st.booleans()) else st.none() | KINDS[kind]
        values = draw(st.lists(item, min_size=rows, max_size=rows))
        columns.append(pl.Series(f'f{place} "é', values, dtype=kind))
    if draw(st.booleans()):
        names = [c.name for c in columns] + ["only in overflow", "_day"]
        members = st.dictionaries(st.sampled_from(names), overflow_values, max_size=4)
        text = members.map(lambda m: "{" + ",".join(f"{reference.render_string(k)}:{v}" for k, v in m.items()) + "}")
        columns.append(
            pl.Series("_overflow", draw(st.lists(st.none() | text, min_size=rows, max_size=rows)), pl.String)
        )
    frame = pl.DataFrame(columns)
    if not columns:
        return frame
    begin = draw(st.integers(0, rows))
    frame = frame.slice(begin, draw(st.integers(0, rows)))
    if draw(st.booleans()):
        cut = draw(st.integers(0, frame.height))
        frame = pl.concat([frame.slice(0, cut), frame.slice(cut), frame], rechunk=False)
    return frame


FIELDS = [f'f{place} "é' for place in (3, 1, 0, 2, 4)] + ["only in overflow", "never", "_day"]


@settings(CALM, max_examples=examples.some(400))
@given(frames())
def test_kernel_equals_reference(frame: pl.DataFrame) -> None:
    same(frame, FIELDS)


@settings(CALM)
@given(frames(), st.integers(1, 200))
def test_chunks_are_the_same_lines_cut_at_the_same_places(frame: pl.DataFrame, chunk_bytes: int) -> None:
    encoder = encode.LineEncoder(FIELDS, {})
    whole = encoder.encode(frame)
    pieces = [(bytes(piece), events) for piece, events, _ in encoder.chunks(frame, chunk_bytes)]
    assert [piece for piece, _ in pieces] == [bytes(p) for p in encode.lines.cut(whole.data, chunk_bytes)]
    assert sum(events for _, events in pieces) == whole.events == bytes(whole.data).count(b"\n") == frame.height


@settings(CALM)
@given(frames(), st.sampled_from(["fastest", "fast", "small", "isal"]), st.sampled_from([1, 2, 40, 3000]))
def test_a_segment_inflates_to_what_the_reference_writes(frame: pl.DataFrame, compression: str, times: int) -> None:
    """The deflater is told where values begin; whatever it makes of that, the lines come back."""
    repeated = pl.concat([frame] * times, rechunk=False)
    encoder = encode.LineEncoder(FIELDS, {})
    expected = outcome(lambda: reference.encode(frame, FIELDS, NO_TYPES))
    segment = outcome(lambda: encode.gzip.encode_slice(encoder, repeated, compression))
    if isinstance(segment, str):
        assert segment == expected
        return
    assert zlib.decompressobj(-15).decompress(segment.data) == expected * times
    assert segment == encode.gzip.encode_slice(encoder, repeated.rechunk(), compression)


@settings(CALM)
@given(frames())
def test_bytes_do_not_depend_on_the_frames_chunks(frame: pl.DataFrame) -> None:
    assert kernel_bytes(frame, FIELDS) == kernel_bytes(frame.rechunk(), FIELDS)


TYPES = [
    arro3.core.DataType.utf8(),
    arro3.core.DataType.large_utf8(),
    arro3.core.DataType.string_view(),
    arro3.core.DataType.dictionary(arro3.core.DataType.int8(), arro3.core.DataType.utf8()),
    arro3.core.DataType.dictionary(arro3.core.DataType.uint16(), arro3.core.DataType.large_utf8()),
    arro3.core.DataType.dictionary(arro3.core.DataType.int64(), arro3.core.DataType.utf8()),
]


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@settings(CALM, max_examples=examples.some(40))
@given(values=st.lists(st.none() | strings, min_size=1, max_size=30), begin=st.integers(0, 5))
def test_every_layout_of_strings_gives_the_same_lines(dtype: Any, values: list[str | None], begin: int) -> None:
    plain = pl.DataFrame({"a": pl.Series(values, dtype=pl.String)}).slice(begin)
    column = arro3.core.Table(pl.DataFrame({"a": pl.Series(values, dtype=pl.String)})).column("a").cast(dtype)
    table = arro3.core.Table.from_pydict({"a": column.combine_chunks().slice(min(begin, len(values)))})
    assert table.column("a").type == dtype
    assert kernel_bytes(table, ["a"]) == reference.encode(plain, ["a"], {})


@pytest.mark.parametrize("dtype", [arro3.core.DataType.list, arro3.core.DataType.large_list], ids=["list", "large"])
@settings(CALM)
@given(values=st.lists(st.none() | st.lists(st.none() | strings, max_size=3), min_size=1, max_size=8))
def test_every_layout_of_lists_gives_the_same_lines(dtype: Any, values: list[list[str | None] | None]) -> None:
    plain = pl.DataFrame({"a": pl.Series(values, dtype=pl.List(pl.String))})
    kind = dtype(arro3.core.Field("item", arro3.core.DataType.utf8(), nullable=True))
    table = arro3.core.Table.from_pydict({"a": arro3.core.Table(plain).column("a").cast(kind)})
    assert kernel_bytes(table, ["a"]) == reference.encode(plain, ["a"], {})


@pytest.mark.parametrize("length", [4095, 4096, 4097, 8192, 100_000])
@pytest.mark.parametrize("fill", ["x", '"', "\x01", "é"])
def test_long_strings_cross_the_stretches(length: int, fill: str) -> None:
    same(pl.DataFrame({"a": [fill * length, "z" * length, None, fill], "b": [1, 2, 3, 4]}), ["a", "b"])


def test_every_length_and_place_of_an_escape() -> None:
    same(pl.DataFrame({"a": EVERY_LENGTH}), ["a"])


def test_every_power_and_neighbour_of_integers() -> None:
    values = sorted({s * (10**n + d) for n in range(19) for d in (-1, 0, 1) for s in (1, -1)} | {2**63 - 1, -(2**63)})
    same(pl.DataFrame({"a": pl.Series(values, dtype=pl.Int64)}), ["a"])
    unsigned = [10**n + d for n in range(20) for d in (-1, 0, 1)] + [2**64 - 1]
    same(pl.DataFrame({"a": pl.Series(unsigned, dtype=pl.UInt64)}), ["a"])


def test_doubles_are_reprs_for_fifty_thousand_bit_patterns() -> None:
    rng = random.Random(20260101)
    patterns = [rng.getrandbits(64) for _ in range(30_000)]
    patterns += [
        rng.getrandbits(4) | exponent << 52 for exponent in range(2047) for _ in range(5)
    ]  # next to powers of two
    patterns += [
        struct.unpack("<Q", struct.pack("<d", float(f"1e{e}")))[0] + d for e in range(-307, 309) for d in (-1, 0, 1)
    ]
    values = [struct.unpack("<d", struct.pack("<Q", bits))[0] for bits in patterns]
    values += [rng.randrange(10 ** rng.randrange(1, 18)) / 10 ** rng.randrange(18) for _ in range(10_000)]
    same(pl.DataFrame({"a": values}), ["a"])


def test_every_day_of_eight_centuries_and_the_ends_of_time() -> None:
    days = [-719_162, *range(-135_140, 157_054), 2_932_896]
    same(pl.DataFrame({"a": pl.Series(days, dtype=pl.Int32).cast(pl.Date)}), ["a"])


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_unsorted_instants(unit: Any) -> None:
    rng = random.Random(7)
    ticks = [rng.randrange(-(2**52), 2**52) for _ in range(2000)] + [0, -1, 1, 999, 1000, 10**6, 10**9]
    same(pl.DataFrame({"a": pl.Series(ticks).cast(pl.Datetime(unit))}), ["a"])


@pytest.mark.parametrize("days", [-719_163, 2_932_897, -(2**31), 2**31 - 1])
def test_dates_outside_the_years_1_to_9999_are_refused(days: int) -> None:
    frame = pl.DataFrame({"a": pl.Series([days], dtype=pl.Int32).cast(pl.Date)})
    with pytest.raises(errors.ExportFailed, match="0001 to 9999") as caught:
        kernel_bytes(frame, ["a"])
    assert caught.value.code == "corrupt_event"
    same(frame, ["a"])


@pytest.mark.parametrize("microseconds", [-62_135_596_800_000_001, 253_402_300_800_000_000, 2**63 - 1, -(2**63)])
def test_instants_outside_the_years_1_to_9999_are_refused_by_the_kernel(microseconds: int) -> None:
    frame = pl.DataFrame({"a": pl.Series([microseconds]).cast(pl.Datetime("us"))})
    with pytest.raises(errors.ExportFailed, match="field 'a'"):
        kernel_bytes(frame, ["a"])
    same(frame, ["a"])


json_texts = st.one_of(overflow_values, st.text(max_size=20), st.text(min_size=4000, max_size=4300))


@settings(CALM)
@given(st.lists(st.none() | json_texts, max_size=6))
def test_json_columns_equal_the_reference(texts: list[str | None]) -> None:
    same(pl.DataFrame({"a": pl.Series(texts, dtype=pl.String)}), ["a"], {"a": FieldType.JSON})


alphabet = st.sampled_from(['"', "\\", "{", "}", "[", "]", ",", ":", " ", "a", "1", "\n", "é", '"a":', '"b":1'])
damaged = st.lists(alphabet, max_size=14).map("".join)


@settings(CALM, max_examples=examples.some(600))
@given(st.lists(st.none() | damaged | damaged.map(lambda inner: "{" + inner + "}"), min_size=1, max_size=4))
def test_any_overflow_text_is_taken_or_refused_as_the_reference_does(texts: list[str | None]) -> None:
    same(pl.DataFrame({"_overflow": pl.Series(texts, dtype=pl.String)}), ["a", "b"])


@pytest.mark.parametrize("text", ['{"a":1', '{"a":"\\', "", "[1]"])
def test_a_broken_overflow_names_the_column(text: str) -> None:
    with pytest.raises(errors.ExportFailed, match="_overflow"):
        kernel_bytes(pl.DataFrame({"_overflow": [text]}), ["a"])


def test_two_thousand_fields_with_overflow() -> None:
    fields = [f"field.{n}" for n in range(2000)]
    text = "{" + ",".join(f'"{name}":{n}' for n, name in enumerate(fields) if n % 2) + "}"
    frame = pl.DataFrame({name: [n, None] for n, name in enumerate(fields) if n % 3 == 0} | {"_overflow": [None, text]})
    same(frame, fields)


DURATION = pl.DataFrame({"a": pl.Series([1], dtype=pl.Int64).cast(pl.Duration("us"))})


@pytest.mark.parametrize(
    ("frame", "kinds"),
    [
        (DURATION, {}),
        (pl.DataFrame({"a": [b"x"]}), {}),
        (pl.DataFrame({"a": [{"x": 1}]}), {}),
        (pl.DataFrame({"a": [[{"x": 1}]]}), {}),
        (pl.DataFrame({"a": pl.Series(["1.0"]).cast(pl.Decimal(10, 2))}), {}),
        (pl.DataFrame({"a": [datetime.time(1)]}), {}),
        (pl.DataFrame({"a": [1]}), {"a": FieldType.JSON}),
        (pl.DataFrame({"a": [["x"]]}), {"a": FieldType.JSON}),
        (pl.DataFrame({"_overflow": [1]}), {}),
    ],
    ids=["duration", "binary", "struct", "list of struct", "decimal", "time", "json int", "json list", "overflow int"],
)
def test_a_type_without_a_json_form_is_a_type_error(frame: pl.DataFrame, kinds: dict[str, FieldType]) -> None:
    with pytest.raises(TypeError):
        kernel_bytes(frame, ["a"], kinds)
    with pytest.raises(TypeError):
        reference.encode(frame, ["a"], kinds)


def test_columns_not_asked_for_may_be_of_any_type() -> None:
    assert kernel_bytes(DURATION.with_columns(b=1), ["b"]) == b'{"b":1}\n'


# Arrays no library would make.


def int32s(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}i", *values)


def long_view(length: int, prefix: bytes, block: int, offset: int) -> bytes:
    return struct.pack("<i4sii", length, prefix, block, offset)


def test_offsets_of_batch_and_column_add_up(raw: types.ModuleType) -> None:
    values = struct.pack("<8q", *range(8))
    column = raw.Column(format=b"l", name=b"a", length=6, offset=2, buffers=[b"\xef", values])
    frame = raw.RawFrame(raw.struct(column, offset=1, length=4))
    assert kernel_bytes(frame, ["a"]) == b'{"a":3}\n{}\n{"a":5}\n{"a":6}\n'
    assert frame.released == frame.given == {"schema": 1, "array": 1}


def test_list_items_respect_their_own_offset(raw: types.ModuleType) -> None:
    items = raw.Column(format=b"u", name=b"item", length=3, offset=1, buffers=[b"\x0b", int32s(0, 1, 2, 3, 4), b"wxyz"])
    lists = raw.Column(format=b"+l", name=b"a", length=2, buffers=[None, int32s(0, 2, 3)], children=[items])
    assert kernel_bytes(raw.RawFrame(raw.struct(lists)), ["a"]) == b'{"a":["x",null]}\n{"a":["z"]}\n'


def test_null_in_the_dictionary_is_null(raw: types.ModuleType) -> None:
    words = raw.Column(format=b"u", length=2, buffers=[b"\x01", int32s(0, 1, 1), b"x"])
    column = raw.Column(format=b"c", name=b"a", length=3, buffers=[None, b"\x00\x01\x00"], dictionary=words)
    assert kernel_bytes(raw.RawFrame(raw.struct(column)), ["a"]) == b'{"a":"x"}\n{}\n{"a":"x"}\n'


def test_seconds_are_a_unit_too(raw: types.ModuleType) -> None:
    column = raw.Column(format=b"tss:Europe/Paris", name=b"a", length=1, buffers=[None, struct.pack("<q", 90)])
    assert kernel_bytes(raw.RawFrame(raw.struct(column)), ["a"]) == b'{"a":"1970-01-01T00:01:30Z"}\n'


def test_empty_batches_between_others(raw: types.ModuleType) -> None:
    def batch(*values: int) -> Any:
        return raw.struct(raw.Column(format=b"i", name=b"a", length=len(values), buffers=[None, int32s(*values)]))

    frame = raw.RawFrame(batch(), batch(1), batch(), batch(2, 3), batch())
    assert kernel_bytes(frame, ["a"]) == b'{"a":1}\n{"a":2}\n{"a":3}\n'
    assert frame.released == frame.given


@pytest.mark.parametrize("layout", ["utf8", "large", "view"])
def test_no_byte_behind_the_last_string_is_read(raw: types.ModuleType, layout: str) -> None:
    """Each string alone in a block of exactly its size: under the sanitizer, one byte too far ends the test."""
    for value in EVERY_LENGTH:
        text = value.encode()
        if layout == "view" and len(text) <= 12:
            buffers = [None, struct.pack("<i12s", len(text), text), b""]
        elif layout == "view":
            buffers = [None, long_view(len(text), text[:4], 0, 0), text, struct.pack("<q", len(text))]
        else:
            buffers = [None, struct.pack("<2q" if layout == "large" else "<2i", 0, len(text)), text]
        column = raw.Column(
            format={"utf8": b"u", "large": b"U", "view": b"vu"}[layout], name=b"a", length=1, buffers=buffers
        )
        frame = raw.RawFrame(raw.struct(column))
        assert kernel_bytes(frame, ["a"]) == b'{"a":' + reference.render_string(value).encode() + b"}\n"


def broken(raw: types.ModuleType) -> dict[str, Any]:
    view, text = b"vu", b"u"
    block = [b"thirteen bytes", struct.pack("<q", 14)]

    def views(*cells: bytes) -> Any:
        return raw.Column(format=view, name=b"a", length=len(cells), buffers=[None, b"".join(cells), *block])

    def utf8(*offsets: int) -> Any:
        return raw.Column(format=text, name=b"a", length=len(offsets) - 1, buffers=[None, int32s(*offsets), b"abcdef"])

    def lists(*offsets: int) -> Any:
        item = raw.Column(format=b"c", name=b"item", length=2, buffers=[None, b"\x01\x02"])
        buffers = [None, int32s(*offsets)]
        return raw.Column(format=b"+l", name=b"a", length=len(offsets) - 1, buffers=buffers, children=[item])

    def indices(*values: int) -> Any:
        words = raw.Column(format=text, length=1, buffers=[None, int32s(0, 1), b"x"])
        buffers = [None, struct.pack(f"<{len(values)}b", *values)]
        return raw.Column(format=b"c", name=b"a", length=len(values), buffers=buffers, dictionary=words)

    return {
        "view past its block": views(long_view(14, b"thir", 0, 1)),
        "view of a missing block": views(long_view(13, b"thir", 1, 0)),
        "view of block -1": views(long_view(13, b"thir", -1, 0)),
        "view with a negative offset": views(long_view(13, b"thir", 0, -1)),
        "view of negative length": views(long_view(-1, b"thir", 0, 0)),
        "view of greatest length": views(long_view(2**31 - 1, b"thir", 0, 2**31 - 1)),
        "offsets that fall": utf8(0, 4, 2, 6),
        "offsets below zero": utf8(-1, 3),
        "list offsets that fall": lists(0, 2, 1),
        "list past its items": lists(0, 3),
        "list below zero": lists(-2, 1),
        "index past the dictionary": indices(1),
        "index below zero": indices(-1),
    }


@pytest.mark.parametrize("name", list(broken(types.SimpleNamespace(Column=lambda **_: None))))  # type: ignore[arg-type]
def test_a_broken_array_is_refused(raw: types.ModuleType, name: str) -> None:
    frame = raw.RawFrame(raw.struct(broken(raw)[name]))
    with pytest.raises(errors.ExportFailed, match="outside its buffer"):
        kernel_bytes(frame, ["a"])
    assert frame.released == frame.given


def test_a_column_shorter_than_its_batch_is_refused(raw: types.ModuleType) -> None:
    column = raw.Column(format=b"i", name=b"a", length=1, buffers=[None, int32s(1)])
    with pytest.raises(TypeError, match="schema"):
        kernel_bytes(raw.RawFrame(raw.struct(column, length=2)), ["a"])


def test_missing_buffers_are_refused(raw: types.ModuleType) -> None:
    for buffers in ([None], [None, None]):
        column = raw.Column(format=b"i", name=b"a", length=1, buffers=buffers)
        with pytest.raises(TypeError, match="schema"):
            kernel_bytes(raw.RawFrame(raw.struct(column)), ["a"])


def test_missing_rows_are_refused(raw: types.ModuleType) -> None:
    column = raw.Column(format=b"i", name=b"a", length=2, buffers=[None, int32s(1, 2)])
    batch = raw.struct(column)
    batch.buffers, batch.null_count = [b"\x01"], 1
    with pytest.raises(TypeError, match="missing rows"):
        kernel_bytes(raw.RawFrame(batch), ["a"])


def test_a_stream_of_no_table_is_refused(raw: types.ModuleType) -> None:
    column = raw.Column(format=b"i", name=b"a", length=1, buffers=[None, int32s(1)])
    with pytest.raises(TypeError, match="no table"):
        kernel_bytes(raw.RawFrame(column), ["a"])
    with pytest.raises(AttributeError):
        kernel_bytes(object(), ["a"])


def test_a_failing_stream_says_why(raw: types.ModuleType) -> None:
    column = raw.Column(format=b"i", name=b"a", length=1, buffers=[None, int32s(1)])
    with pytest.raises(OSError, match="disk on fire"):
        kernel_bytes(raw.RawFrame(raw.struct(column), fail_next=b"disk on fire"), ["a"])


@pytest.mark.parametrize(
    "spoilt", [b"vz", b"w:16", b"tDs", b"ttm", b"tsx:", b"ts", b"+s", b"+w:2", b"d:10,2", b"", b"e"]
)
def test_unknown_formats_are_type_errors(raw: types.ModuleType, spoilt: bytes) -> None:
    column = raw.Column(format=spoilt, name=b"a", length=1, buffers=[None, b"\0" * 16])
    with pytest.raises(TypeError, match="Arrow format"):
        kernel_bytes(raw.RawFrame(raw.struct(column)), ["a"])
