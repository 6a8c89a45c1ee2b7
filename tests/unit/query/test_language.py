"""What queries mean, by example: each claim is checked by the reference evaluator and by the Polars predicate."""

from __future__ import annotations

import concurrent.futures
import hashlib
import importlib.resources
import json
import pathlib
import pickle
import re
import unicodedata
from typing import Any

import polars as pl
import pytest
import query_strategies as strategies

from penstock import errors, query
from penstock.fields import types, values
from penstock.query import ast, patterns, words

DOCS = pathlib.Path(__file__).parents[3] / "docs" / "query.md"
K, T, IP, L, D, B, DATE, LIST, JSON = (
    types.FieldType.KEYWORD,
    types.FieldType.TEXT,
    types.FieldType.IP,
    types.FieldType.LONG,
    types.FieldType.DOUBLE,
    types.FieldType.BOOLEAN,
    types.FieldType.DATE,
    types.FieldType.KEYWORD_LIST,
    types.FieldType.JSON,
)
NAMES = {K: "kw", T: "text.of-it", IP: "source.ip", L: "port", D: "score", B: "is_ok", DATE: "@timestamp", LIST: "list"}
NAMES[JSON] = "json"

NOON = "2024-01-01T12:00:00Z"
MEANINGS: list[tuple[types.FieldType | None, str, list[Any], list[Any]]] = [
    # type of the field (None: no column), what stands behind "field:", JSON values that match, values that do not
    (K, "alice", ["alice", ["bob", "alice"], [["alice"]]], ["Alice", "alice ", "bob", None, 1, {}, []]),
    (K, '"a b"', ["a b"], ["a  b", "a", "A b"]),
    (K, '""', [""], [None, " ", []]),
    (K, "adm*", ["adm", "admin", "adm\nx"], ["xadm", "Admin"]),
    (K, "a*n", ["an", "admin", "a\nn"], ["a", "anx"]),
    (K, "*min", ["min", "admin"], ["minx"]),
    (K, "*dm*", ["admin", "dm"], ["md"]),
    (K, "w?b", ["web", "wéb", "w\nb", "w😀b"], ["wb", "weeb"]),
    (K, r"50\*", ["50*"], ["500"]),
    (K, '"50*"', ["50*"], ["500"]),
    (K, r"C:\\Windows\\cmd.exe", ["C:\\Windows\\cmd.exe"], ["C:Windowscmd.exe", "c:\\windows\\cmd.exe"]),
    (K, r"a\ b\:\(c\)", ["a b:(c)"], ["a"]),
    (K, r"\[a\]\=x\{\}", ["[a]=x{}"], ["a"]),
    (K, "https://example.com/a?b=c", ["https://example.com/a?b=c", "https://example.com/aXb=c"], ["example.com"]),
    (K, "/ad.*/", ["admin"], ["xadmin", "ad\nx", "Admin"]),
    (K, "/(?s)ad.*/", ["ad\nx"], ["xad"]),
    (K, "/(?i)AD|x/", ["ad", "X"], ["adx", "bad"]),
    (K, r"/\/etc\/.*/", ["/etc/passwd"], ["etc/passwd"]),
    (K, r"/a||b/", ["a", "b", ""], ["ab"]),
    (K, "*", ["", "x", 0, False, {}, {"a": None}, [[], ""]], [None, [], [None], [[], [None]]]),
    (K, "10.0.0.0/8", ["10.1.2.3", "10.0.0.0/8", ["::1", "10.0.0.1"]],
     ["11.0.0.1", "10.0.0", "10.0.0.256", "010.0.0.1"]),
    (K, "::1", ["::1"], ["0:0:0:0:0:0:0:1"]),
    (K, "443", ["443", 443], ["443.0", "0443", True]),
    (K, ">5", ["6", "5.5", "1e1", 6, 5.1, "1" + "0" * 400],
     ["5", "4", "06x", "", "inf", "NaN", "+6", " 6", "6.", ".7e3", "1_0", "0x9",
     None, True, "-6", "1e-1"]),
    (K, ">2024-01-01", [NOON, "2024-01-02", "2024-01-01 00:01"], ["2024-01-01", "2023-12-31", "2024", "x"]),
    (K, "true", ["true", True], ["True", 1, False]),
    (T, '"failed password"', ["Failed password!", "x FAILED,\nPassWord", ["no", "failed password"]],
     ["failed the password", "unfailed password", "failed passwords", "failed_password"]),
    (T, "failed", ["Failed", "a-failed.b", "(failed)"], ["failed_x", "failedé", "xfailed", "ﬁfailed"]),
    (T, "éa", ["ÉA", "x Éa y"], ["ea", "éab", "béa"]),
    (T, "straße", ["STRAßE", "STRAẞE"], ["strasse"]),
    (T, "kelvins", ["\u212aelvin\u017f"], ["kelvin"]),
    (T, '"10.0.0.1"', ["from 10.0.0.1 port", "10 0 0 1"], ["10.0.0.11", "110.0.0.1"]),
    (T, '"->"', ["a -> b"], ["a - > b", ""]),
    (T, '""', [""], [" ", "x", None]),
    (T, "fail*", ["it failed", "FAIL", "fail\nx"], ["unfail", "fa il"]),
    (T, "*word", ["password", "my Password."], ["wordy", "passwords"]),
    (T, "*ass*", ["password"], ["pas s"]),
    (T, r"*\-\>*", ["a -> b"], ["a - > b"]),
    (T, "w?b", ["the web.", "WÉB"], ["webs", "aweb", "wb"]),
    (T, "fail*pass", ["fail a pass", "failpass"], ["failpassed"]),
    (T, "/Fail.*/", ["Failed"], ["failed", "x Failed"]),
    (T, ">5", [6], ["6"]),
    (T, "10.0.0.0/8", ["x 10.0.0.0/8 y", "10 0 0 0 8"], ["10.1.2.3"]),
    (IP, "10.0.0.1", ["10.0.0.1", "::ffff:10.0.0.1", "::FFFF:10.0.0.1", ["10.0.0.1"]],
     ["10.0.0.10", "::fFff:10.0.0.1", "::ffff:a00:1"]),
    (IP, "::1", ["::1", "0:0:0:0:0:0:0:1", "0000::0001", ["x", "0::1"], "::1%lo"], ["::2", "1", "::1%"]),
    (IP, "fe80::1%eth0", ["fe80::1%eth0", "FE80:0::1%eth0"], ["fe80::1", "fe80::1%eth1"]),
    (IP, "fe80::/10", ["fe80::1%eth0", "FE80::1", "febf::%1"], ["fec0::1", "fe80::1%"]),
    (IP, "::ffff:10.0.0.0/104", ["10.255.255.255", "10.0.0.0", "::ffff:10.9.9.9"], ["9.255.255.255", "::ffff:a00:1"]),
    (K, "::ffff:10.0.0.0/104", ["10.255.255.255"], ["11.0.0.0"]),
    (IP, "unknown", ["unknown"], ["::1"]),
    (IP, "10.0.0.0/8", ["10.255.255.255", "10.0.0.0", "::ffff:10.9.9.9"],
     ["9.255.255.255", "11.0.0.0", "10.0.0.0.0", "::1", "10.00.0.1"]),
    (IP, "10.1.2.3/9", ["10.127.255.255"], ["10.128.0.0"]),
    (IP, "192.168.1.64/26", ["192.168.1.64", "192.168.1.127"], ["192.168.1.63", "192.168.1.128"]),
    (IP, "0.0.0.0/0", ["1.2.3.4", "255.255.255.255"], ["::1", "x"]),
    (IP, "2001:db8::/32", ["2001:db8::1", "2001:0DB8:ffff::"], ["2001:db9::", "10.0.0.1"]),
    (IP, "::/0", ["::1", "fe80::"], ["1.2.3.4", "::ffff:1.2.3.4"]),
    (IP, "[10.0.0.250 TO 10.0.2.5]", ["10.0.0.250", "10.0.1.0", "10.0.2.5"], ["10.0.0.249", "10.0.2.6", "10.0.10.1"]),
    (IP, ">255.255.255.254", ["255.255.255.255"], ["255.255.255.254", "::"]),
    (IP, ">255.255.255.255", [], ["255.255.255.255"]),
    (IP, "<=0.0.0.0", ["0.0.0.0"], ["0.0.0.1"]),
    (IP, "<0.0.0.0", [], ["0.0.0.0"]),
    (IP, "[::1 TO ::ffff]", ["::1", "0::a"], ["::", "::1:0", "1.2.3.4"]),
    (IP, "10.*", ["10.0.0.1"], ["110.0.0.1"]),
    (L, "443", [443, "443", [1, 443], 443.0], [4430, -443, "443.0", True, None]),
    (L, "443.0", [443, 443.0], ["443", 444]),
    (L, "4.43e2", [443], [4]),
    (L, '"443"', [443], [44]),
    (L, "9007199254740993", [9007199254740993], [9007199254740992]),
    (L, "99999999999999999999", [99999999999999999999], [9223372036854775807]),
    (L, "44*", [443, 44, "44x"], [4, 144]),
    (L, "/4+3/", [443, 43], [4430]),
    (L, ">1.5", [2, "2", 1.6], [1, "1.5", "x"]),
    (L, ">=2", [2, 3], [1]),
    (L, "<-1.5", [-2], [-1]),
    (L, "[1 TO 3]", [1, 2, 3, "3.0", [0, 3]], [0, 4, 3.1]),
    (L, "[* TO 3]", [-(2**63), 3], [4, None]),
    (L, ">9223372036854775807", [2**63], [2**63 - 1]),
    (L, ">-9223372036854775809", [-(2**63), 0], [-(2**63) - 1]),
    (L, "<1e400", [2**63 - 1, 10**399], [values.loads("1e400")]),
    (L, ">1e-400", [1], [0, -1]),
    (L, "abc", ["abc"], [1]),
    (L, "*", [0, "x"], [None]),
    (D, "0.1", [0.1, values.loads("0.10")], ["0.10", 0.2]),
    (D, "443", [443.0, 443], [443.5]),
    (D, ">0.1", [0.2, 1e300], [0.1, -1.0]),
    (D, "1e*", [1e300, "1ex"], [1.0]),
    (D, "0.*", [0.5], [5.0]),
    (B, "true", [True, "true"], [False, "True"]),
    (B, "false", [False], [True, None, 0]),
    (B, "t*", [True], [False]),
    (B, "*e", [True, False], []),
    (B, "/t.*|f.*/", [True, False], []),
    (B, ">0", [1], [True]),
    (DATE, NOON, [NOON, "2024-01-01T13:00:00+01:00", "2024-01-01 12:00"], ["2024-01-01T12:00:00.001Z"]),
    (DATE, '"2024-01-01T13:00:00+01:00"', [NOON], []),
    (DATE, "2024-01-01", [NOON, "2024-01-01T00:00:00Z", "2024-01-01"],
     ["2024-01-02T00:00:00Z", "2023-12-31T23:59:59.999Z"]),
    (DATE, ">2024-01-01", [NOON, "2024-01-01T00:00:00.000001Z"], ["2024-01-01T00:00:00Z"]),
    (DATE, "[2024-01-01 TO 2024-01-02]", [NOON, "2024-01-02T00:00:00Z"], ["2024-01-02T00:00:00.000001Z"]),
    (DATE, "<0001-01-01T00:00:01Z", ["0001-01-01T00:00:00Z"], [NOON]),
    (DATE, "<=9999-12-31T23:59:59.999999Z", ["9999-12-31T23:59:59.999999Z"], [None]),
    (DATE, "2024-01-01T12*", [NOON, "2024-01-01T12:00:00.5"], ["2024-01-02T12:00:00Z"]),
    (DATE, r"/.*\.\d{3}Z/", ["2024-01-01T12:00:00.120Z"], [NOON, "2024-01-01T12:00:00.123456Z"]),
    (DATE, r"/.*\.\d{6}Z/", ["2024-01-01T12:00:00.123400Z", "2024-01-01T12:00:00.000001Z"], [NOON]),
    (DATE, "12", [], [NOON]),
    (DATE, ">12", [13], [NOON]),
    (LIST, "a", [["a"], ["b", "a"], "a"], [["A"], [], ["ab"], [["b"]]]),
    (LIST, "a*", [["b", "ab"]], [["ba"]]),
    (LIST, "/a.?/", [["b", "ab"]], [["aba"]]),
    (LIST, "10.0.0.0/8", [["x", "10.1.1.1"]], [["11.0.0.1"]]),
    (LIST, "::1", [["0:0::1"]], [["::2"], []]),
    (LIST, "10.0.0.1", [["::ffff:10.0.0.1"]], [["10.0.0.2"]]),
    (LIST, ">5", [["1", "6"]], [["5", "x"], []]),
    (LIST, ">2024-01-01", [["x", NOON]], [["2024-01-01"]]),
    (LIST, "*", [["a"], [""]], [[], None]),
    (JSON, "a", ["a", [{"x": ["a"]}], {"y": {"z": "a"}}], [[{"a": "b"}], "ab", None]),
    (JSON, '"a\\"b"', [{"x": 'a"b'}], [{"x": "ab"}]),
    (JSON, "443", [{"p": 443}, [443.0], "443"], [4433, {"443": 1}]),
    (JSON, "443.0", [{"p": 443}], ["443"]),
    (JSON, "::1", [["0::1"]], ["::2"]),
    (JSON, "true", [[True]], [False]),
    (JSON, ">5", [{"p": [1, 6]}], [{"p": [1, 5]}]),
    (JSON, "10.0.0.0/8", [[{"ip": "10.1.1.1"}]], [[{"ip": "11.1.1.1"}]]),
    (JSON, "/a+/", [["b", "aa"]], [["ab"]]),
    (JSON, "a*", [[{"x": "ab"}]], [[{"ab": "x"}]]),
    (JSON, "*", [{}, 0, "", [{}], "null", {"a": None}], [None, [], [None, []]]),
    (None, "a", ["a", ["a"], {"x": "a"}], ["A", None]),
    (None, "443", ["443", 443, values.loads("443.00")], ["443.0"]),
    (None, "::1", ["0::1"], ["::2"]),
    (None, "*", [{}, 0], [None]),
    (None, NOON, [NOON], ["2024-01-01T13:00:00+01:00"]),
]  # fmt: skip


