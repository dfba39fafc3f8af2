"""The lake: one Parquet file per export, and beside it a manifest that says which file is the export's current one.

    lake/<source>/<YYYY-MM-DD>/<file>.<hash>.parquet     rows (columns: eventpipe.intake.contract.LAKE_COLUMNS)
    lake/<source>/<YYYY-MM-DD>/<file>.json               manifest; its rename is the commit
    lake/sources.json                                    by source, how its reports become events

The rows are written and synced under a name of their own first, so the lake holds the whole export or nothing at any
moment; rows that no manifest names are what a killed run left, and `sweep` removes them. The ledger is the manifests.
What landed stays when its source is taken out of the configuration, so the lake keeps the rules that it goes by.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from eventpipe.errors import EventpipeError
from eventpipe.failpoints import reach
from eventpipe.files import sync, write_whole
from eventpipe.intake.contract import LAKE_COLUMNS
from eventpipe.intake.exports import ExportKey, FileState
from eventpipe.project.sources import MergeRules
from eventpipe.sql import literals

Status = Literal["loaded", "refused"]

RULES = "sources.json"

_STEM_CHARACTERS = 120

LAKE_TYPES = {
    "line": pa.int64(),
    "index": pa.int64(),
    "landed_on": pa.date32(),
    "occurred_at": pa.timestamp("us", "UTC"),
    "deleted_at": pa.timestamp("us", "UTC"),
    "value": pa.decimal128(18, 4),
    "properties": pa.json_(),
    "extra": pa.json_(),
    "traits": pa.json_(),
    "flags": pa.list_(pa.string()),
    "violations": pa.list_(pa.string()),
    "reasons": pa.list_(pa.string()),
    "coercions": pa.int64(),
    "raw_is_base64": pa.bool_(),
}
"""The types of those LAKE_COLUMNS that are not text."""


@dataclass(frozen=True)
class Manifest:
    """What is known of one landed export: a row of the ledger.

    `data` is the Parquet file beside the manifest, None for a refused export. `judged_by` changes when the source's
    configuration or a definition does. `columns` are the names that a CSV header or a Parquet schema gave.
    `lines = accepted + rejected + blank`.
    """

    source: str
    landed_on: date
    file: str
    sha256: str
    bytes: int
    status: Status
    reason: str | None
    detail: str | None
    lines: int
    accepted: int
    rejected: int
    blank: int
    data: str | None
    judged_by: str
    state: FileState
    loaded_at: str
    columns: tuple[str, ...] = ()

    @property
    def key(self) -> ExportKey:
        return ExportKey(self.source, self.landed_on, self.file)


class Lake:
    """The folder of all landed exports."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, key: ExportKey) -> Path:
        return self.root / key.source / key.landed_on.isoformat()

    def manifests(self) -> Iterator[Manifest]:
        """All of them, in order of source, date and file."""
        for path in sorted(self.root.glob("*/*/*.json")):
            yield _read(path)

    def manifest(self, key: ExportKey) -> Manifest | None:
        path = self._manifest_path(key)
        return _read(path) if path.exists() else None

    def _manifest_path(self, key: ExportKey) -> Path:
        return self.folder(key) / f"{file_stem(key.file)}.json"

    def data_path(self, manifest: Manifest) -> Path | None:
        return self.folder(manifest.key) / manifest.data if manifest.data else None

    def keep_rules(self, configured: Mapping[str, MergeRules]) -> None:
        """Remember the rules of these sources, beside those of sources that are configured no more."""
        known = self.rules()
        rules = known | dict(configured)
        if rules != known:
            content = json.dumps({name: asdict(each) for name, each in sorted(rules.items())}, indent=1)
            write_whole(self._rules_path, content.encode())

    def rules(self) -> dict[str, MergeRules]:
        """The rules of each source that there ever was. Errors: `EventpipeError`."""
        if not self._rules_path.exists():
            return {}
        try:
            content: dict[str, dict[str, Any]] = json.loads(self._rules_path.read_text(encoding="utf-8"))
            return {name: MergeRules(**rules) for name, rules in content.items()}
        except (ValueError, TypeError, AttributeError) as error:
            raise EventpipeError(
                f"The lake's file {self._rules_path} cannot be read ({type(error).__name__}). Restore it, or delete it and"
                " run again: sources that eventpipe.yml does not name go by the defaults then."
            ) from error

    @property
    def _rules_path(self) -> Path:
        return self.root / RULES

    def commit(self, manifest: Manifest, rows: Path | None) -> None:
        """Make `rows` (a finished temporary file in the export's folder) and the manifest the current version."""
        folder = self.folder(manifest.key)
        before = self.manifest(manifest.key)
        if rows is not None and manifest.data is not None:
            sync(rows)
            reach("lake.written")
            rows.replace(folder / manifest.data)
            reach("lake.renamed")
        write_whole(self._manifest_path(manifest.key), _written(manifest).encode())
        reach("lake.committed")
        if before is not None and before.data not in (None, manifest.data):
            (folder / str(before.data)).unlink(missing_ok=True)

    def remove(self, manifest: Manifest) -> None:
        """Forget an export: its manifest first, so that no rows are missing at any moment."""
        folder = self.folder(manifest.key)
        self._manifest_path(manifest.key).unlink()
        sync(folder)
        reach("lake.removed")
        if manifest.data is not None:
            (folder / manifest.data).unlink(missing_ok=True)

    def sweep(self) -> int:
        """Remove what killed runs left: temporary files, and rows that no manifest names. Returns how many."""
        named = {self.data_path(manifest) for manifest in self.manifests()}
        left = [
            path
            for path in self.root.glob("*/*/*")
            if path.name.endswith(".tmp") or (path.suffix == ".parquet" and path not in named)
        ]
        for path in left:
            path.unlink()
        return len(left)


