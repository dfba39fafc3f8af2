"""One entry of `sources` in eventpipe.yml, and the profile it resolves to.

`Source` is what the file says, with None where it says nothing; `SourceProfile` is what the pipeline works
with, every default filled in by preset.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import AfterValidator, Field, TypeAdapter

from eventpipe.project.codes import Region, Timezone
from eventpipe.project.document import Document, KeyPath
from eventpipe.project.mapping import FieldMap, map_findings
from eventpipe.project.refusal import Finding, Refusal
from eventpipe.project.validation import Section, at, attempt
from eventpipe.project.vocabulary import (
    PRESETS,
    Compat,
    Format,
    IdentifierNeed,
    IdentifierRule,
    KeyScope,
    NameRule,
    OnConflict,
    Preset,
    RegistryRule,
)

if TYPE_CHECKING:
    from eventpipe.project.settings import Settings

SOURCE_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
"""Source names are folder names under exports/ and values of the column `source`."""


def _one_character(text: str) -> str:
    if len(text) != 1 or not text.isascii() or text in "\r\n":
        raise Refusal("one ASCII character")
    return text


def _quote(text: str) -> str:
    return text and _one_character(text)


class CsvOptions(Section):
    """How CSV is cut. Without a header columns are c1, c2, ...; `whitespace` splits on runs of blanks."""

    delimiter: Annotated[str, AfterValidator(_one_character)] = ","
    header: bool = True
    whitespace: bool = False
    quote: Annotated[str, AfterValidator(_quote)] = '"'  # empty: nothing is quoted


_CSV: Final = TypeAdapter(CsvOptions)


@dataclass(frozen=True)
class MergeRules:
    """How the reports of a source become events: which of several reports counts, and which
    source. The defaults are those of a source that says nothing.
    """

    on_conflict: OnConflict = "first_wins"
    authority: int = 0
    compat: Compat | None = None


@dataclass(frozen=True)
class SourceProfile:
    """A source with every default resolved.

    `format` is None where each file's extension decides; `default_region` is None where a phone number
    without a country is no identifier. `map` overrides single fields of the preset, or is the whole mapping
    without one.
    """

    name: str
    preset: Preset | None
    format: Format | None
    csv: CsvOptions
    timezone: str
    on_conflict: OnConflict
    authority: int
    map: Mapping[str, FieldMap]
    explode: str | None
    default_region: str | None
    coerce: bool
    registry: RegistryRule
    identifiers: IdentifierNeed
    compat: Compat | None
    key_scope: KeyScope
    name_rule: NameRule
    identifier_rule: IdentifierRule

    @property
    def merge_rules(self) -> MergeRules:
        return MergeRules(self.on_conflict, self.authority, self.compat)


class Source(Section):
    """What eventpipe.yml says about one source."""

    preset: Preset | None = None
    format: Format | None = None
    csv: CsvOptions = CsvOptions()
    timezone: Timezone | None = None
    on_conflict: OnConflict | None = None
    authority: int = Field(default=0, ge=-1_000_000, le=1_000_000)
    map: Mapping[str, FieldMap] = Field(default_factory=dict)
    explode: str | None = Field(default=None, min_length=1)
    default_region: Region | None = None
    coerce: bool | None = None
    registry: RegistryRule | None = None
    identifiers: IdentifierNeed | None = None
    compat: Compat | None = None

    def resolved(self, name: str, settings: Settings) -> SourceProfile:
        """The profile of this source under its name; `settings` give the project's timezone."""
        like_notifuse = self.preset == "notifuse"
        like_arsel = self.preset == "arsel"
        updates = like_notifuse or self.compat == "notifuse"
        return SourceProfile(
            name=name,
            preset=self.preset,
            format=self.format,
            csv=self.csv,
            timezone=self.timezone or settings.timezone,
            on_conflict=self.on_conflict or ("latest_wins" if updates else "first_wins"),
            authority=self.authority,
            map=self.map,
            explode=self.explode,
            default_region=self.default_region,
            coerce=not like_arsel if self.coerce is None else self.coerce,
            registry=self.registry or ("closed" if like_arsel else "open"),
            identifiers=self.identifiers or "required",
            compat=self.compat,
            key_scope="event_name" if like_notifuse else "none",
            name_rule="notifuse" if like_notifuse else "free",
            identifier_rule="exactly_one" if like_arsel else "any",
        )


def source_findings(document: Document, path: KeyPath, identifiers: Collection[str]) -> Iterator[Finding]:
    """What the types cannot see in the source at `path`: its name, and what is wrong between its keys.

    Works on what the file says, so that a mistake in one key hides none between others.
    """
    if not SOURCE_NAME.fullmatch(str(path[-1])):
        rule = "1 to 63 lower-case letters, digits, - and _, a letter or digit first"
        yield Finding(path, f"{path[-1]!r} is not a name for a source: take {rule}")
    source = at(document.data, path)
    if not isinstance(source, dict):
        return
    fields = source.get("map") or {}
    mapped = source.get("preset") is None
    if mapped and not fields:
        yield Finding(path, f"needs a preset ({', '.join(PRESETS)}) or a map of its fields")
    elif mapped and isinstance(fields, dict) and "event_name" not in fields:
        yield Finding((*path, "map"), "must map event_name: to a field, or {value: ...} where all events are alike")
    yield from map_findings(document, (*path, "map"), identifiers)
    if source.get("compat") == "notifuse" and source.get("on_conflict") == "first_wins":
        yield Finding((*path, "on_conflict"), "cannot be first_wins with compat: notifuse, which updates events")
    if source.get("format") == "csv" and source.get("explode") is not None:
        yield Finding((*path, "explode"), "needs a list in the record, which CSV cannot hold")
    if "csv" in source:
        yield from _csv_findings(document, path, source.get("format"))


def _csv_findings(document: Document, path: KeyPath, file_format: object) -> Iterator[Finding]:
    if file_format in ("jsonl", "json", "parquet"):
        yield Finding((*path, "csv"), f"says how CSV is cut, but the format is {file_format}: drop one of them")
    options = attempt(_CSV, document, (*path, "csv"))
    if options is None:
        return
    if options.whitespace and "delimiter" in options.model_fields_set:
        yield Finding((*path, "csv", "delimiter"), "has no meaning with whitespace: true: drop one of them")
    if options.quote == options.delimiter:
        yield Finding((*path, "csv", "quote"), "cannot be the delimiter too")
