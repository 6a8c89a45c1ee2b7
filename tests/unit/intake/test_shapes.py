"""The shapes in which people have their events: each is seen, said, and taken out of what is wrapped around it."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import json
import lzma
import os
import pathlib
import random
import threading
import zipfile
from typing import Any

import pytest

from penstock import errors, testing
from penstock.fields import types, values
from penstock.intake import ingest, readers, streams
from penstock.intake.shapes import formats, lines
from penstock.lake import table

Format = ingest.Format


@pytest.fixture
def events(tmp_path: pathlib.Path) -> table.EventTable:
    return table.EventTable(str(tmp_path / "lake"), "11111111-2222-3333-4444-555555555555")


def take(events: table.EventTable, *sources: Any, **options: Any) -> ingest.IngestReport:
    limits = ingest.Limits(batch_bytes=10_000, **options.pop("limits", {}))
    return ingest.ingest(events, sources, clock=testing.ManualClock(), limits=limits, **options)


def stored(events: table.EventTable) -> list[dict[str, Any]]:
    """Every event but its time, in the order in which they lie; values as they came."""
    import polars as pl

    snapshot = events.snapshot()
    found = []
    for file in snapshot.files:
        for row in pl.read_parquet(snapshot.location(file.path)).to_dicts():
            rest = values.loads(row.pop(types.OVERFLOW, None) or "{}")
            found.append({name: value for name, value in row.items() if value is not None} | rest)
            del found[-1][types.TIMESTAMP]
    return found


def source(text: str | bytes) -> io.BytesIO:
    return io.BytesIO(text.encode() if isinstance(text, str) else text)


N = [{"n": 1}, {"n": 2}, {"n": 3}]
HIT = '{"_index":"i","_type":"_doc","_id":"%d","_score":1.50,"_source":{"n":%d},"sort":[1]}'
HITS = [HIT % (n, n) for n in (1, 2, 3)]
BULK = '{"index":{"_index":"i","_id":"a}\\"{"}}\n{"n":1}\n{ "create" : {} }\n\n{"n":2}\n{"delete":{"_id":"7"}}\n'
BULK += '{"update":{"_id":"8","dynamic_templates":{"a":"b"}}}\n{"doc":{"n":3},"doc_as_upsert":true}\n'
ANSWER = '{"took":3,"timed_out":false,"_shards":{"total":1},"hits":{"total":{"value":3},"hits":[%s]},"x":[{}]}'

SHAPES = {
    "bulk": (Format.BULK, BULK),
    "elasticdump": (Format.ELASTICDUMP, "\n".join(HITS)),
    "array of hits": (Format.ELASTICDUMP, f"[{','.join(HITS)}]"),
    "pretty hits": (Format.ELASTICDUMP, "\n".join(json.dumps(json.loads(hit), indent=1) for hit in HITS)),
    "answer": (Format.SEARCH, ANSWER % ", ".join(HITS)),
    "pretty answer": (Format.SEARCH, json.dumps(json.loads(ANSWER % ",".join(HITS)), indent=2)),
    "pages of a scroll": (Format.SEARCH, (ANSWER % HITS[0]) + "\n" + (ANSWER % f"{HITS[1]},{HITS[2]}") + ANSWER % ""),
    "CloudTrail": (Format.RECORDS, '{"Records":[{"n":1},{"n":2},{"n":3}]}'),
    "Azure, pretty": (Format.RECORDS, '{\n "records" : [\n {"n":1},\n {"n":2},\n{"n":3} ]\n}\n'),
    "glued Records": (Format.RECORDS, '{"Records":[{"n":1}]}{"Records":[]}\n{"Records":[{"n":2},{"n":3}]}'),
    "glued": (Format.JSON_LINES, '{"n":1}{"n":2}{"n":3}'),
    "lines": (Format.JSON_LINES, '{"n":1}\n{"n":2}\n{"n":3}'),
    "Zeek": (Format.ZEEK, "#separator \\x09\n#fields\tn\n#types\tcount\n1\n2\n3\n#close\t2026\n"),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_shape_is_seen_said_and_unwrapped(events: table.EventTable, shape: str) -> None:
    seen, text = SHAPES[shape]
    report = take(events, source(text))
    assert (report.accepted, report.rejected, report.formats) == (3, 0, {seen: 1})
    assert stored(events) == N


@pytest.mark.parametrize("shape", SHAPES)
def test_no_piece_size_changes_a_shape(events: table.EventTable, shape: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(7)

    report = take(events, Slow(SHAPES[shape][1].encode()))
    assert (report.accepted, stored(events)) == (3, N)


@pytest.mark.parametrize(
    "line",
    [
        '{"records":[{"a":1}],"user":"x"}',  # a member beside the list would be lost
        '{"records":[1,2]}',
        '{"hits":{"hits":[{"a":1}]},"page":"/"}',
        '{"_source":{"a":1},"user":"x"}',
        '{"_source":{"a":1},"_index":"i","user":"x"}',
        '{"index":{"_id":"1"},"user":"x"}',
        '{"index":{"_id":"1"}}',  # nothing behind it
    ],
)
def test_events_that_look_like_a_wrapping_stay_whole(events: table.EventTable, line: str) -> None:
    report = take(events, source(line + "\n"))
    assert (report.accepted, report.formats) == (1, {Format.JSON_LINES: 1})
    (event,) = stored(events)
    assert set(json.loads(line)) <= {name.split(".")[0] for name in event}


def test_what_a_shape_does_not_promise_is_an_event_or_rejected(events: table.EventTable) -> None:
    text = '{"index":{}}\n{"n":1}\n{"n":2}\n{"index":{}}\n{"n":NaN}\n{"index":{}}\nx\n'
    report = take(events, source(text), source(HITS[0] + '\n{"n":2}\n{"_source":7}\nx\n'))
    assert [(one.line, one.code) for one in report.rejects] == [
        (5, "invalid_number"),
        (7, "invalid_json"),
        (4, "invalid_json"),
    ]
    assert [event for event in stored(events) if "n" in event] == [{"n": 1}, {"n": 2}, {"n": 1}, {"n": 2}]
    assert report.accepted == 5
    report = take(events, source('{"Records":[{"m":1}]}\n{"m":2}\n{"Records":[{"m":3}]}'))
    assert [event for event in stored(events) if "m" in event] == [{"m": 1}, {"m": 2}, {"m": 3}]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"Records":[{"n":1},{"n":2}', "truncated_input"),
        ('{"Records":[{"n":1},{"n":2}]', "truncated_input"),
        ('{"Records":[{"n":1},{"n":2}],x', "invalid_document"),
        ('{"Records":[{"n":1},{"n":2}]} ]', "invalid_document"),
    ],
)
def test_wrapping_that_breaks_off_keeps_what_was_whole(events: table.EventTable, text: str, code: str) -> None:
    with pytest.raises(errors.IngestError) as raised:
        take(events, source(text))
    assert (raised.value.code, raised.value.extra["source_accepted"]) == (code, 2)


def test_objects_glued_to_one_line_may_be_longer_than_a_line(events: table.EventTable) -> None:
    glued = b'{"n":1,"pad":"%s"}' % (b"x" * 1000) * 300
    report = take(events, source(glued), limits={"max_line_bytes": 50_000})
    assert (report.accepted, report.rejected) == (300, 0)


def test_values_under_a_wrapping_are_the_text_that_came(events: table.EventTable) -> None:
    tokens = '{"a":1.50,"b":1e5,"c":-0,"d":"\\u00e9\\ud800","e":123456789012345678901234567890,"f":{},"g":[1.0]}'
    take(events, source(tokens))
    take(events, source(HIT.replace('{"n":%d}', tokens.replace("%", "%%")) % 1))
    take(events, source('{"Records":[' + tokens + "]}"))
    take(events, source('{"index":{}}\n' + tokens + "\n"))
    assert [first := stored(events)[0]] * 4 == stored(events)
    assert set(first) == set("abcdefg")


ZEEK = """#separator \\x09
#set_separator\t,
#empty_field\t(empty)
#unset_field\t-
#path\tconn
#open\t2026-11-27-00-00-00
#fields\tts\tuid\tid.orig_h\tid.orig_p\tproto\tduration\tlocal_orig\thistory\ttunnel_parents\tnote
#types\ttime\tstring\taddr\tport\tenum\tinterval\tbool\tstring\tset[string]\tstring
1591367999.305988\tCMdzit\t192.168.4.76\t36844\tudp\t0.066852\tT\t(empty)\t(empty)\ta\\x09\\xc3\\xa9
1591368000.000000\tCMdzi2\tfe80::1\t53\ttcp\t-\tF\tDd\ta,b\t-
too\tmany\t1\t2\t3\t4\t5\t6\t7\t8\t9
#close\t2026-11-27-01-00-00
"""


def test_zeek_rows_are_typed_as_zeek_types_them(events: table.EventTable) -> None:
    report = take(events, source(ZEEK))
    assert (report.accepted, report.untimed) == (2, 0)
    assert [(one.line, one.code) for one in report.rejects] == [(11, "too_many_cells")]
    first, second = stored(events)
    assert first == {
        "_path": "conn",
        "ts": 1591367999.305988,
        "uid": "CMdzit",
        "id.orig_h": "192.168.4.76",
        "id.orig_p": 36844,
        "proto": "udp",
        "duration": 0.066852,
        "local_orig": True,
        "history": "",
        "tunnel_parents": [],
        "note": "a\té",
    }
    assert second["ts"] == values.Number("1591368000.000000")
    assert second["tunnel_parents"] == ["a", "b"]
    assert not {"duration", "note"} & set(second)


def test_csv_rows_are_text_but_where_ecs_says_numbers(events: table.EventTable, tmp_path: pathlib.Path) -> None:
    file = tmp_path / "Security.csv"
    file.write_bytes(
        b"\xef\xbb\xbfTime Created,source.port,Code,Code,,Message\r\n"
        b'2026-01-02T03:04:05Z,443,007,x,,"two\r\nlines, ""q"""\r\n'
        b"2026-01-02T03:04:06Z,1e3,1.50,,9,short\r\n\r\n1,2,3,4,5,6,7\r\n2026-01-02T03:04:07Z,,bad \xff\r\n"
    )
    report = take(events, file, time_field="Time Created")
    assert (report.accepted, report.untimed, report.formats) == (2, 0, {Format.CSV: 1})
    assert [(one.line, one.code) for one in report.rejects] == [(6, "too_many_cells"), (7, "invalid_utf8")]
    first, second = stored(events)
    assert first == {
        "Time Created": "2026-01-02T03:04:05Z",
        "source.port": 443,
        "Code": "007",
        "Code_2": "x",
        "Message": 'two\r\nlines, "q"',
    }
    assert second == {
        "Time Created": "2026-01-02T03:04:06Z",
        "source.port": "1e3",
        "Code": "1.50",
        "column_5": "9",
        "Message": "short",
    }


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("host;user\na;b\n", Format.CSV),
        ("host\tuser\na\tb\n", Format.TSV),
        ("host,user\na\n", Format.JSON_LINES),
        ("Jan 1 00:00:00 host sshd[1]: a, b\nJan 1 00:00:01 host sshd[1]: c, d\n", Format.JSON_LINES),
        ("host,host\na,b\n", Format.JSON_LINES),
        ('"host,user\na,b\n', Format.JSON_LINES),
        ('host,user\n"a\nb",c\n', Format.JSON_LINES),
    ],
)
def test_table_is_seen_by_a_plain_header_only(text: str, seen: Format) -> None:
    assert formats.of_text("stream", text.encode()) is seen


