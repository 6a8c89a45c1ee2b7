"""The intake kernel says of every line, value and column what the Python reference says."""

from __future__ import annotations

import json
import pathlib
import random
import threading
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from penstock.fields import flatten, values
from penstock.intake import batch, reference, times, typing_fields
from penstock.kernels import intake as kernel

ARRIVED_US = 1_700_000_000_123_456
LINE_BYTES = 100_000
REAL_EVENTS = pathlib.Path(__file__).parents[3].parent / "shared" / "data" / "events_sample.jsonl"

# What a value may be written as: right, wrong, and at every edge between.
VALUES = [
    r'"\ud800"', r'"\ud83d\ude00"', r'"\u00e9\u0041\/"', '"é"', '"\x01"', r'"\ud800\u0041"', r'"\udc00\ud800"', '""',
    '"a',
    r'"\u0000\u001f\u007f\""', r'"\x"', r'"\u12"', '"x\x7f"', '"exactly12byt"', '"thirteen byte"', r'"\n\r\t\b\f\\"',
    "1.0", "1.50", "1e5", "-0", "-0.0", "0.1", "1e-07", "1E400", "NaN", "-Infinity", "9223372036854775807",
    "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "01", "1.", ".5", "+1", "1" * 700,
    "5e-324",
    "0.30000000000000004", "123456789012345678.0", "1e+16", "1e16", "9007199254740993.0", "0.0001", "0.00001",
    "1e-05",
    "100000000000000.0", "1000000000000000.5", "2.5e-05", "4.9406564584124654e-324", "1.7976931348623157e+308",
    "true", "false", "null", "tru", "[]", "[ ]", "{}", "{ }", '["a"]', '["a",1]', '["a", "b" ]', r'["\n"]',
    r'["\ud800"]',
    '[{"a":1,"a":2}]', '[{"a":1, "b":[{"c":null}]}]', r'[{"\u0061":1,"b":2}]', '{"a":1}', '{"a":{"b":1}}',
    '{"a.b":1}',
    r'[{"\ud800":1}]', "[" + ",".join(f'{{"k{n}":{n}}}' for n in range(3)) + "]",
    "[{" + ",".join(f'"k{n}":{n}' for n in range(70)) + "}]",
    '"2024-01-01T00:00:00Z"', '"2024-01-01T00:00:00.000Z"', '"2024-02-30T00:00:00Z"', '"2024-01-01T00:00:00.120Z"',
    '"2024-01-01T00:00:00.120000Z"', '"2024-01-01T00:00:00.120001Z"', '"0000-01-01T00:00:00Z"',
    '"0001-01-01T00:00:00Z"',
    '"9999-12-31T23:59:59.9999999Z"', '"9999-12-31T23:59:60Z"', '"2024-01-01t00:00:00z"',
    '"2024-01-01 00:00:00,5+01:30"',
    '"2024-01-01T00:00:00-2359"', '"0001-01-01T00:00:00+00:01"', '"2024-01-01T00:00:00+24:00"',
    '"2024-01-01T00:00:00."',
    '"2024-01-01T23:59:60.5Z"', r'"2024-01-01T00:00:00\u005a"', '"2024-01-01T00:00:00.Z"', '"2023-02-29T00:00:00Z"',
    "1700000000", "1700000000.123456789", "1700000000123", "1700000000123.9", "1700000000123456",
    "1700000000123456789",
    "17000000001234567890", "170000000012345678901", "-1.5", "253402300800", "99999999999", "0", "0.000001", "1.7e9",
    '"1700000000"', '"1700000000.5"', '"1700000000123"', '"20240102030405"', '"1700000000123456"', '"1700000000.x"',
    '"10.0.0.1"', '"::1"', '"01.2.3.4"', '"1:2:3:4:5:6:7::"', '"::ffff:1.2.3.4"', r'"\u0031.2.3.4"', '"fe80::1%eth0"',
    "[" * 201 + "]" * 201, "[" * 199 + "]" * 199, "[" * 200 + "1" + "]" * 200, "[" * 198 + '"a"' + "]" * 198,
    '{"a":' * 198 + "1" + "}" * 198, '{"a":' * 199 + "1" + "}" * 199, '{"a":' * 199 + "[]" + "}" * 199,
    '{"a":' * 198 + "[1]" + "}" * 198, '{"a":' * 199 + "[1]" + "}" * 199,
]  # fmt: skip
KEYS = [
    "a", "b", "a.b", "", r"\u0061", "@timestamp", r"c\n", "dé", r"\ud800", "_day", "_overflow", "A", "a*",
    "timestamp", "ts",
    "@timestamp.original", "@timestamp.original.original", "source.ip", "event.category", "message", "process.pid",
    r"\u0040timestamp", "eventTime", "a" * 300,
    "a long name that no guess of a key near the end of the text may go past",
]  # fmt: skip
SPACES = st.sampled_from(["", "", "", " ", "\t", "\r"])


