"""A selection of fields is checked before anything is started."""

from __future__ import annotations

import pytest

from penstock import errors
from penstock.fields import presets, registry, selection
from penstock.fields.types import FieldType


def refusal(names: list[str], known: frozenset[str] = frozenset()) -> errors.FieldSelectionError:
    with pytest.raises(errors.FieldSelectionError) as raised:
        selection.check(names, known)
    assert raised.value.status == 422
    return raised.value


def test_known_names_come_back_in_their_order() -> None:
    names = ["source.ip", "@timestamp", "vendor.x"]
    assert selection.check(names, {"vendor.x"}) == tuple(names)


def test_an_empty_list_is_refused() -> None:
    assert refusal([]).code == "empty_selection"


def test_every_wildcard_is_listed() -> None:
    error = refusal(["*", "@timestamp", "source.*", "host.nam?"])
    assert error.code == "wildcard_not_supported"
    assert error.extra["fields"] == ["*", "source.*", "host.nam?"]


def test_a_field_that_really_has_a_star_in_its_name_is_no_wildcard() -> None:
    assert selection.check(["vendor.*"], {"vendor.*"}) == ("vendor.*",)


def test_every_duplicate_is_listed_once() -> None:
    error = refusal(["message", "source.ip", "message", "message", "source.ip"])
    assert error.code == "duplicate_field"
    assert error.extra["fields"] == ["message", "source.ip"]


def test_every_unknown_name_is_listed_with_close_matches() -> None:
    error = refusal(["source.iip", "message", "vendor.colour"], frozenset({"vendor.color"}))
    assert error.code == "unknown_field"
    assert error.extra["fields"] == ["source.iip", "vendor.colour"]
    assert error.extra["suggestions"]["source.iip"][0] == "source.ip"
    assert error.extra["suggestions"]["vendor.colour"] == ["vendor.color"]
    assert "did you mean source.ip" in error.hint


@pytest.mark.parametrize(
    ("wrong", "right"), [("SOURCE.IP", "source.ip"), ("username", "user.name"), ("hostname", "host.hostname")]
)
def test_usual_slips_find_their_field(wrong: str, right: str) -> None:
    assert right in refusal([wrong]).extra["suggestions"][wrong]


def test_an_object_is_refused_with_its_commonest_fields() -> None:
    error = refusal(["source"])
    assert error.code == "unknown_field"
    assert "`source` is an object" in error.hint
    assert error.extra["suggestions"]["source"][:2] == ["source.ip", "source.port"]


def test_a_name_like_nothing_gets_the_way_to_the_list() -> None:
    error = refusal(["zzzzqqqqxxxx"])
    assert error.extra["suggestions"] == {"zzzzqqqqxxxx": []}
    assert "penstock fields" in error.hint


def test_a_name_that_is_a_value_and_a_prefix_can_be_selected() -> None:
    assert selection.check(["action.properties"], {"action.properties", "action.properties.x"})


def test_a_thousand_wrong_names_are_refused_at_once() -> None:
    names = [f"no.such.field{number}" for number in range(1000)]
    error = refusal(names)
    assert error.extra["fields"] == names
    assert len(error.extra["suggestions"]) == 20
    assert len(error.detail) < 300


def test_a_monstrous_name_is_not_compared_with_all_others() -> None:
    name = "a" * 1_000_000
    assert refusal([name]).extra["suggestions"] == {name: []}


@pytest.mark.parametrize("preset", presets.PRESETS.values(), ids=lambda preset: preset.name)
def test_every_preset_is_an_acceptable_selection(preset: presets.Preset) -> None:
    assert selection.check(preset.fields, frozenset()) == preset.fields
    assert preset.fields[0] == "@timestamp"
    assert preset.title


def test_the_three_investigations_and_the_default_are_the_published_ones() -> None:
    published = {
        "network": "@timestamp source.ip source.port destination.ip destination.port network.protocol "
        "network.transport event.action",
        "identity": "@timestamp user.name user.domain source.ip event.action event.outcome message",
        "endpoint": "@timestamp host.name process.name process.executable process.args file.path "
        "file.hash.sha256 user.name",
    }
    assert {name: preset.fields for name, preset in presets.PRESETS.items()} == {
        name: tuple(fields.split()) for name, fields in published.items()
    }
    assert presets.DEFAULT_FIELDS == ("@timestamp", "message")
    assert all(name in registry.ECS for name in presets.DEFAULT_FIELDS)


def test_the_registry_is_large_and_described() -> None:
    assert len(registry.ECS) >= 1000
    assert all(spec.description and len(spec.description) < 100 for spec in registry.ECS.values())
    assert all(name == spec.name for name, spec in registry.ECS.items())
    assert list(registry.ECS) == sorted(registry.ECS)


