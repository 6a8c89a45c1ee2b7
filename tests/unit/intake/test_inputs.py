"""What ingest takes in, what it rejects, and what it says; every bad input by its code and message."""

from __future__ import annotations

import base64
import gzip
import io
import json
import pathlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import zstandard

from penstock import errors, testing
from penstock.fields import values
from penstock.intake import ingest, rejects, run, streams
from penstock.intake.shapes import formats
from penstock.lake import table

LINES = b"".join(b'{"n":%d,"message":"line %d"}\n' % (n, n) for n in range(1, 1001))
COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda data: data,
    "gz": gzip.compress,
    "zst": zstandard.compress,
    "gz, several members": lambda data: gzip.compress(data[:5000]) + gzip.compress(data[5000:]) + b"\0" * 512,
    "zst, several frames": lambda data: zstandard.compress(data[:5000]) + zstandard.compress(data[5000:]),
}


@pytest.fixture
def events(tmp_path: pathlib.Path) -> table.EventTable:
    return table.EventTable(str(tmp_path / "lake"), "11111111-2222-3333-4444-555555555555")


def stored(events: table.EventTable, *names: str) -> list[tuple[Any, ...]]:
    """Values of the table's columns, in the order in which they came in."""
    import polars as pl

    snapshot = events.snapshot()
    frames = [pl.read_parquet(snapshot.location(file.path)) for file in snapshot.files]
    return pl.concat(frames, how="diagonal").select(names).rows() if frames else []


def take(events: table.EventTable, source: Any, **options: Any) -> ingest.IngestReport:
    limits = ingest.Limits(**{"batch_bytes": 10_000, **options.pop("limits", {})})
    sources = source if isinstance(source, list) else [source]
    return ingest.ingest(events, sources, clock=testing.ManualClock(), limits=limits, **options)


def rejected(report: ingest.IngestReport) -> list[tuple[int, str]]:
    return [(reject.line, reject.code) for reject in report.rejects]


@pytest.mark.parametrize("kind", COMPRESSORS)
def test_json_lines_come_in_whole_and_in_order(events: table.EventTable, tmp_path: pathlib.Path, kind: str) -> None:
    file = tmp_path / "no-suffix"  # the content tells, not the name
    file.write_bytes(COMPRESSORS[kind](LINES))
    report = take(events, file)
    assert (report.accepted, report.rejected, report.bytes) == (1000, 0, len(LINES))
    assert report.version == events.snapshot().version
    assert stored(events, "n") == [(n,) for n in range(1, 1001)]


@pytest.mark.parametrize("piece_bytes", [1, 7, 100, 4096])
@pytest.mark.parametrize("kind", COMPRESSORS)
def test_no_piece_size_changes_what_is_read(piece_bytes: int, kind: str) -> None:
    data = COMPRESSORS[kind](LINES[:6000])

    opened = streams.Opened("slow", Pieces(data, piece_bytes), None, None)
    assert b"".join(opened.plain_pieces()) == LINES[:6000]


class Pieces(io.BytesIO):
    """A stream that gives few bytes at once."""

    def __init__(self, data: bytes, piece_bytes: int) -> None:
        super().__init__(data)
        self._piece_bytes = piece_bytes

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(self._piece_bytes)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 100, 1000])
@pytest.mark.parametrize("end", [b"", b"\n"])
@pytest.mark.parametrize("batch_bytes", [1, 40, 10_000])
def test_lines_are_numbered_and_bounded_wherever_the_pieces_break(
    events: table.EventTable, size: int, end: bytes, batch_bytes: int
) -> None:
    def line(number: int, length: int) -> bytes:
        return b'{"n":%d,"s":"%s"}' % (number, b"x" * (length - 14))

    data = b"\n".join(
        [b"bad", line(2, 50), b"", line(4, 51), line(5, 20), b"x" * 500, line(7, 50), line(8, 80), line(9, 50)]
    )
    report = take(events, Pieces(data + end, size), limits={"max_line_bytes": 50, "batch_bytes": batch_bytes})
    assert stored(events, "n") == [(2,), (5,), (7,), (9,)]
    found = {reject.line: reject.reason for reject in report.rejects}
    assert sorted(found) == [1, 4, 6, 8]
    assert found[6] == "the line has 500 bytes, more than 50"
    assert report.bytes == len(data + end)