@st.composite
def members(draw: st.DrawFn, depth: int = 0) -> str:
    found = []
    for _ in range(draw(st.integers(0, 4 if depth else 6))):
        key = draw(st.sampled_from(KEYS))
        if depth < 3 and draw(st.integers(0, 4)) == 0:
            value = "{" + draw(members(depth + 1)) + "}"
        else:
            value = draw(st.sampled_from(VALUES))
        found.append(f'{draw(SPACES)}"{key}"{draw(SPACES)}:{draw(SPACES)}{value}{draw(SPACES)}')
    return ",".join(found)


@st.composite
def lines(draw: st.DrawFn) -> bytes:
    kind = draw(st.integers(0, 9))
    if kind == 0:
        return draw(st.binary(max_size=40)).replace(b"\n", b"")
    line = "".join("{" + draw(members()) + "}" + draw(SPACES) for _ in range(2 if kind == 1 else 1)).encode()
    if kind == 2:  # damaged somewhere
        at = draw(st.integers(0, len(line)))
        line = (
            line[:at]
            + draw(st.sampled_from([b"", b"\xff", b"\xed\xa0\x80", b'"', b"\\", b"{", b"}", b"\0"]))
            + line[at + 1 :]
        )
    return (
        draw(st.sampled_from([b"", b"", b"", b"\xef\xbb\xbf", b" "]))
        + line
        + draw(st.sampled_from([b"", b"", b"\r", b"x", b","]))
    )


def by_kernel(
    text: bytes, columns: typing_fields.Columns, **budgets: int
) -> tuple[list[batch.Batch], pl.DataFrame | None]:
    reader = batch.Reader(columns, times.candidates(None), LINE_BYTES)
    block = kernel.Block(64)
    block.append(text)
    batches, frames = [], []
    for found in reader.read(block, len(text), ARRIVED_US):
        batches.append(found)
        frames += list(found.frames)
    return batches, pl.concat(frames, how="diagonal") if frames else None


def check(text: bytes, existing: dict[str, Any] | None = None) -> batch.Batch:
    """Reads the text both ways and compares everything."""
    own, others = (typing_fields.Columns(existing or {}, 2000) for _ in range(2))
    batches, frame = by_kernel(text, own)
    expected = reference.read(text, others, arrived_us=ARRIVED_US, max_line_bytes=LINE_BYTES)
    assert sum(found.events for found in batches) == expected.events
    assert sum(found.untimed for found in batches) == expected.untimed
    refusals = [(r.line, r.refusal.code, str(r.refusal), r.raw) for found in batches for r in found.refused]
    assert refusals == [(r.line, r.refusal.code, str(r.refusal), r.raw) for r in expected.refused]
    assert own.types == others.types
    if frame is None:
        assert list(expected.frames) == []
    else:
        (reference_frame,) = expected.frames
        assert_frame_equal(frame, reference_frame)
    return expected


@given(st.lists(lines(), max_size=12))
@example([b'{"a":"\\u0031.2.3.4"}', b'{"a":{"b":1}}'])
@example([b'{"@timestamp":null,"@timestamp.original":1,"@timestamp.original.original":2}'])
def test_every_line_is_read_as_the_reference_reads_it(found: list[bytes]) -> None:
    check(b"\n".join(found) + b"\n")


