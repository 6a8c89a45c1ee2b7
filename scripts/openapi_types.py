"""Writes the API's shapes as TypeScript, out of the OpenAPI document: what the console's modules are checked against.

python scripts/openapi_types.py > penstock-api.d.ts
"""

from __future__ import annotations

import json
import pathlib
import tempfile
from typing import Any

from penstock import settings
from penstock.api import app
from penstock.control import secrets
from penstock.process import services

_PLAIN = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}


def document() -> dict[str, Any]:
    """The OpenAPI document of a service with an empty home."""
    with tempfile.TemporaryDirectory() as folder:
        home = pathlib.Path(folder)
        secrets.MasterKeys.create(home)
        with services.opened(settings.Settings(home=home)) as opened:
            return app.create_app(opened).openapi()


def declarations(openapi: dict[str, Any]) -> str:
    """One exported interface a schema, in alphabetical order."""
    schemas = openapi["components"]["schemas"]
    return "".join(_interface(name, schemas[name]) for name in sorted(schemas) if "properties" in schemas[name])


def _interface(name: str, schema: dict[str, Any]) -> str:
    required = set(schema.get("required", ()))
    # An answer holds every member, those with a default too; only requests may leave members out.
    is_request = name.endswith(("Request", "Settings"))
    members = [
        f"  {json.dumps(member)}{'' if member in required or not is_request else '?'}: {type_of(shape)};\n"
        for member, shape in schema["properties"].items()
    ]
    return f"export interface {name} {{\n{''.join(members)}}}\n"


def type_of(shape: dict[str, Any]) -> str:
    """The TypeScript type of a JSON schema."""
    if "$ref" in shape:
        return str(shape["$ref"]).rsplit("/", 1)[1]
    if "const" in shape:
        return json.dumps(shape["const"])
    if "enum" in shape:
        return " | ".join(json.dumps(value) for value in shape["enum"])
    for joined in ("anyOf", "oneOf"):
        if joined in shape:
            return " | ".join(type_of(one) for one in shape[joined])
    if shape.get("type") == "array":
        return f"({type_of(shape.get('items', {}))})[]"
    if shape.get("type") == "object":
        inner = shape.get("additionalProperties")
        return f"Record<string, {type_of(inner if isinstance(inner, dict) else {})}>"
    return _PLAIN.get(str(shape.get("type")), "any")


if __name__ == "__main__":
    print(declarations(document()), end="")