BEGINNINGS = (
    *(
        b"",
        b"{",
        b"[",
        b"[{",
        b'"',
        b'"+',
        b'{"a":1}\n',
        b"a,b\n",
        b"a,b\n1,2\n",
        b"a\tb\n",
        b'a;b\n"x',
        b"\n\n",
        b"\xff\xfe",
    ),
    *(
        b"#fields\ta\tb\n",
        b"#separator \\x09\n#fields\ta\tb\n#types\tstring\tcount\n",
        b'{"index":{}}\n',
        b'{"_source":{',
    ),
    *(
        b'{"took":1,"hits":{"hits":[',
        b'{"Records":[{',
        b"PAR1",
        b"PK\x03\x04",
        b"\x1f\x8b\x08\0",
        b"BZh9",
        b"\xfd7zXZ\0",
    ),
)


def test_rubbish_is_refused_or_rejected_and_nothing_else() -> None:
    """A hostile tenant's: random bytes, and what JSON and tables are made of, behind every known beginning."""
    draw = random.Random(7)
    for number in range(1500):
        rest = draw.randbytes(600) if number % 3 else bytes(draw.choices(b'{}[]":,\\\n\t ;ab01.eE+-#\0\xff', k=300))
        body = BEGINNINGS[number % len(BEGINNINGS)] + rest
        with contextlib.suppress(errors.IngestError):
            opened = streams.Opened("request", io.BytesIO(body), None, None)
            for item in readers.read(opened, max_line_bytes=200, max_bytes=10_000)[1]:
                assert isinstance(item, readers.Text | readers.Blank | lines.Lines)


