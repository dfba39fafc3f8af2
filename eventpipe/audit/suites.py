"""Great Expectations on the frames: suites out of expectations.yml, verdicts, and Data Docs without values.

Great Expectations takes nulls and empty batches for success, so how many rows there were to judge is counted here. What it
stores and shows of failures are counts, and texts of exceptions, which can quote what is in a frame; the few rows that a
finding lists are looked up afterwards.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from eventpipe.audit.findings import MOST_ROWS, Finding, Status
from eventpipe.project.expectations import COUNTS, FRAMES, KINDS, Expectation, Frame

if TYPE_CHECKING:
    import pandas as pd

_ASSETS: Final[Mapping[Frame, str]] = {"event_sample": "events", "property_sample": "events"}
"""The table that a frame is about, where it has another name."""

_COUNTS_ONLY: Final = {"result_format": "SUMMARY", "partial_unexpected_count": 0}
_PLACES: Final = {"result_format": "COMPLETE", "partial_unexpected_count": 0}


def skipped(expectation: Expectation) -> Finding:
    """There was nothing to judge, which only a `required` expectation fails for."""
    return _finding(expectation, "failed" if expectation.required else "skipped", {"rows": 0})


def judge(
    expectations: Sequence[Expectation], frames: Mapping[Frame, pd.DataFrame], docs: Path | None
) -> Iterator[Finding]:
    """One finding per expectation. With `docs` the suites and their results are written there as HTML."""
    gx = library()
    context = _context(gx)
    source = context.data_sources.add_pandas("run")
    for frame in dict.fromkeys(each.of for each in expectations):
        rows = frames[frame]
        of_frame = [each for each in expectations if each.of == frame]
        data = source.add_dataframe_asset(frame).add_batch_definition_whole_dataframe("changed")
        suite = context.suites.add(gx.ExpectationSuite(frame))
        for each in of_frame:
            suite.add_expectation(_built(gx, each))
        suite.save()
        validation = context.validation_definitions.add(gx.ValidationDefinition(name=frame, data=data, suite=suite))
        parameters = {"dataframe": rows}
        found = validation.run(batch_parameters=parameters, result_format=_COUNTS_ONLY)
        results = {result.expectation_config.meta["name"]: result for result in found.results}
        for each in of_frame:
            result = results[each.name]
            failing: Sequence[Mapping[str, Any]] = ()
            if not result.success and "mostly" in KINDS[each.expect]:
                failing = _failing(each, rows, _unexpected(gx, each, data.get_batch(parameters)))
            yield _judged(each, result, _applicable(each, rows), failing)
    if docs is not None:
        _write_docs(context, docs)


def unexpected_rows(expectations: Sequence[Expectation], rows: pd.DataFrame) -> dict[str, list[int]]:
    """The places in `rows` of those that do not satisfy expectations on values, by the expectation's name."""
    gx = library()
    asset = _context(gx).data_sources.add_pandas("run").add_dataframe_asset("rows")
    batch = asset.add_batch_definition_whole_dataframe("changed").get_batch({"dataframe": rows})
    return {each.name: _unexpected(gx, each, batch) for each in expectations}


def _unexpected(gx: Any, expectation: Expectation, batch: Any) -> list[int]:
    result = batch.validate(_built(gx, expectation), result_format=_PLACES)
    return list(result.result.get("unexpected_index_list") or ())


def _context(gx: Any) -> Any:
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    return context


def is_loaded() -> bool:
    """Whether this process has imported Great Expectations."""
    return "great_expectations" in sys.modules


def library() -> Any:
    """Great Expectations, imported when it is first needed: that takes seconds."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    with warnings.catch_warnings(), _spark_hidden():
        warnings.simplefilter("ignore", DeprecationWarning)  # it imports sre_constants
        import great_expectations
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    return great_expectations


@contextmanager
def _spark_hidden() -> Iterator[None]:
    """Great Expectations imports all of Spark's package where it is installed, which takes another second, and which ends a
    process that has no file for its main module. Here it judges pandas frames."""
    imported = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "pyspark"}
    for name in imported:
        del sys.modules[name]
    sys.modules["pyspark"] = None  # type: ignore[assignment]  # how Python is told that there is none
    try:
        yield
    finally:
        del sys.modules["pyspark"]
        sys.modules.update(imported)


def _built(gx: Any, expectation: Expectation) -> Any:
    """The expectation as Great Expectations' own object."""
    kind = getattr(gx.expectations, "Expect" + "".join(word.capitalize() for word in expectation.expect.split("_")))
    keys = {key: getattr(expectation, key) for key in KINDS[expectation.expect]}
    arguments = {key: list(value) if isinstance(value, tuple) else value for key, value in keys.items()}
    condition = _condition(expectation)
    if condition is not None:
        arguments["row_condition"] = condition
    severity = "critical" if expectation.severity == "error" else "warning"
    notes = expectation.description or None
    return kind(**arguments, severity=severity, notes=notes, meta={"name": expectation.name})


