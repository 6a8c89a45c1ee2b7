"""Claims about the OpenAPI document: it is valid, and a client that a generator makes of it works, intake included."""

from __future__ import annotations

import json
import pathlib
import subprocess
from typing import Any

import httpx
import pytest
from support import published
from support.tenants import tenant

from penstock import settings
from penstock.control import secrets
from penstock.process import server

TOOLS = ("openapi-python-client==0.29.1", "openapi-spec-validator==0.9.0")

VALIDATE = "import json; from openapi_spec_validator import validate; validate(json.load(open(sys.argv[1])))"
GENERATE = "from openapi_python_client.cli import app; app()"

USE = """
import io, json, time
sys.path.insert(0, sys.argv[1])
from generated import client as clients, models, types
from generated.api.communities import get_quota
from generated.api.exports import start_export
from generated.api.fields import list_fields
from generated.api.ingest import ingest_events
from generated.api.search_jobs import create_search_job, get_search_job, list_search_job_events
from generated.api.tasks import get_task

url, token, community = sys.argv[2:]
here = clients.AuthenticatedClient(base_url=url, token=token)
lines = b'{"@timestamp":"2026-03-01T00:00:00Z","message":"one","source":{"ip":"10.0.0.1"}}\\n' * 3
taken = ingest_events.sync(community, client=here, body=types.File(payload=io.BytesIO(lines)), batch_id="b1")
wanted = models.SearchJobRequest(earliest_time="2026-03-01T00:00:00Z", latest_time="2026-03-02T00:00:00Z")
job = create_search_job.sync(client=here, body=wanted)
while job.status < 2:
    time.sleep(0.02)
    job = get_search_job.sync(job.uuid, client=here)
events = list_search_job_events.sync(job.uuid, client=here)
body = models.ExportRequest(fields=["message", "source.ip"], generate_customer_key=True)
started = start_export.sync(job.uuid, client=here, body=body)
task = get_task.sync(started.task_uuid, client=here)
while task.status not in ("FINISHED", "FAILED"):
    time.sleep(0.02)
    task = get_task.sync(started.task_uuid, client=here)
refused = get_quota.sync("00000000-0000-0000-0000-000000000000", client=here)
names = [each.name for each in list_fields.sync(client=here, community_uuid=community).items]
print(json.dumps({
    "accepted": taken.accepted, "total": events.total, "message": events.items[0]["message"],
    "status": task.status, "events": task.progress, "key": len(started.sse_customer_key),
    "refused": refused.code, "has_ip": "source.ip" in names,
}))
"""


@pytest.fixture(scope="module")
def tools() -> pathlib.Path:
    return published.installed("openapi", *TOOLS)


def run(tools: pathlib.Path, program: str, *arguments: str) -> str:
    done = subprocess.run([*published.command(tools, program), *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_document_is_valid_and_a_generated_client_works(tools: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / "home").mkdir()
    secrets.MasterKeys.create(tmp_path / "home")
    values = settings.Settings(home=tmp_path / "home", port=0, poll_seconds=0.02)
    with server.running(values) as listening:
        community, token = tenant(listening.services)
        document = tmp_path / "openapi.json"
        document.write_bytes(httpx.get(f"{listening.url}/openapi.json").content)
        run(tools, VALIDATE, str(document))
        target = ("--path", str(document), "--output-path", str(tmp_path / "generated"), "--meta", "none")
        said = run(tools, GENERATE, "generate", *target)
        assert "Endpoint will not be generated" not in said
        found: dict[str, Any] = json.loads(run(tools, USE, str(tmp_path), listening.url, token, community))
    assert found == {
        "accepted": 3,
        "total": 3,
        "message": "one",
        "status": "FINISHED",
        "events": 3,
        "key": 44,
        "refused": "community_not_found",
        "has_ip": True,
    }