def name_of(field_type: types.FieldType | None) -> str:
    return "new" if field_type is None else NAMES[field_type]


def kept(node: query.Node, event: dict[str, Any]) -> bool:
    """Whether the reference keeps the event; asserts that the predicate says the same."""
    expected = query.matches(node, event, strategies.TYPES)
    predicate = query.compile(node, {**strategies.TYPES, types.OVERFLOW: JSON})
    assert predicate.expression is not None
    frame = strategies.frame_of([event])
    assert (frame.filter(predicate.expression).height == 1) is expected
    assert (frame.lazy().filter(predicate.expression).collect(engine="streaming").height == 1) is expected
    return expected


@pytest.mark.parametrize(
    ("field_type", "written", "matching", "others"),
    MEANINGS,
    ids=[f"{row[0]}-{row[1]}".encode("ascii", "replace").decode() for row in MEANINGS],
)
def test_value_means_what_the_table_says(
    field_type: types.FieldType | None, written: str, matching: list[Any], others: list[Any]
) -> None:
    field = name_of(field_type)
    node = query.parse(f"{field}:{written}")
    wrong = [value for value in matching if not kept(node, {field: value})]
    wrong += [value for value in others if kept(node, {field: value})]
    assert wrong == []
    assert not kept(node, {})
    assert kept(ast.Not(item=node), {})