def _condition(expectation: Expectation) -> Any:
    from great_expectations.expectations.row_conditions import Column

    parts = [
        Column(name).is_in(list(value)) if isinstance(value, tuple) else Column(name) == value
        for name, value in expectation.where.items()
    ]
    if expectation.at_least is not None:
        parts.append(Column(COUNTS[expectation.of]) >= expectation.at_least)
    whole: Any = None
    for part in parts:
        whole = part if whole is None else whole & part
    return whole


def _applicable(expectation: Expectation, rows: pd.DataFrame) -> int:
    """Rows that there are to judge."""
    kept = rows
    for name, value in expectation.where.items():
        kept = kept[kept[name].isin(list(value) if isinstance(value, tuple) else [value])]
    if expectation.at_least is not None:
        kept = kept[kept[COUNTS[expectation.of]] >= expectation.at_least]
    if expectation.column is not None and "null" not in expectation.expect:
        kept = kept[kept[expectation.column].notna()]
    return len(kept)


def _judged(expectation: Expectation, result: Any, rows: int, failing: Sequence[Mapping[str, Any]]) -> Finding:
    raised = [str(info) for info in _exceptions(result.exception_info)]
    if raised:
        return _finding(
            expectation,
            "failed",
            {"rows": rows},
            message="Great Expectations could not evaluate it: check the column, its type and the values given.",
        )
    if rows == 0:
        return skipped(expectation)
    observed: dict[str, Any] = {"rows": rows}
    if "observed_value" in result.result:
        value = result.result["observed_value"]
        observed["observed"] = None if value is None else round(float(value), 6)
    else:
        observed["unexpected"] = int(result.result.get("unexpected_count") or 0)
    return _finding(expectation, "passed" if result.success else "failed", observed, failing)


def _exceptions(info: Mapping[str, Any]) -> Iterator[Any]:
    """What an evaluation raised: told for the whole, or by metric."""
    entries = [info] if "raised_exception" in info else list(info.values())
    yield from (entry["exception_message"] for entry in entries if entry.get("raised_exception"))


def _failing(expectation: Expectation, rows: pd.DataFrame, places: Sequence[int]) -> tuple[Mapping[str, Any], ...]:
    """The rows in these places: of a profile the first few, of a sample how many there are of each kind."""
    columns = [*FRAMES[expectation.of][:3], *(["property"] if "property" in FRAMES[expectation.of] else [])]
    is_sample = expectation.of not in COUNTS
    if is_sample:
        columns = [name for name in ("source", "event_name", "property", "declared", "seen") if name in rows.columns]
    elif expectation.column is not None:
        columns.append(expectation.column)
    found = rows.loc[places, list(dict.fromkeys(columns))]
    if is_sample:
        found = (
            found.value_counts(dropna=False)
            .reset_index(name="events")
            .sort_values(["events", *columns], ascending=[False, *[True] * len(columns)])
        )
    records = found.head(4 * MOST_ROWS).to_dict("records")
    return tuple({name: _plain(value) for name, value in record.items()} for record in records)


def _plain(value: Any) -> Any:
    if isinstance(value, bool | int | float | str) or value is None:
        return value
    return value.item() if hasattr(value, "item") else str(value)[:10]


def _finding(
    expectation: Expectation,
    status: Status,
    observed: Mapping[str, Any],
    failing: Sequence[Mapping[str, Any]] = (),
    message: str | None = None,
) -> Finding:
    if status == "failed" and message is None:
        asks = f"{expectation.of}: expect_{expectation.expect}"
        message = f"{expectation.description or expectation.name} ({asks}; expectations.yml)"
    return Finding(
        check=expectation.name,
        kind="expectation",
        asset=asset_of(expectation),
        subject=expectation.column or expectation.of,
        severity=expectation.severity,
        status=status,
        observed=observed,
        failing=failing,
        message=message,
    )


def asset_of(expectation: Expectation) -> str:
    """The table that an expectation is about."""
    return _ASSETS.get(expectation.of, expectation.of)


def _write_docs(context: Any, docs: Path) -> None:
    """The pages of this run in place of the last one's."""
    building = docs.with_name(docs.name + ".tmp")
    shutil.rmtree(building, ignore_errors=True)
    # $NAME in a setting is a variable of the environment to it; a folder may be called so.
    place = str(building).replace("$", r"\$")
    store = {"class_name": "TupleFilesystemStoreBackend", "base_directory": place}
    site = {
        "class_name": "SiteBuilder",
        "show_how_to_buttons": False,
        "store_backend": store,
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
    }
    context.add_data_docs_site("audit", site)
    context.build_data_docs(site_names=["audit"])
    shutil.rmtree(docs, ignore_errors=True)
    building.rename(docs)
