"""An export as its owner holds it: wait, download, stream, cancel."""

from __future__ import annotations

import datetime as dt
import json
import pathlib
import time
from collections.abc import Callable, Generator, Mapping
from typing import Any

from penstock import errors
from penstock.client import events
from penstock.client.download import download, remote
from penstock.client.http import answers
from penstock.client.http.retry import Patience, Retry
from penstock.client.http.transport import Transport
from penstock.client.replies import Task, TaskStatus
from penstock.evidence import manifest as manifests
from penstock.storage.keys import CustomerKey

TASKS = "/v1/tasks"


class Export:
    """One export.

    Attributes:
        task_uuid: names the export.
        customer_key: the key its file is encrypted with; None when this object was made from a task's UUID alone.
    """

    def __init__(self, transport: Transport, task_uuid: str, customer_key: CustomerKey | None = None) -> None:
        self._transport = transport
        self._task: Task | None = None
        self.task_uuid = task_uuid
        self.customer_key = customer_key

    def __repr__(self) -> str:
        return f"Export({self.task_uuid!r})"

    @property
    def task(self) -> Task:
        """The task as last seen; asked for on first use."""
        return self._task or self.refresh()

    @property
    def status(self) -> TaskStatus:
        """Where the export stands now (asks the service unless it has ended)."""
        return self.task.status if self.task.status.is_final else self.refresh().status

    @property
    def key(self) -> CustomerKey:
        """The customer key, for scripts that must keep it.

        Raises:
            AccessDenied: `customer_key_missing`: this object was made from a task's UUID alone, or the file is plain.
        """
        if self.customer_key is None:
            raise answers.missing_customer_key()
        return self.customer_key

    def refresh(self) -> Task:
        """Asks the service."""
        self._task = Task.parse(self._transport.get(f"{TASKS}/{self.task_uuid}"))
        return self._task

    def _poll(self, patience: Patience) -> Task:
        self._task = Task.parse(self._transport.poll(f"{TASKS}/{self.task_uuid}", patience))
        return self._task

    def wait(
        self,
        progress: Callable[[Task], None] | None = None,
        *,
        interval_seconds: float = 2.0,
        max_wait_seconds: float | None = None,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> Task:
        """Waits until the export has ended; returns the finished task.

        Args:
            progress: called with the task each time it was asked for.
            interval_seconds: between two questions; the first ones come sooner, so that nobody waits a twentieth longer
                than the export takes, and 0.1 s.
            max_wait_seconds: None for no limit.

        A service that does not answer, as while it is restarted, is asked again for five minutes.

        Raises:
            ExportFailed: `export_failed`, `export_canceled` (with the task's message), `wait_timeout`.
        """
        deadline = None if max_wait_seconds is None else monotonic() + max_wait_seconds
        # With the full interval from the start a short export would seem to take two seconds; with one that grows by
        # half each time, three seconds seem five.
        begun, pause = monotonic(), min(0.1, interval_seconds)
        patience = Patience(min(300.0, max_wait_seconds or 300.0), sleep=sleep, monotonic=monotonic)
        while True:
            task = self._poll(patience)
            if progress is not None:
                progress(task)
            if task.status is TaskStatus.FINISHED:
                return task
            if task.status.is_final:
                raise _ended_badly(task)
            if deadline is not None and monotonic() + pause > deadline:
                raise errors.WaitTimeout(
                    "wait_timeout",
                    f"Timed out after {max_wait_seconds:g} s waiting for task {self.task_uuid}.",
                    "The export goes on: look with `status`, fetch it with `download`.",
                )
            sleep(pause)
            pause = min(interval_seconds, max(0.1, (monotonic() - begun) / 20))

    def require_finished(self) -> Task:
        """The finished task.

        Raises:
            Conflict: `export_not_finished`, while it waits or runs.
            ExportFailed: `export_failed`, `export_canceled`.
        """
        task = self.task if self.task.status.is_final else self.refresh()
        if task.status is TaskStatus.FINISHED:
            return task
        if task.status.is_final:
            raise _ended_badly(task)
        raise errors.Conflict(
            "export_not_finished",
            f"Export {self.task_uuid} is {task.status} ({task.progress:,} of {task.total or 0:,} events).",
            "Wait for it: `status`, or Export.wait().",
        )

    def cancel(self) -> Task:
        """Asks the service to stop the export; it does within about a second."""
        self._transport.post(f"{TASKS}/{self.task_uuid}/cancel")
        return self.refresh()

    def manifest(self, customer_key: CustomerKey | str | None = None) -> dict[str, Any] | None:
        """The signed manifest, its signature checked; None if the service offers none.

        Raises:
            AccessDenied, ObjectMissing, StorageError, NetworkError: as for `download`.
            InvalidRequest: `invalid_manifest`, `manifest_signature_invalid`.
        """
        task = self.require_finished()
        if task.manifest_url is None:
            return None
        source = self._remote(task.manifest_url, self._key(task, customer_key), None)
        try:
            found = manifests.loads(source.read_all())
        finally:
            source.close()
        manifests.check_signature(found, public_key=self._public_key())
        # A valid signature of another export's manifest proves nothing about this file.
        if found["task_uuid"] != self.task_uuid:
            raise events.damaged(f"The manifest is of export {found['task_uuid']}, not of {self.task_uuid}.")
        return found

    def download(
        self,
        path: str | pathlib.Path | None = None,
        *,
        customer_key: CustomerKey | str | None = None,
        parallel: int = download.DEFAULT_PARALLEL,
        progress: download.Progress | None = None,
        check: bool = True,
        manifest_file: pathlib.Path | None = None,
        retry: Retry | None = None,
    ) -> download.Downloaded:
        """Fetches the file: resumes, verifies every part, replaces `path` only when whole.

        Args:
            path: the target; None: `export_YYYYMMDD_HHMMSS.json.gz` in the working directory.
            customer_key: of the export, if this object does not know it (base64 or a CustomerKey).
            check: False: do without the manifest.
            manifest_file: keep the manifest here, too.

        Raises:
            Conflict: `export_not_finished`.
            As `penstock.client.download.download.download`.
        """
        task = self.require_finished()
        if task.download_url is None:
            raise _window_over(task)
        key = self._key(task, customer_key)
        found = self.manifest(key) if check or manifest_file is not None else None
        if manifest_file is not None and found is not None:
            _write_manifest(manifest_file, found)
        return download.download(
            task.download_url,
            pathlib.Path(path) if path is not None else default_name(),
            customer_key=key,
            manifest=found if check else None,
            parallel=parallel,
            progress=progress,
            verify=self._transport.context,
            timeout_seconds=self._transport.timeout_seconds,
            retry=retry,
        )

    def events(self, *, customer_key: CustomerKey | str | None = None, check: bool = True) -> Generator[dict[str, Any]]:
        """The events, streamed and parsed without a file; goes on after breaks, checks each part as it goes by.

        Raises:
            StorageError: `export_damaged`; events of the damaged part may have been yielded before.
            As `download`.
        """
        chunks = self.chunks(customer_key=customer_key, check=check)
        return (event for event in events.parse(chunks))

    def chunks(
        self,
        *,
        customer_key: CustomerKey | str | None = None,
        check: bool = True,
        manifest_file: pathlib.Path | None = None,
    ) -> Generator[bytes]:
        """The bytes of the file, streamed without a file; goes on after breaks, checks each part as it goes by.

        Raises:
            StorageError: `export_damaged`; bytes of the damaged part may have been yielded before.
            As `download`.
        """
        task = self.require_finished()
        if task.download_url is None:
            raise _window_over(task)
        key = self._key(task, customer_key)
        found = self.manifest(key) if check or manifest_file is not None else None
        if manifest_file is not None and found is not None:
            _write_manifest(manifest_file, found)
        return self._stream(self._remote(task.download_url, key, found), found if check else None)

    def _stream(self, source: remote.RemoteObject, found: Mapping[str, Any] | None) -> Generator[bytes]:
        try:
            chunks = source.read(0, None)
            yield from events.checked(chunks, found["parts"]) if found else chunks
        except remote.ObjectChanged as error:
            raise events.damaged("The file on the server changed while it was read.") from error
        finally:
            source.close()

    def _remote(self, url: str, key: CustomerKey | None, found: Mapping[str, Any] | None) -> remote.RemoteObject:
        return remote.RemoteObject(
            url,
            key,
            verify=self._transport.context,
            timeout_seconds=self._transport.timeout_seconds,
            size=found["size"] if found else None,
        )

    def _public_key(self) -> str | None:
        """The key that the service signs manifests with; None from a service that does not tell."""
        try:
            return str(self._transport.get("/v1/manifest-key")["public_key"])
        except errors.NotFound:
            return None

    def _key(self, task: Task, given: CustomerKey | str | None) -> CustomerKey | None:
        key = as_key(given) or self.customer_key
        # Told here by the MD5: S3 would only answer that a signature does not match.
        if key is not None and task.sse_customer_key_md5 not in (None, key.md5):
            raise answers.wrong_customer_key(key.md5, str(task.sse_customer_key_md5))
        return key


def as_key(given: CustomerKey | str | None) -> CustomerKey | None:
    """A customer key from what a caller may give."""
    return CustomerKey.parse(given) if isinstance(given, str) else given


def default_name(now: dt.datetime | None = None) -> pathlib.Path:
    """`export_YYYYMMDD_HHMMSS.json.gz`, in local time, as the reference client names files."""
    return pathlib.Path(f"export_{now or dt.datetime.now():%Y%m%d_%H%M%S}.json.gz")


def _write_manifest(file: pathlib.Path, found: Mapping[str, Any]) -> None:
    try:
        file.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    except OSError as error:
        raise errors.StorageError(
            "file_not_writable",
            f"{file} cannot be written: {error.strerror}.",
            "Choose another place for the manifest.",
        ) from error


def _ended_badly(task: Task) -> errors.ExportFailed:
    if task.status is TaskStatus.CANCELED:
        return errors.ExportFailed(
            "export_canceled", f"Export {task.uuid} was canceled.", "Start another export of the search job."
        )
    reason = (task.message or "the service gives no reason").rstrip(".")
    return errors.ExportFailed(
        "export_failed", f"Export {task.uuid} failed: {reason}.", "Remove the cause, then export the search job again."
    )


def _window_over(task: Task) -> errors.AccessDenied:
    if task.expire_at is not None and task.expire_at <= dt.datetime.now(dt.UTC):
        said = answers.expired(f"it ended at {task.expire_at:%Y-%m-%d %H:%M} UTC")
    else:
        said = answers.expired("the task has no download URL any more")
    return said
