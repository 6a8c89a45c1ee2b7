"""Renders an OpenAPI document as one HTML page that works without network and without script."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; --accent: #0a6cbd; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 0 auto; padding: 1.5rem; }
code, pre { font-family: ui-monospace, monospace; font-size: .92em; }
h1 { margin-bottom: 0; } h2 { border-bottom: 1px solid var(--line); padding-top: 1.5rem; text-transform: capitalize; }
details { border: 1px solid var(--line); border-radius: .4rem; margin: .5rem 0; }
details > *:not(summary) { margin-left: 1rem; margin-right: 1rem; }
summary { padding: .5rem .8rem; cursor: pointer; background: var(--soft); }
summary .path { font-family: ui-monospace, monospace; overflow-wrap: anywhere; }
.method { display: inline-block; min-width: 4.2rem; font-weight: 700; color: var(--accent); text-transform: uppercase; }
.what { opacity: .8; }
table { border-collapse: collapse; width: 100%; margin: .4rem 0 1rem; display: block; overflow-x: auto; }
td, th { text-align: left; vertical-align: top; padding: .25rem .7rem .25rem 0; border-bottom: 1px solid var(--line); }
nav a { margin-right: 1rem; text-transform: capitalize; }
"""


def render(document: Mapping[str, Any]) -> str:
    """The page: every operation by tag, with parameters, bodies and answers; every shape once, linked."""
    info = document["info"]
    tags = _by_tag(document)
    shapes = document.get("components", {}).get("schemas", {})
    links = "".join(f'<a href="#{_slug(tag)}">{html.escape(tag)}</a>' for tag in tags)
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{html.escape(info['title'])} API</title><style>{_STYLE}</style></head><body>",
        f"<h1>{html.escape(info['title'])} API</h1><p>Version {html.escape(info['version'])}",
        ' · <a href="openapi.json">openapi.json</a></p>',
        f"<p>{_prose(info.get('description', ''))}</p>",
        f'<nav>{links}<a href="#shapes">Shapes</a></nav>',
    ]
    for tag, operations in tags.items():
        parts.append(f'<h2 id="{_slug(tag)}">{html.escape(tag)}</h2>')
        parts.extend(_operation(*operation) for operation in operations)
    parts.append('<h2 id="shapes">Shapes</h2>')
    parts.extend(_shape(name, schema) for name, schema in sorted(shapes.items()))
    return "".join([*parts, "</body></html>"])


def _by_tag(document: Mapping[str, Any]) -> dict[str, list[tuple[str, str, Schema]]]:
    found: dict[str, list[tuple[str, str, Schema]]] = {}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            for tag in operation.get("tags", ["other"]):
                found.setdefault(tag, []).append((method, path, operation))
    return found


def _operation(method: str, path: str, operation: Schema) -> str:
    return "".join(
        [
            f'<details id="{html.escape(operation["operationId"])}"><summary>',
            f'<span class="method">{method}</span> <span class="path">{html.escape(path)}</span> ',
            f'<span class="what">{html.escape(operation.get("summary", ""))}</span></summary>',
            f"<p>{_prose(operation.get('description', ''))}</p>",
            "" if operation.get("security") else "<p>Wants no API key.</p>",
            _table("Parameters", _parameters(operation)),
            _table("Body", _bodies(operation)),
            _table("Answers", _answers(operation)),
            "</details>",
        ]
    )


def _parameters(operation: Schema) -> Iterator[tuple[str, str, str]]:
    for parameter in operation.get("parameters", []):
        schema = parameter.get("schema", {})
        words = parameter.get("description", "")
        if schema.get("default") not in (None, ""):
            words += f" Default: {schema['default']}."
        need = "required" if parameter.get("required") else "optional"
        yield f"{parameter['name']} ({parameter['in']}, {need})", _kind(schema), _prose(words)


def _bodies(operation: Schema) -> Iterator[tuple[str, str, str]]:
    body = operation.get("requestBody", {})
    for media, content in body.get("content", {}).items():
        words = body.get("description") or ("required" if body.get("required") else "optional")
        yield media, _kind(content.get("schema", {})), _prose(words)


def _answers(operation: Schema) -> Iterator[tuple[str, str, str]]:
    for status, answer in operation.get("responses", {}).items():
        kinds = {_kind(content.get("schema", {})) for content in answer.get("content", {}).values()}
        yield status, " or ".join(sorted(kinds)), _prose(answer.get("description", ""))


def _shape(name: str, schema: Schema) -> str:
    members = [
        (
            member + ("" if member in schema.get("required", []) else " (optional)"),
            _kind(facts),
            _prose(facts.get("description", "")),
        )
        for member, facts in schema.get("properties", {}).items()
    ]
    words = _prose(schema.get("description", ""))
    return f'<details id="shape-{html.escape(name)}"><summary>{html.escape(name)}</summary><p>{words}</p>' + (
        _table("Members", iter(members)) + "</details>"
    )


def _table(title: str, rows: Iterator[tuple[str, str, str]]) -> str:
    lines = [f"<tr><td><code>{html.escape(a)}</code></td><td>{b}</td><td>{c}</td></tr>" for a, b, c in rows]
    return f"<h4>{title}</h4><table>{''.join(lines)}</table>" if lines else ""


def _kind(schema: Schema) -> str:
    """The type in words, as HTML; other shapes are links."""
    if "$ref" in schema:
        name = html.escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#shape-{name}">{name}</a>'
    for joined in ("anyOf", "oneOf"):
        if joined in schema:
            return " or ".join(_kind(one) for one in schema[joined])
    if "enum" in schema:
        return " | ".join(f"<code>{html.escape(str(value))}</code>" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    words = html.escape(str(schema.get("format") or schema.get("type") or "any"))
    bounds = [f"{sign} {schema[name]}" for name, sign in (("minimum", "≥"), ("maximum", "≤")) if name in schema]
    return " ".join([words, *bounds])


def _prose(text: str) -> str:
    """Escaped; `code` set as code; blank lines become paragraphs."""
    # Escaped first, so that the tags added below are the only ones.
    pieces = html.escape(text).split("`")
    marked = [f"<code>{piece}</code>" if number % 2 else piece for number, piece in enumerate(pieces)]
    return "".join(marked).replace("\n\n", "</p><p>")


def _slug(tag: str) -> str:
    return html.escape(tag.replace(" ", "-"))