def test_cell_without_an_end_is_said_and_not_kept_in_memory(events: table.EventTable) -> None:
    for rest, code in (("x", "truncated_input"), ("x" * 200_000 + "\nx" * 100_000, "invalid_table")):
        with pytest.raises(errors.IngestError) as raised:
            take(events, source('a,b\n1,2\n3,"' + rest), limits={"max_line_bytes": 140_000})
        assert (raised.value.code, raised.value.extra["source_accepted"]) == (code, 1)


def test_format_that_is_said_wins(events: table.EventTable) -> None:
    take(events, source("only\n1\n"), format=Format.CSV)
    take(events, source('{"records":[{"n":1}],"a":2}'), format=Format.RECORDS)
    assert stored(events) == [{"only": "1"}, {"n": 1}]
    report = take(events, source('{"index":{}}\n{"n":1}\n'), format=Format.JSON_LINES)
    assert report.accepted == 2


@pytest.mark.parametrize(
    ("head", "word"),
    [(b"Obj\x01\x04", "Avro"), (b"ElfFile\x00", "Windows"), (b"a" * 257 + b"ustar", "tar"), (b"%PDF-1.7", "PDF")],
)
def test_what_holds_no_text_is_named(events: table.EventTable, head: bytes, word: str) -> None:
    for data in (head + b"\0" * 300, gzip.compress(head + b"\0" * 300)):
        with pytest.raises(errors.IngestError, match=word) as raised:
            take(events, source(data))
        assert raised.value.code == "unsupported_format"