def test_blank_lines_line_ends_and_a_byte_order_mark_are_no_matter(
    events: table.EventTable, tmp_path: pathlib.Path
) -> None:
    file = tmp_path / "f"
    file.write_bytes(b'\xef\xbb\xbf{"n":1}\r\n\r\n  \t\n{"n" : 2}\n\n{"n":3}')
    report = take(events, file)
    assert (report.accepted, report.rejected) == (3, 0)
    assert stored(events, "n") == [(1,), (2,), (3,)]


@pytest.mark.parametrize(
    "text",
    [
        '[{"n":1},{"n":2},{"n":3}]',
        ' \n [ \n {"n":1} , {"n":2}\n,\n{"n":3} ] \n',
        '{\n  "n": 1\n}\n{\n  "n": 2\n}\n{"n": 3}',
        '{"n":\n1}{"n":2}\n\n{"n":3}',
    ],
)
def test_arrays_and_documents_over_several_lines_are_events(
    events: table.EventTable, tmp_path: pathlib.Path, text: str
) -> None:
    file = tmp_path / "f"
    file.write_text(text)
    assert take(events, file).accepted == 3
    assert stored(events, "n") == [(1,), (2,), (3,)]


@pytest.mark.parametrize(("text", "events_in_it"), [("[]", 0), (" [ ] \n", 0), ("", 0), ("\n\n", 0), ("{}", 1)])
def test_empty_inputs_are_no_error(
    events: table.EventTable, tmp_path: pathlib.Path, text: str, events_in_it: int
) -> None:
    file = tmp_path / "f"
    file.write_text(text)
    report = take(events, file)
    assert (report.accepted, report.rejected) == (events_in_it, 0)


def test_a_pretty_printed_event_is_one_event(events: table.EventTable, tmp_path: pathlib.Path) -> None:
    file = tmp_path / "f"
    file.write_text(json.dumps({"message": "m", "source": {"ip": "::1", "port": 1}, "tags": ["a", "b"]}, indent=4))
    assert take(events, file).accepted == 1
    assert stored(events, "source.ip", "source.port", "tags") == [("::1", 1, ["a", "b"])]


def test_an_array_larger_than_a_piece_is_read_piece_by_piece(
    events: table.EventTable, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "PIECE_BYTES", 64)
    file = tmp_path / "f"
    long_text = "é" * 500
    file.write_text(
        json.dumps([{"n": n, "m": long_text} for n in range(50)] + [{"n": 1.5}] + [12345], ensure_ascii=False)
    )
    report = take(events, file)
    assert (report.accepted, rejected(report)) == (51, [(1, "not_an_object")])