@given(st.lists(lines(), min_size=1, max_size=6), st.data())
def test_a_column_of_any_type_holds_what_the_reference_puts_there(found: list[bytes], data: st.DataObject) -> None:
    kinds = st.sampled_from(list(typing_fields.FieldType))
    names = ["a", "b", "a.b", "a.a", "dé", "ts", "timestamp"]
    check(b"\n".join(found), {name: data.draw(kinds) for name in names})


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**70), 2**70), min_size=1, max_size=20)
)
def test_numbers_keep_their_token(numbers: list[float | int]) -> None:
    found = [number for number in numbers for number in (number, -number)]
    texts = [repr(number) for number in found] + [f"{number:.3e}" for number in found if isinstance(number, float)]
    check("".join(f'{{"n":{text}}}\n' for text in texts).encode(), {"n": typing_fields.FieldType.DOUBLE})


@given(st.text(max_size=40), st.text(max_size=20))
def test_text_and_names_come_back(text: str, name: str) -> None:
    event = {name: text, "list": [text, name], "object": [{name: text}]}
    for is_ascii in (True, False):
        line = json.dumps(event, ensure_ascii=is_ascii).encode(errors="surrogatepass")
        check(line)


@pytest.mark.skipif(not REAL_EVENTS.exists(), reason="the sample of real events is not beside the checkout")
def test_real_events_are_read_as_the_reference_reads_them() -> None:
    text = REAL_EVENTS.read_bytes()
    expected = check(text)
    assert (expected.events, len(expected.refused)) == (600, 0)


def test_equal_times_keep_the_order_in_which_they_came() -> None:
    stamps = ["2024-01-01T00:00:00Z", "2023-01-01T00:00:00Z"]
    # Every third line is read by the reference only, and comes to the kernel after all others.
    text = "".join(
        f'{{"@timestamp":"{stamps[n % 2]}","n":{n},"o":[{{"{chr(92)}u006b":1}}]}}\n'
        if n % 3 == 0
        else f'{{"@timestamp":"{stamps[n % 2]}","n":{n}}}\n'
        for n in range(300)
    )
    check(text.encode())
    _, frame = by_kernel(text.encode(), typing_fields.Columns({}, 2000))
    assert frame is not None
    assert frame["n"].to_list() == [*range(1, 300, 2), *range(0, 300, 2)]


def test_few_events_with_many_columns_become_several_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "MAX_CELLS", 10)
    monkeypatch.setattr(batch, "_MIN_ROWS", 3)
    check(b"".join(b'{"n":%d,"s":"%d","l":["%d"]}\n' % (n, n, n) for n in range(11)))


def test_a_batch_ends_where_names_or_their_repetition_take_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    text = b"".join(b'{"name %d":{"x":%d}}\n' % (n, n) for n in range(1000))
    monkeypatch.setattr(batch, "_NEW_NAMES", 2000)
    batches, _ = by_kernel(text, typing_fields.Columns({}, 2000))
    assert len(batches) > 10
    assert sum(found.events for found in batches) == 1000
    assert batches[-1].end_line == 1000
    monkeypatch.setattr(batch, "_NEW_NAMES", 1 << 20)
    monkeypatch.setattr(batch, "_FLAT_BYTES", 2000)
    assert len(by_kernel(text, typing_fields.Columns({}, 2000))[0]) >= 5


def test_an_event_whose_names_outgrow_its_text_is_refused() -> None:
    def nested(levels: int, leaves: int) -> bytes:
        inside = ",".join(f'"k{n}":1' for n in range(leaves))
        return ('{"a name of some length":' * levels + "{" + inside + "}" + "}" * levels).encode()

    assert check(nested(100, 30)).events == 1
    expected = check(nested(150, 2000))
    assert [r.refusal.code for r in expected.refused] == ["too_large"]


