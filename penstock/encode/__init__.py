"""Encoding: Arrow batches in, JSON Lines and gzip segments out. Knows nothing of the lake or of storage.

    encoder = encode.LineEncoder(fields, types)
    segment = encode.gzip.encode_slice(encoder, frame, "fast")     # what the pipeline's threads call
    lines = encoder.encode(frame)                                  # the plain lines, for previews and tests

`encode.reference` is the specification, `penstock.kernels.lines` the compiled kernel that matches it byte for byte.
"""

from penstock.encode import gzip, reference
from penstock.encode.lines import LineEncoder, Lines

__all__ = ["LineEncoder", "Lines", "gzip", "reference"]
