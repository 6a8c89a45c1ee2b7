"""Query text to tree and back: grammar, tokens, refusals with a caret."""
