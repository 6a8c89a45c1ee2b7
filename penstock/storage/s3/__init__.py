"""The S3 store: any S3-compatible server, always with SSE-C."""
