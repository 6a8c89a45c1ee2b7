"""Why an event cannot be taken in."""

from __future__ import annotations


class EventRefused(ValueError):
    """One event, not the file it came in, cannot be taken in; ingest lists it among the rejected.

    Attributes:
        code: `invalid_json`, `invalid_utf8`, `invalid_number`, `invalid_name`, `duplicate_name`, `too_deep`,
            `too_large`, `not_an_object`, `line_too_long`, `too_many_cells` or `unsupported_value`.
        detail: what is wrong, with the place or the value; part of a sentence.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
