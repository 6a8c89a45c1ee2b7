"""Metadata and manifests of an Iceberg table that no catalogue opens: read as its data files are, and never written.

Not by pyiceberg's own means: those would take endpoint and keys out of the table's own properties, which whoever writes
the table can set, and would look for settings and certificates elsewhere than the data files' readers.
"""

from __future__ import annotations

import gzip
import io
from typing import Any, NoReturn

from pyiceberg import io as iceberg_io
from pyiceberg.catalog import noop
from pyiceberg.serializers import FromByteStream, FromInputFile
from pyiceberg.table import StaticTable

from penstock.lake.attached import faults, stores


def opened(metadata: str, access: stores.Access) -> Any:
    """The table of a metadata file; what reads it further reads through `access`, too.

    Raises:
        ConfigurationError: `attached_table_unsupported`: a table in S3 that names files of this machine.
        What pyiceberg raises, and OSError.
    """
    files = Files(access, in_s3=stores.is_s3(metadata))
    file = files.new_input(metadata)
    if metadata.endswith(".json.gz"):  # as old writers name it; pyiceberg knows `.gz.metadata.json`
        found = FromByteStream.table_metadata(io.BytesIO(gzip.decompress(file.open().read())))
    else:
        found = FromInputFile.table_metadata(file)
    return StaticTable(
        identifier=("static-table", metadata),
        metadata=found,
        metadata_location=metadata,
        io=files,
        catalog=noop.NoopCatalog("static-table"),
    )


class Files(iceberg_io.FileIO):
    """pyiceberg's view of `stores`.

    Args:
        in_s3: whether the table lies in S3. Its files may name no files of this machine then.
    """

    def __init__(self, access: stores.Access, *, in_s3: bool) -> None:
        super().__init__()
        self._access = access
        self._in_s3 = in_s3

    def new_input(self, location: str) -> _Input:
        """A file to read. Raises ConfigurationError `attached_table_unsupported`."""
        uri = stores.normal(location)
        if self._in_s3 and not stores.is_s3(uri):
            raise faults.elsewhere(uri)
        return _Input(uri, self._access)

    def new_output(self, location: str) -> NoReturn:
        """Nothing is ever written."""
        raise faults.refused()

    def delete(self, location: Any) -> NoReturn:
        """Nothing is ever deleted."""
        raise faults.refused()


class _Input(iceberg_io.InputFile):
    def __init__(self, uri: str, access: stores.Access) -> None:
        super().__init__(uri)
        self._access = access

    def __len__(self) -> int:
        return stores.look(self.location, self._access).bytes

    def exists(self) -> bool:
        try:
            stores.look(self.location, self._access)
        except FileNotFoundError:
            return False
        return True

    def open(self, seekable: bool = True) -> io.BytesIO:
        # Whole: metadata and manifests have some megabytes, and are read from end to end.
        return io.BytesIO(stores.read_whole(self.location, self._access))