EVENT = {
    "kw": "alice",
    "text.of-it": "Failed password for root",
    "source.ip": "10.0.0.1",
    "port": 443,
    "list": ["x", "y"],
    "new": {"deep": ["inside"]},
}


@pytest.mark.parametrize(
    ("text", "is_match"),
    [
        ("alice", True),
        ("Alice", False),
        ("ALICE OR FAILED", True),
        ('"password for"', True),
        ("10.0.0.0/8", True),
        ("443", True),
        ("443.0", True),
        ("y", True),
        ("inside", True),
        ("deep", False),
        ("ins*", True),
        ("/in.*e/", True),
        ("kw:alice port:443", True),
        ("kw:alice port:444", False),
        ("kw:bob OR kw:alice AND port:444", False),
        ("kw:alice OR kw:bob AND port:444", True),
        ("(kw:alice OR kw:bob) AND port:444", False),
        ("NOT kw:bob AND port:443", True),
        ("NOT (kw:bob OR port:443)", False),
        ("NOT kw:bob port:443", True),
        ("NOT NOT kw:alice", True),
        ("NOT absent:x", True),
        ("absent:*", False),
        ("kw:(alice OR bob)", True),
        ("kw:(NOT bob)", True),
        ("kw:(a* AND NOT alice)", False),
        ("port:(>400 AND <500)", True),
        ("port:(>400 NOT 443)", False),
        ("source.ip:(::1 OR 10.0.0.0/8)", True),
        ("kw: alice", True),
        ("kw:(alice)", True),
        ("* AND kw:alice", True),
        ("NOT *", False),
        ("\n kw:alice\r\n\tport:443 \u2003", True),
        ("and", False),
        ('"AND" OR alice', True),
        ("_overflow:*", False),
        ("_day:*", False),
    ],
)
def test_terms_join_as_documented(text: str, is_match: bool) -> None:
    assert kept(query.parse(text), EVENT) is is_match