LINES = b'{"n":1}\n{"n":2}\n{"n":3}\n'


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_packed_streams_are_unpacked(events: table.EventTable, pack: Any) -> None:
    report = take(events, source(pack(LINES[:8]) + pack(LINES[8:])))
    assert (report.accepted, stored(events)) == (3, N)
    for data, code in ((pack(LINES)[:-9], "truncated_input"), (pack(LINES) + b"trailing", "trailing_bytes")):
        with pytest.raises(errors.IngestError) as raised:
            take(events, source(data))
        assert raised.value.code == code
    assert raised.value.extra["source_accepted"] == 3  # all before what trails is whole


@pytest.mark.parametrize("is_stream", [True, False])
def test_members_of_a_zip_are_sources(events: table.EventTable, tmp_path: pathlib.Path, is_stream: bool) -> None:
    file = tmp_path / "a.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("b/", b"")
        archive.writestr("b/1.jsonl", b'{"n":1}\nbad')
        archive.writestr("__MACOSX/b/._1.jsonl", b"\0")
        archive.writestr("2.json.gz", gzip.compress(b'{"Records":[{"n":2}]}'))
        archive.writestr("3.csv", b"n\n3\n")
    told: list[ingest.Progress] = []
    report = take(events, io.BytesIO(file.read_bytes()) if is_stream else file, progress=told.append)
    assert report.formats == {Format.JSON_LINES: 1, Format.RECORDS: 1, Format.CSV: 1}
    name = "stream" if is_stream else str(file)
    assert [(one.source, one.line) for one in report.rejects] == [(f"{name}:b/1.jsonl", 2)]
    assert [list(map(str, event.values())) for event in stored(events)] == [["1"], ["2"], ["3"]]
    assert {one.source for one in told} == {name}
    assert all(one.source_size is None or one.source_bytes <= one.source_size for one in told)


def test_zip_that_is_damaged_is_said(events: table.EventTable, tmp_path: pathlib.Path) -> None:
    file = tmp_path / "a.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("1.jsonl", LINES * 100)
    data = file.read_bytes()
    for broken in (data[:-30], data.replace(b'{"n":2}', b'{"n":9}', 1)):
        with pytest.raises(errors.IngestError) as raised:
            take(events, source(broken))
        assert raised.value.code == "corrupt_input"


def test_bytes_of_all_members_of_a_zip_have_one_bound(events: table.EventTable) -> None:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(10):
            archive.writestr(f"{number}.jsonl", LINES * 100)
    with pytest.raises(errors.IngestError) as raised:
        ingest.ingest_stream(
            events,
            io.BytesIO(body.getvalue()),
            clock=testing.ManualClock(),
            limits=ingest.Limits(max_bytes=5 * len(LINES) * 100),
        )
    assert raised.value.code == "too_many_bytes"
    assert not events.snapshot().files


def test_two_files_of_one_name_are_two_in_a_batch(
    events: table.EventTable, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, folder in enumerate(("a", "b")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.json").write_bytes(b'{"n":%d}\n' % number)
    monkeypatch.chdir(tmp_path / "a")
    assert take(events, "x.json", "../b/x.json", batch_id="m").accepted == 2
    monkeypatch.chdir(tmp_path / "b")  # the same two files, each under the name that the other had
    report = take(events, "x.json", "../a/x.json", batch_id="m")
    assert (report.accepted, report.skipped) == (0, ("x.json", "../a/x.json"))
    assert sorted(event["n"] for event in stored(events)) == [0, 1]


def test_fifo_is_read_once_to_its_end(events: table.EventTable, tmp_path: pathlib.Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(gzip.compress(LINES),))
    writer.start()
    assert take(events, pipe).accepted == 3
    writer.join()
