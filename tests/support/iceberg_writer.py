"""pyiceberg writing into Ceph by boto3: pyarrow uploads in a form that Ceph refuses, and takes no CA file."""

from __future__ import annotations

import io
import urllib.parse
from typing import Any

from pyiceberg.io import FileIO, InputFile, OutputFile

from support import ceph_service


class Writing(FileIO):
    """For pyiceberg's `py-io-impl`."""

    def new_input(self, location: str) -> Any:
        return _Object(location)

    def new_output(self, location: str) -> Any:
        return _Object(location)

    def delete(self, location: Any) -> None:
        raise NotImplementedError


class _Object(InputFile, OutputFile):
    def __init__(self, location: str) -> None:
        super().__init__(location)
        place = urllib.parse.urlsplit(location)
        self._client = ceph_service.ceph().client()
        self._address = {"Bucket": place.netloc, "Key": place.path[1:]}

    def __len__(self) -> int:
        return int(self._client.head_object(**self._address)["ContentLength"])

    def exists(self) -> bool:
        return bool(
            self._client.list_objects_v2(Bucket=self._address["Bucket"], Prefix=self._address["Key"])["KeyCount"]
        )

    def to_input_file(self) -> InputFile:
        return self

    def open(self, seekable: bool = True) -> Any:
        return io.BytesIO(self._client.get_object(**self._address)["Body"].read())

    def create(self, overwrite: bool = False) -> Any:
        return _Body(lambda content: self._client.put_object(**self._address, Body=content))


class _Body(io.BytesIO):
    def __init__(self, put: Any) -> None:
        super().__init__()
        self._put = put

    def close(self) -> None:
        if not self.closed:
            self._put(self.getvalue())
        super().close()