def file_stem(file: str) -> str:
    """What the lake's files of an export begin with: its name, or where that is long or has characters that the engine
    takes for a pattern, a plain beginning of it and a hash."""
    plain = re.sub(r"[^A-Za-z0-9._+-]", "_", file)[:_STEM_CHARACTERS]
    return file if plain == file else f"{plain}~{hashlib.sha256(file.encode()).hexdigest()[:12]}"


def exactly(path: Path) -> str:
    """A path for the engine, which takes some characters in it for a pattern."""
    return re.sub(r"[*?\[]", r"[\g<0>]", str(path))


def reachable(folders: Iterable[Path]) -> str:
    """Folders as a SQL list for the engine's `allowed_directories`. It holds a path against them as the path is written,
    so each folder is there in both of its spellings."""
    return f"[{literals(dict.fromkeys(f'{spelled}/' for folder in folders for spelled in (folder, exactly(folder))))}]"


def parquet(paths: Iterable[Path], *, numbered: bool = False) -> str:
    """A SQL relation of these Parquet files and no others, where folders named like `env=prod` give no column.
    `numbered` adds `file_row_number`, from 0."""
    number = ", file_row_number = true" if numbered else ""
    return f"read_parquet([{literals(map(exactly, paths))}], hive_partitioning = false{number})"


def write_no_rows(path: Path) -> None:
    """A Parquet file with the lake's columns and no rows."""
    columns = {column: pa.string() for column in LAKE_COLUMNS} | LAKE_TYPES
    pq.write_table(pa.schema(list(columns.items())).empty_table(), path)


def _written(manifest: Manifest) -> str:
    return json.dumps(asdict(manifest), default=str, indent=1)


def _read(path: Path) -> Manifest:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        state = FileState(**content.pop("state"))
        landed_on = date.fromisoformat(content.pop("landed_on"))
        columns = tuple(content.pop("columns", ()))  # the first manifests had none
        return Manifest(**content, state=state, landed_on=landed_on, columns=columns)
    except (ValueError, TypeError, KeyError) as error:
        raise EventpipeError(
            f"The lake's manifest {path} cannot be read ({type(error).__name__}): it is damaged, or a newer eventpipe wrote it."
            " Restore it. Or, if its export is still in exports/, delete it and run again: the export is landed anew. Without "
            "either the next run removes the export's rows from the lake."
        ) from error
