"""The shapes in which events come: where each event of a source begins and ends, and what it is as JSON."""
