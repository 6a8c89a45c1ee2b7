"""A text that no log, message or traceback shows."""

from __future__ import annotations


class Secret:
    """A text that prints as `***`. `reveal` gives it to the one caller that needs it; an empty one is false."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "***" if self._text else "''"

    def __deepcopy__(self, memo: object) -> Secret:
        return self  # it never changes, and `dataclasses.asdict` of settings copies

    def __reduce__(self) -> tuple[type[Secret], tuple[str]]:
        # A pickle would carry the text into files and other processes, where nothing hides it.
        if self._text:
            raise TypeError("a secret is not pickled")
        return Secret, ("",)