def test_any_field_term_finds_text_that_does_not_suit_its_column() -> None:
    assert kept(query.parse("FAILED"), {"text.of-it": ["it failed"]})
    assert not kept(query.parse("FAILED"), {"kw": ["it failed"]})


@pytest.mark.parametrize("text", ["", "  \n", "*", "**", "(*)", "* *"])
def test_such_a_query_matches_everything_and_reads_nothing(text: str) -> None:
    assert query.parse(text) == query.Everything()
    predicate = query.compile(query.parse(text), {**strategies.TYPES, types.OVERFLOW: JSON})
    assert predicate.expression is None
    assert predicate.columns == frozenset()


@pytest.mark.parametrize("text", re.findall(r"^```query\n(.*?)^```", DOCS.read_text("utf-8"), re.DOTALL | re.MULTILINE))
def test_every_documented_query_is_read(text: str) -> None:
    for line in text.splitlines():
        node = query.parse(line)
        assert query.parse(query.unparse(node)) == node


def test_documented_words_are_read_as_the_table_says() -> None:
    rows = re.findall(r"^\| `(\S+:\S.*?)`", DOCS.read_text("utf-8"), re.MULTILINE)
    assert len(rows) >= 9
    for row in rows:
        query.parse(row)


def test_documented_error_is_what_the_query_gets() -> None:
    documented = re.search(r"^```text\n(.*?)^```", DOCS.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert documented is not None
    detail, caret = documented[1].strip().split("\n\n")
    with pytest.raises(errors.QuerySyntaxError) as caught:
        query.parse(caret.splitlines()[0])
    assert (caught.value.detail, caught.value.extra["caret"]) == (detail, caret)


def test_a_name_may_hold_any_characters() -> None:
    for name in (
        "a b",
        "a:b",
        'a"b',
        "é.日本",
        "-a",
        "a/b",
        "/a",
        "a*?",
        "a\\b",
        "(a)",
        "[0]",
        "<a>",
        "a\nb",
        "@t",
        "0",
        "NOT",
    ):
        node = ast.Term(field=name, test=ast.Equals(text="x"))
        assert query.parse(query.unparse(node)) == node
        assert kept(node, {name: "x"})
        assert not kept(node, {name: "y"})


def test_predicate_reads_no_more_than_it_needs() -> None:
    columns = {**strategies.TYPES, types.OVERFLOW: JSON, types.DAY: DATE}
    assert query.compile(query.parse("kw:a AND port:>5"), strategies.TYPES).columns == {"kw", "port"}
    assert query.compile(query.parse("kw:a"), columns).columns == {"kw", types.OVERFLOW}
    assert query.compile(query.parse("port:abc"), strategies.TYPES).columns == frozenset()
    assert query.compile(query.parse("absent:abc"), columns).columns == {types.OVERFLOW}
    assert query.compile(query.parse("alice"), strategies.TYPES).columns == {
        "kw",
        "text.of-it",
        "source.ip",
        "list",
        "json",
    }
    assert query.compile(query.parse("443"), strategies.TYPES).columns == set(strategies.TYPES) - {
        "is_ok",
        "@timestamp",
    }


def test_many_literals_of_one_field_become_one_look_up() -> None:
    node = query.parse("kw:(" + " OR ".join(f"w{i}" for i in range(300)) + ")")
    predicate = query.compile(node, {"kw": K})
    assert "is_in" in str(predicate.expression)
    assert "|" not in str(predicate.expression)
    frame = pl.DataFrame({"kw": ["w0", "w299", "w300", None]})
    assert frame.filter(predicate.expression)["kw"].to_list() == ["w0", "w299"]


def test_long_queries_do_not_make_deep_expressions() -> None:
    node = query.parse(" ".join(f"(kw:a{i}* OR port:{i})" for i in range(250)))
    frame = strategies.frame_of([{"kw": "a", "port": 1}])
    predicate = query.compile(node, {**strategies.TYPES, types.OVERFLOW: JSON})
    assert predicate.expression is not None
    assert frame.lazy().filter(predicate.expression).collect(engine="streaming").height == 0


def test_trees_can_be_pickled_and_hashed() -> None:
    node = query.parse("a:b* OR NOT c:[1 TO 2] /x/ d:>1 e:*")
    assert pickle.loads(pickle.dumps(node)) == node
    assert hash(query.parse(query.unparse(node))) == hash(node)


def test_a_literal_star_is_no_wildcard() -> None:
    assert query.parse(r"a:x\*") != query.parse("a:x*")
    assert ast.Like(parts=("x", "*")) != ast.Like(parts=("x", ast.Wild.MANY))


def test_parsing_and_filtering_are_safe_from_several_threads() -> None:
    batch = [
        {"kw": f"w{i % 7}", "text.of-it": f"Word {i}", "new": i % 5, "source.ip": f"fe80::{i:x}"} for i in range(200)
    ]
    frame = strategies.frame_of(batch)
    columns = {**strategies.TYPES, types.OVERFLOW: JSON}

    def rows(number: int) -> int:
        text = f"kw:w{number % 7} (new:{number % 5} OR text.of-it:word* OR source.ip:fe80::/64) NOT new:/{number}/"
        predicate = query.compile(query.parse(text), columns)
        return frame.lazy().filter(predicate.expression).collect(engine="streaming").height

    alone = [rows(number) for number in range(40)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert list(pool.map(rows, range(40))) == alone


def test_one_predicate_serves_several_threads() -> None:
    frame = strategies.frame_of([{"new": ["a", str(i)], "kw": "x"} for i in range(500)])
    expression = query.compile(query.parse("new:/1.*/"), {**strategies.TYPES, types.OVERFLOW: JSON}).expression
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        heights = set(pool.map(lambda _: frame.lazy().filter(expression).collect(engine="streaming").height, range(24)))
    assert heights == {111}


@pytest.mark.parametrize(("first", "last"), [(0, 0), (0, 2**32 - 1), (167772160, 184549375), (3232235840, 3232236095)])
def test_ipv4_pattern_ends_where_the_range_ends(first: int, last: int) -> None:
    inside = {first, last, (first + last) // 2}
    outside = {n for n in (first - 1, last + 1) if 0 <= n < 2**32}
    dotted = pl.Series([".".join(map(str, n.to_bytes(4, "big"))) for n in [*inside, *outside]])
    assert dotted.str.contains(patterns.ipv4(first, last)).to_list() == [True] * len(inside) + [False] * len(outside)


def test_words_are_the_same_to_python_and_to_rust() -> None:
    characters = [chr(code) for code in range(0x20000) if not 0xD800 <= code < 0xE000]
    rust = pl.Series(characters).str.contains(r"^\w$").to_list()
    different = [
        character for character, word in zip(characters, rust, strict=True) if words.is_word(character) != word
    ]
    assert [one for one in different if unicodedata.category(one) != "Cn"] == [], "differ, and Python knows them"


def test_tables_of_the_grammar_are_of_this_grammar() -> None:
    """If this fails: python scripts/grammar_table.py."""
    kept = importlib.resources.files("penstock.query.syntax").joinpath("grammar_table.json").read_text("utf-8")
    source = importlib.resources.files("penstock.query.syntax").joinpath("grammar.lark").read_bytes()
    assert json.loads(kept)["made_of"] == hashlib.sha256(source).hexdigest()