def test_items_of_an_array_are_rejected_alone_with_their_line(events: table.EventTable, tmp_path: pathlib.Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(b'[{"n":1},\n{"a.b":1,"a":{"b":2}},\n"x",\n{"bad":"\xff"},\n{"n":NaN},\n{"n":2}]')
    rejects = tmp_path / "rejects.jsonl"
    report = take(events, file, rejects_path=rejects)
    assert report.accepted == 2
    assert rejected(report) == [(2, "duplicate_name"), (3, "not_an_object"), (4, "invalid_utf8"), (5, "invalid_number")]
    assert base64.b64decode(json.loads(rejects.read_text().splitlines()[2])["raw_base64"]) == b'{"bad":"\xff"}'


@pytest.mark.parametrize(
    ("text", "code", "words", "accepted", "last_line"),
    [
        ('[{"n":1},\n{"n":2}', "truncated_input", "line 2: the array has no end", 2, 2),
        ('[{"n":1},\n{"n":2', "truncated_input", "cannot be read on from line 2", 1, 1),
        ('[{"n":1},\n{"n":"\\ud8', "truncated_input", "cannot be read on from line 2", 1, 1),
        ('[{"n":1},\n', "truncated_input", "Expecting value", 1, 1),
        ('[{"n":1}\n{"n":2}]', "invalid_array", "line 2: a comma or `]` is missing", 1, 1),
        ('[{"n":1},]', "invalid_array", "Expecting value", 1, 1),
        ('[{"n":1},{"n" 2},{"n":3}]', "invalid_array", "':' delimiter", 1, 1),
        ('[{"n":1}] x', "invalid_array", "something follows the array's end", 1, 1),
        ('{\n"n":1}\n{"n":2}\n{"n"', "truncated_input", "cannot be read on from line 4", 2, 3),
        ('{\n"n":1}\n}', "invalid_document", "cannot be read on from line 3", 1, 1),
    ],
)
def test_a_broken_array_keeps_what_was_whole_and_says_where_it_breaks(
    events: table.EventTable, tmp_path: pathlib.Path, text: str, code: str, words: str, accepted: int, last_line: int
) -> None:
    file = tmp_path / "f"
    file.write_text(text)
    with pytest.raises(errors.IngestError) as raised:
        take(events, file)
    assert raised.value.code == code
    assert words in raised.value.detail
    assert str(file) in raised.value.detail
    assert raised.value.extra["source_accepted"] == accepted == len(stored(events, "n"))
    assert raised.value.extra["last_line"] == last_line


@pytest.mark.parametrize(("kind", "word"), [("gz", "gzip"), ("zst", "Zstandard")])
def test_a_truncated_file_keeps_what_was_whole_and_says_how_far(
    events: table.EventTable, tmp_path: pathlib.Path, kind: str, word: str
) -> None:
    lines = b"".join(b'{"n":%d,"h":"%s"}\n' % (n, bytes(hex(hash(n * 7919)), "ascii")) for n in range(1, 60_001))
    data = COMPRESSORS[kind](lines)
    file = tmp_path / "f"
    file.write_bytes(data[: len(data) // 2])
    with pytest.raises(errors.IngestError) as raised:
        take(events, file, limits={"batch_bytes": 100_000})
    error = raised.value
    taken = error.extra["source_accepted"]
    assert error.code == "truncated_input"
    assert f"{file} ends in the middle of its {word} stream." in error.detail
    assert f"Its events up to line {taken} were taken in: {taken}." in error.detail
    assert f"what follows line {taken}" in error.hint
    assert 0 < taken < 60_000
    assert [n for (n,) in stored(events, "n")] == list(range(1, taken + 1))


@pytest.mark.parametrize("kind", ["gz", "zst"])
def test_a_truncated_file_with_a_batch_id_is_taken_in_once_it_is_whole(
    events: table.EventTable, tmp_path: pathlib.Path, kind: str
) -> None:
    data = COMPRESSORS[kind](LINES)
    file = tmp_path / "f"
    file.write_bytes(data[:-30])
    with pytest.raises(errors.IngestError) as raised:
        take(events, file, batch_id="b1")
    assert raised.value.code == "truncated_input"
    assert "None of its events were taken in." in raised.value.detail
    assert "run the same command again" in raised.value.hint
    assert events.snapshot().rows == 0
    file.write_bytes(data)
    assert take(events, file, batch_id="b1").accepted == 1000
    again = take(events, file, batch_id="b1")
    assert (again.accepted, again.skipped) == (0, (str(file),))
    assert events.snapshot().rows == 1000


@pytest.mark.parametrize(
    "data",
    [
        gzip.compress(LINES)[:-8] + b"\0\0\0\0" + gzip.compress(LINES)[-4:],  # wrong CRC
        zstandard.ZstdCompressor(write_checksum=True).compress(LINES)[:-4] + b"\0\0\0\0",
        zstandard.compress(LINES)[:4] + b"\xff" * 200,
    ],
    ids=["gz crc", "zst checksum", "zst header"],
)
def test_a_damaged_file_is_said_to_be_damaged(events: table.EventTable, tmp_path: pathlib.Path, data: bytes) -> None:
    file = tmp_path / "f"
    file.write_bytes(data)
    with pytest.raises(errors.IngestError, match="is damaged") as raised:
        take(events, file)
    assert raised.value.code == "corrupt_input"


@pytest.mark.parametrize("packed", [gzip.compress(LINES), zstandard.compress(LINES)], ids=["gz", "zst"])
def test_bytes_behind_a_packed_stream_are_named_as_such(
    events: table.EventTable, tmp_path: pathlib.Path, packed: bytes
) -> None:
    file = tmp_path / "f"
    file.write_bytes(packed + b"not packed at all")
    with pytest.raises(errors.IngestError, match="holds other bytes behind the end of its") as raised:
        take(events, file)
    assert raised.value.code == "trailing_bytes"


def test_a_file_that_is_not_there_and_a_folder_are_unreadable(events: table.EventTable, tmp_path: pathlib.Path) -> None:
    for source in (tmp_path / "none.jsonl", tmp_path):
        with pytest.raises(errors.IngestError, match="cannot be read") as raised:
            take(events, source)
        assert raised.value.code == "unreadable_source"


def test_utf_16_is_named_with_the_way_out(events: table.EventTable, tmp_path: pathlib.Path) -> None:
    file = tmp_path / "f"
    file.write_bytes('{"a":1}\n'.encode("utf-16"))
    with pytest.raises(errors.IngestError, match="is UTF-16") as raised:
        take(events, file)
    assert raised.value.code == "unsupported_encoding"
    assert "iconv" in raised.value.hint


BAD_LINES = [
    (b'{"a":', "invalid_json", "not valid JSON: Expecting value at column 6"),
    (b"not json", "invalid_json", "not valid JSON: Expecting value at column 1"),
    (b'{"a":"\xff"}', "invalid_utf8", "not valid UTF-8: byte 0xff at offset 6"),
    (b'{"a":NaN}', "invalid_number", "NaN is no JSON number"),
    (b'{"a":1,"a":2}', "duplicate_name", "the name 'a' comes twice in one object"),
    (b'{"a.b":1,"a":{"b":2}}', "duplicate_name", "two paths of the event give the one name 'a.b'"),
    (b'{"\\ud800":1}', "invalid_name", "the name '\\ud800' is no valid Unicode (a lone surrogate)"),
    (b"[1,2]", "not_an_object", "the line is an array, not an object"),
    (b"null", "not_an_object", "the line is a single value, not an object"),
    (b'"text"', "not_an_object", "the line is a single value, not an object"),
    (b'{"a":' * 201 + b"1" + b"}" * 201, "too_deep", "objects and lists nest more than 200 levels deep"),
    (b'{"a":' + b"[" * 200 + b"1" + b"]" * 200 + b"}", "too_deep", "objects and lists nest more than 200 levels deep"),
    (b"[" * 100_000, "too_deep", "objects and lists nest too deep to be read"),
    (b'{"a":' * 100_000, "too_deep", "objects and lists nest too deep to be read"),
]


def test_every_bad_line_is_rejected_alone_with_its_reason_and_kept_to_the_byte(
    events: table.EventTable, tmp_path: pathlib.Path
) -> None:
    file = tmp_path / "f.jsonl"
    file.write_bytes(b'{"n":0}\n' + b"".join(line + b'\n{"n":1}\n' for line, _, _ in BAD_LINES))
    rejects = tmp_path / "below" / "rejects.jsonl"
    report = take(events, file, rejects_path=rejects)
    assert report.accepted == len(BAD_LINES) + 1
    assert report.rejected == len(BAD_LINES)
    assert report.rejects_file == rejects
    kept = [json.loads(line) for line in rejects.read_text().splitlines()]
    for place, (entry, reject, (line, code, reason)) in enumerate(zip(kept, report.rejects, BAD_LINES, strict=True)):
        assert (reject.line, reject.code, reject.reason) == (2 * place + 2, code, reason)
        assert (entry["source"], entry["line"]) == (str(file), 2 * place + 2)
        assert entry["reason"] == f"{code}: {reason}"
        raw = entry["raw"].encode() if "raw" in entry else base64.b64decode(entry["raw_base64"])
        assert raw == line


def test_without_rejected_lines_there_is_no_rejects_file(events: table.EventTable, tmp_path: pathlib.Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(LINES)
    report = take(events, file, rejects_path=tmp_path / "rejects")
    assert report.rejects_file is None
    assert not (tmp_path / "rejects").exists()


def test_only_the_first_hundred_rejects_are_told_but_all_are_counted_and_kept(
    events: table.EventTable, tmp_path: pathlib.Path
) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"x\n" * 250)
    report = take(events, file, rejects_path=tmp_path / "rejects")
    assert (report.rejected, len(report.rejects), report.accepted) == (250, 100, 0)
    assert len((tmp_path / "rejects").read_text().splitlines()) == 250


def test_a_line_of_ten_megabytes_is_an_event_and_a_longer_than_allowed_is_rejected(
    events: table.EventTable, tmp_path: pathlib.Path
) -> None:
    file = tmp_path / "f"
    ten = b'{"message":"' + b"m" * 10_000_000 + b'"}'
    longer = b'{"message":"' + b"l" * (16 * 1024 * 1024) + b'"}'
    file.write_bytes(ten + b"\n" + longer + b'\n{"message":"short"}\n')
    report = take(events, file, rejects_path=tmp_path / "rejects")
    assert report.accepted == 2
    assert [len(message) for (message,) in stored(events, "message")] == [10_000_000, 5]
    assert rejected(report) == [(2, "line_too_long")]
    assert report.rejects[0].reason == f"the line has {len(longer)} bytes, more than 16777216"
    entry = json.loads((tmp_path / "rejects").read_text())
    assert entry["raw"] == longer[: rejects.KEPT_BYTES].decode()
    assert (entry["truncated"], entry["bytes"]) == (True, len(longer))


def test_an_endless_line_is_rejected_without_being_held(events: table.EventTable) -> None:
    held = 0

    def endless() -> Iterator[bytes]:
        for _ in range(600):
            yield b"x" * 1024 * 1024
        yield b'\n{"n":1}\n'

    import tracemalloc

    tracemalloc.start()
    report = ingest.ingest_stream(events, endless(), clock=testing.ManualClock())
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (report.accepted, rejected(report)) == (1, [(1, "line_too_long")])
    assert held < 64 * 1024 * 1024


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
def test_a_decompression_bomb_is_read_in_bounded_memory(
    events: table.EventTable, compress: Callable[[bytes], bytes]
) -> None:
    import tracemalloc

    bomb = compress(bytes(300 * 1024 * 1024))
    assert len(bomb) < 400_000
    tracemalloc.start()
    with pytest.raises(errors.IngestError) as raised:
        ingest.ingest_stream(
            events, [bomb], clock=testing.ManualClock(), limits=ingest.Limits(max_bytes=256 * 1024 * 1024)
        )
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert raised.value.code == "too_many_bytes"
    assert held < 160 * 1024 * 1024


def test_a_nul_and_the_last_instant_of_the_calendar_are_fine(events: table.EventTable, tmp_path: pathlib.Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(b'{"message":"a\\u0000b","@timestamp":"9999-12-31T23:59:59.999999Z"}\n')
    assert take(events, file).accepted == 1
    assert stored(events, "message") == [("a\x00b",)]
    assert values.render_timestamp(events.snapshot().files[0].last_us) == "9999-12-31T23:59:59.999999Z"


def test_standard_input_is_a_source(events: table.EventTable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(LINES))))
    report = take(events, "-")
    assert report.accepted == 1000


def test_several_sources_come_in_one_after_the_other(events: table.EventTable, tmp_path: pathlib.Path) -> None:
    files = []
    for place in range(3):
        files.append(tmp_path / f"f{place}")
        files[-1].write_bytes(b'{"n":%d}\nbad\n' % place)
    told: list[ingest.Progress] = []
    report = take(events, files, progress=told.append)
    assert (report.accepted, report.rejected) == (3, 3)
    assert [reject.source for reject in report.rejects] == list(map(str, files))
    assert stored(events, "n") == [(0,), (1,), (2,)]
    assert told[-1] == ingest.Progress(source=str(files[2]), source_bytes=12, source_size=12, accepted=3, rejected=3)
    assert [one.accepted for one in told] == sorted(one.accepted for one in told)


def test_with_a_batch_id_each_of_several_files_is_one_commit_and_taken_in_once(
    events: table.EventTable, tmp_path: pathlib.Path
) -> None:
    files = [tmp_path / "a", tmp_path / "b"]
    for file in files:
        file.write_bytes(LINES)
    before = events.snapshot().version
    assert take(events, files[:1], batch_id="x").accepted == 1000
    assert take(events, files, batch_id="y").accepted == 2000
    report = take(events, files, batch_id="y")
    assert (report.accepted, report.skipped) == (0, tuple(map(str, files)))
    assert events.snapshot().rows == 3000
    assert before < events.snapshot().version


def test_without_a_batch_id_files_are_committed_every_few_batches(
    events: table.EventTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "COMMIT_BATCHES", 2)
    monkeypatch.setattr(formats, "LOOK_BYTES", 1)
    seen: list[int] = []
    append = events.append

    def counted(frames: Any, **options: Any) -> int:
        frames = list(frames)
        seen.append(sum(frame.height for frame in frames))
        return append(frames, **options)

    events.append = counted  # type: ignore[method-assign]
    first, second = LINES[:13_000], LINES[13_000:]
    take(events, [Pieces(first, 500), Pieces(b"\n" + second, 500)], limits={"batch_bytes": 4000})
    assert len(seen) > 3
    assert max(seen) < 350
    assert sum(seen) == 999  # the line that is cut in two is rejected twice


def test_with_a_batch_id_a_file_of_many_batches_is_one_commit(
    events: table.EventTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "COMMIT_BATCHES", 2)
    monkeypatch.setattr(formats, "LOOK_BYTES", 1)
    report = take(events, Pieces(LINES, 500), limits={"batch_bytes": 4000}, batch_id="x")
    assert (report.accepted, events.snapshot().rows) == (1000, 1000)
    clock = testing.ManualClock()
    whole = ingest.ingest_stream(events, Pieces(LINES, 500), clock=clock, limits=ingest.Limits(batch_bytes=4000))
    assert (whole.accepted, events.snapshot().rows) == (1000, 2000)


def test_a_request_is_taken_in_whole_or_not_at_all(events: table.EventTable) -> None:
    clock = testing.ManualClock()
    report = ingest.ingest_stream(events, iter([LINES[:700], LINES[700:], b"bad\n"]), clock=clock)
    assert (report.accepted, rejected(report)) == (1000, [(1001, "invalid_json")])
    assert report.rejects[0].source == "request"
    for body in ([gzip.compress(LINES)[:-20]], io.BytesIO(zstandard.compress(LINES)[:-20])):
        with pytest.raises(errors.IngestError) as raised:
            ingest.ingest_stream(events, body, clock=clock)
        assert raised.value.code == "truncated_input"
        assert raised.value.extra["accepted"] == 0
    with pytest.raises(errors.IngestError, match="more than 5000 bytes") as raised:
        ingest.ingest_stream(events, [gzip.compress(LINES)], clock=clock, limits=ingest.Limits(max_bytes=5000))
    assert raised.value.code == "too_many_bytes"
    assert events.snapshot().rows == 1000


def test_a_request_with_a_batch_id_is_taken_in_once(events: table.EventTable) -> None:
    clock = testing.ManualClock()
    assert ingest.ingest_stream(events, [LINES], clock=clock, batch_id="r1").accepted == 1000
    assert ingest.ingest_stream(events, [LINES], clock=clock, batch_id="r1").skipped == ("request",)
    assert events.snapshot().rows == 1000


def test_a_column_that_another_ingest_made_meanwhile_costs_no_value(
    events: table.EventTable, tmp_path: pathlib.Path
) -> None:
    """Between reading the table's columns and the commit, another ingest gives `v` another type and takes `Name`."""
    file = tmp_path / "f"
    file.write_bytes(b'{"v":1,"name":"a"}\n')
    for batch_id in (None, "b"):
        other = table.EventTable(str(tmp_path / f"lake-{batch_id}"), events.community_uuid)
        append, raced = other.append, []

        def racing(
            frames: Any, *, append: Any = append, raced: list[int] = raced, other: Any = other, **options: Any
        ) -> int:
            if not raced:
                raced.append(1)
                rival = table.EventTable(other.root.rsplit("/", 1)[0], other.community_uuid)
                ingest.ingest_stream(rival, [b'{"v":"text","Name":"b"}\n'], clock=testing.ManualClock())
            return append(frames, **options)

        other.append = racing  # type: ignore[method-assign]
        report = take(other, file, batch_id=batch_id)
        assert report.accepted == 1
        assert other.snapshot().rows == 2
        assert stored(other, "v", "Name", "_overflow") == [("text", "b", None), (None, None, '{"v":1,"name":"a"}')]


def test_the_settings_give_the_limits() -> None:
    from penstock import settings

    wanted = settings.Settings(ingest_batch_bytes=7, ingest_max_line_bytes=8, lake_max_columns=9, request_max_bytes=10)
    assert ingest.Limits.of(wanted) == ingest.Limits(batch_bytes=7, max_line_bytes=8, max_columns=9)
    assert ingest.Limits.of(wanted, request=True).max_bytes == 10