def test_names_are_forgotten_when_there_are_too_many() -> None:
    scanner = kernel.Scanner(times.candidates(None))
    block = kernel.Block(1 << 20)
    for start in range(0, 500_000, 100_000):
        block.clear()
        block.append(b"".join(b'{"s%d":"x"}\n' % (start + n) for n in range(100_000)))
        scanner.reset()
        scanner.scan(block, 0, len(block), 1 << 20, 1 << 30, 1 << 30)
        assert scanner.rows == 100_000
        assert len(scanner.present(1)) == 100_000  # also where numbers of fields are given to other names
    block.clear()
    block.append(b'{"@timestamp":"2024-01-01T00:00:00Z"}\n')
    scanner.reset()
    scanner.scan(block, 0, len(block), 1 << 20, 1 << 30, 1 << 30)
    assert scanner.arrive(5) == 0  # the fields of time are known as before


def test_frames_outlive_their_block_and_scanner() -> None:
    scanner = kernel.Scanner(times.candidates(None))
    block = kernel.Block(64)
    frames = []
    for number in range(20):
        block.clear()
        block.append(b'{"text":"a text too long for a view %d","l":["another text too long for a view\\n"]}\n' % number)
        scanner.reset()
        scanner.scan(block, 0, len(block), 1 << 20, 1 << 30, 1 << 30)
        scanner.arrive(5)
        scanner.sort()
        fields = {name: field for field, name, _ in scanner.present(1)}
        made = scanner.frame(0, 1, [fields["text"], fields["l"]], ["text", "l"], [kernel.STRING, kernel.STRINGS])
        frames.append(pl.DataFrame(made))
    del scanner, block, made
    assert [frame["text"][0] for frame in frames] == [f"a text too long for a view {n}" for n in range(20)]
    assert {frame["l"][0][0] for frame in frames} == {"another text too long for a view\n"}


def test_a_block_tells_its_lines() -> None:
    block = kernel.Block(1)
    assert (len(block), block.last_newline()) == (0, -1)
    block.append(b"a\nbc")
    assert (len(block), block.last_newline(), block.text(2, 4)) == (4, 1, b"bc")
    other = kernel.Block(1)
    other.append_from(block, 1, 4)
    assert other.text(0, 3) == b"\nbc"
    block.truncate(1)
    assert block.text(0, 1) == b"a"
    with pytest.raises(ValueError, match="no such bytes"):
        block.text(0, 2)


def test_threads_read_at_once() -> None:
    text = b"".join(b'{"n":%d,"s":"text %d","o":{"x%d":1}}\n' % (n, n, n % 50) for n in range(20_000))
    found: list[pl.DataFrame | None] = [None] * 4

    def work(place: int) -> None:
        found[place] = by_kernel(text, typing_fields.Columns({}, 2000))[1]

    threads = [threading.Thread(target=work, args=(place,)) for place in range(len(found))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for frame in found:
        assert frame is not None
        assert_frame_equal(frame, found[0])  # type: ignore[arg-type]


def test_damage_anywhere_is_seen_by_both() -> None:
    rng = random.Random(7)
    line = json.dumps(
        {"a": {"b": [1, 2.5, "x\n", {"c": None}]}, "d": "é😀", "@timestamp": "2024-01-01T00:00:00Z"}, ensure_ascii=False
    )
    whole = line.encode()
    damaged = [
        whole[:at] + bytes([rng.choice(b'\x00"\\{}[],:x\xff\x80 9')]) + whole[at + 1 :] for at in range(len(whole))
    ]
    damaged += [whole[:at] for at in range(len(whole))]
    check(b"\n".join(text.replace(b"\n", b" ") for text in damaged))


def test_flat_names_are_counted_alike() -> None:
    event = {"é" * 40: {"x": 1, "y": {"z": 2}}}
    assert flatten.flatten(event, 81 * 2 + 3 * 2 + 4)  # "é…é.x" has 82 bytes, "é…é.y.z" 84
    with pytest.raises(Exception, match="far more bytes"):
        flatten.flatten(event, 82 + 84 - 1)
    assert values.load_all('{"a":1} {"b":2}') == [{"a": 1}, {"b": 2}]