@pytest.mark.parametrize(
    ("name", "field_type"),
    [
        ("@timestamp", FieldType.DATE),
        ("message", FieldType.TEXT),
        ("event.original", FieldType.TEXT),
        ("error.message", FieldType.TEXT),
        ("tags", FieldType.KEYWORD_LIST),
        ("labels", FieldType.JSON),
        ("event.category", FieldType.KEYWORD_LIST),
        ("event.type", FieldType.KEYWORD_LIST),
        ("event.duration", FieldType.LONG),
        ("event.risk_score", FieldType.DOUBLE),
        ("event.created", FieldType.DATE),
        ("related.ip", FieldType.KEYWORD_LIST),
        ("host.ip", FieldType.KEYWORD_LIST),
        ("host.os.name", FieldType.KEYWORD),
        ("source.ip", FieldType.IP),
        ("source.geo.location", FieldType.JSON),
        ("source.as.number", FieldType.LONG),
        ("source.user.group.name", FieldType.KEYWORD),
        ("client.user.name", FieldType.KEYWORD),
        ("user.target.name", FieldType.KEYWORD),
        ("user.effective.roles", FieldType.KEYWORD_LIST),
        ("user.changes.group.id", FieldType.KEYWORD),
        ("process.args", FieldType.KEYWORD_LIST),
        ("process.parent.hash.sha256", FieldType.KEYWORD),
        ("process.parent.pe.sections", FieldType.JSON),
        ("process.entry_leader.parent.session_leader.pid", FieldType.LONG),
        ("process.group_leader.user.name", FieldType.KEYWORD),
        ("process.parent.code_signature.trusted", FieldType.BOOLEAN),
        ("file.x509.issuer.country", FieldType.KEYWORD_LIST),
        ("dns.answers", FieldType.JSON),
        ("dns.resolved_ip", FieldType.KEYWORD_LIST),
        ("threat.indicator.file.hash.md5", FieldType.KEYWORD),
        ("threat.enrichments", FieldType.JSON),
        ("threat.enrichments.indicator.url.domain", FieldType.KEYWORD),
        ("threat.technique.subtechnique.id", FieldType.KEYWORD_LIST),
        ("tls.server.x509.subject.common_name", FieldType.KEYWORD_LIST),
        ("email.to.address", FieldType.KEYWORD_LIST),
        ("container.image.tag", FieldType.KEYWORD_LIST),
        ("observer.ingress.interface.name", FieldType.KEYWORD),
        ("network.inner.vlan.id", FieldType.KEYWORD),
        ("cloud.origin.account.id", FieldType.KEYWORD),
        ("vulnerability.score.base", FieldType.DOUBLE),
    ],
)
def test_known_fields_have_ecs_types(name: str, field_type: FieldType) -> None:
    assert registry.ECS[name].type is field_type


@pytest.mark.parametrize(
    "name", ["source", "geo.name", "hash.md5", "os.name", "vlan.id", "user.user.name", "base.message"]
)
def test_what_ecs_does_not_name_is_not_in_the_registry(name: str) -> None:
    assert name not in registry.ECS


@pytest.mark.parametrize("wrong", ["acme17.box.stat3", "acme17.box.state3x", "acme17.bx.state3", "Acme17.box.sttae3"])
def test_right_field_is_found_among_thousands_though_few_are_compared(
    wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[int] = []
    get_close_matches = selection.difflib.get_close_matches  # type: ignore[attr-defined]

    def counted(name: str, candidates: list[str], **options: float) -> list[str]:
        compared.append(len(candidates))
        found: list[str] = get_close_matches(name, candidates, **options)
        return found

    monkeypatch.setattr(selection.difflib, "get_close_matches", counted)  # type: ignore[attr-defined]
    known = {f"acme{maker}.box.state{number}" for maker in range(40) for number in range(100)}
    assert "acme17.box.state3" in selection.close_to(wrong, known)
    assert compared == [40]


def test_a_name_that_is_asked_again_costs_no_search(monkeypatch: pytest.MonkeyPatch) -> None:
    known = frozenset({"acme.again.one", "acme.again.two"})
    first = selection.close_to("acme.agian.one", known)
    assert first[0] == "acme.again.one"

    def searched(*_: object) -> list[str]:
        raise AssertionError("searched again")

    monkeypatch.setattr(selection, "_suggest", searched)
    assert selection.close_to("acme.agian.one", set(known)) == first
    assert refusal(["acme.agian.one"], known).extra["suggestions"] == {"acme.agian.one": first}
    with pytest.raises(AssertionError, match="searched again"):
        selection.close_to("acme.agian.one", known | {"acme.agian.one1"})


def test_names_that_differ_in_case_alone_are_each_found_as_an_object() -> None:
    assert selection.close_to("acme.Box", {"acme.Box.one", "acme.box.one"})[0] == "acme.Box.one"
    assert selection.close_to("acme.box", {"acme.Box.one", "acme.box.one"})[0] == "acme.box.one"


@pytest.mark.parametrize("name", ["acme.agian.one", "x" * 300])
def test_what_anybody_asks_for_does_not_fill_the_memory(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known = frozenset({f"acme.{name}"})
    monkeypatch.setattr(selection, "_suggest", lambda *_: ["a"])
    for number in range(600):
        selection.close_to(f"{name}{number}", known)
    assert len(selection._names(known).answers) <= 256
    assert all(len(asked) <= 200 for asked in selection._names(known).answers)
