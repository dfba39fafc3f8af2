"""An export's bytes in chunks: opened, hashed, decompressed, capped.

Nothing here knows lines or records. Memory is one chunk; the digest is of the bytes on disk.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Literal

import pyarrow as pa

from eventpipe.intake.refusal import UNREADABLE, ExportRefused

# Small enough to stay in a core's cache while it is scanned.
CHUNK_BYTES = 512 << 10
# Below this the ratio says nothing: 16 MiB of blanks in a small file is no attack on memory or disk.
RATIO_COUNTS_FROM = 16 << 20

Compression = Literal["gzip", "zstd"]
ENDINGS: dict[str, Compression] = {".gz": "gzip", ".zst": "zstd"}


@dataclass(frozen=True)
class Caps:
    """How far a compressed export may expand before it is refused as `file.bomb`."""

    ratio: int = 200
    expanded_bytes: int = 50_000_000_000


class _Hashed:
    """A file object that hashes what is read through it."""

    def __init__(self, file: BufferedReader) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.count = 0
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.digest.update(data)
        self.count += len(data)
        return data

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    def close(self) -> None:
        self.closed = True


class ExportStream:
    """Iterate over an export's decompressed bytes. After the last chunk, `sha256` and `bytes` tell the file's own.

    Errors: `ExportRefused` with `file.unreadable`, `file.corrupt`, `file.truncated` or `file.bomb`.
    """

    def __init__(self, path: Path, compression: Compression | None, caps: Caps) -> None:
        self._path = path
        self._compression = compression
        self._caps = caps
        self.sha256 = ""
        self.bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        try:
            with self._path.open("rb") as file:
                hashed = _Hashed(file)
                yield from self._plain(hashed) if self._compression is None else self._expanded(hashed)
                # The decompressor may stop before padding at the end of the file: hash the rest as well.
                while hashed.read(CHUNK_BYTES):
                    pass
                self.sha256 = hashed.digest.hexdigest()
                self.bytes = hashed.count
        except OSError as error:
            raise _refusal(error) from error

    def _plain(self, hashed: _Hashed) -> Iterator[bytes]:
        while chunk := hashed.read(CHUNK_BYTES):
            yield chunk

    def _expanded(self, hashed: _Hashed) -> Iterator[bytes]:
        expanded = 0
        if self._path.stat().st_size == 0:
            raise ExportRefused("file.truncated", "the file is empty where a compressed stream should begin")
        with pa.CompressedInputStream(pa.PythonFile(hashed, "r"), self._compression) as stream:
            while chunk := stream.read(CHUNK_BYTES):
                expanded += len(chunk)
                if expanded > self._caps.expanded_bytes or (
                    expanded > RATIO_COUNTS_FROM and expanded > self._caps.ratio * max(hashed.count, 1)
                ):
                    raise ExportRefused(
                        "file.bomb",
                        f"it expands to more than {expanded} bytes from {hashed.count}; "
                        "raise limits.expansion_ratio or limits.expanded_bytes if that is meant",
                    )
                yield chunk


def read_whole(path: Path, compression: Compression | None, caps: Caps, at_most: int) -> tuple[bytes, ExportStream]:
    """The whole export in memory, for documents that cannot be streamed. `at_most` bytes, else `file.document`."""
    stream = ExportStream(path, compression, caps)
    parts: list[bytes] = []
    size = 0
    for chunk in stream:
        size += len(chunk)
        if size > at_most:
            raise ExportRefused(
                "file.document",
                f"a JSON document larger than {at_most} bytes is not read; export it as JSON lines instead",
            )
        parts.append(chunk)
    return b"".join(parts), stream


def _refusal(error: OSError) -> ExportRefused:
    text = str(error)
    if "Truncated" in text:
        return ExportRefused("file.truncated", "the compressed stream ends too early; export the file again")
    if any(word in text for word in ("inflate", "zlib", "ZSTD", "zstd", "header")):
        return ExportRefused("file.corrupt", f"the compressed stream is damaged ({text}); export the file again")
    return ExportRefused(UNREADABLE, f"the file cannot be read ({error.strerror or text})")
