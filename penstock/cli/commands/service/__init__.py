"""Commands that talk to a service over HTTP: they load the client, and neither a database nor the lake."""

import sys

# httpx comes with a command line of its own, which loads Rich and Pygments where they are installed: that took a third
# of a start. A module that is None cannot be imported, and httpx then does without it.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
