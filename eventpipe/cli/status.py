"""`eventpipe status`: what is landed, rejected and published, and what ran."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eventpipe.cli.delivery_state import delivery_state
from eventpipe.cli.options import DebugOption, JsonOption, ProjectOption, open_project
from eventpipe.cli.terminal import inert, out, print_json, table
from eventpipe.cli.values import moment
from eventpipe.cli.writer import current_writer, is_gone
from eventpipe.ops.place import is_made
from eventpipe.wording import several

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from eventpipe.audit.findings import Finding
    from eventpipe.intake.lake import Manifest
    from eventpipe.ops.holds import Hold
    from eventpipe.ops.lease import Tenure
    from eventpipe.ops.runs import Run
    from eventpipe.project.folder import Project

_REASONS = 10
_REFUSED = 10


@dataclass(frozen=True)
class SourceExports:
    """What lies in the lake of one source."""

    source: str
    loaded: int
    refused: int
    lines: int
    accepted: int
    rejected: int
    blank: int
    first_landed_on: str | None
    last_landed_on: str | None
    judged_before: int
    """Exports that were judged by other definitions, settings or rules than today's."""


@dataclass(frozen=True)
class Published:
    """The published file: the run that wrote it, its instant, the rows of its tables, the rejected lines by
    reason.
    """

    run_id: str | None
    as_of: str | None
    tables: Mapping[str, int]
    rejected_by_reason: Mapping[str, int]


@dataclass(frozen=True)
class LastAudit:
    """What the last audit found that somebody should look at, of how many checks; and what is held back."""

    checks: int
    failed: tuple[Finding, ...]
    held: tuple[Hold, ...]

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "checks": self.checks,
            "failed": [asdict(finding) for finding in self.failed],
            "held": [asdict(hold) for hold in self.held],
        }

    def show(self) -> None:
        """Errors and warnings on stdout, errors first."""
        console = out()
        for finding in self.failed:
            told = f"{'Error' if finding.severity == 'error' else 'Warning'}: {finding}: {finding.message or 'failed'}"
            console.print(inert(told), style="red" if finding.severity == "error" else "yellow", soft_wrap=True)
        for hold in self.held:
            told = (
                f"Held: {hold.event_name} of {hold.source} since {hold.first_day}: its triggers wait (eventpipe hold)."
            )
            console.print(inert(told), style="yellow", soft_wrap=True)


def status(
    last_runs: Annotated[int, typer.Option("--runs", min=0, help="How many of the last runs to show.")] = 5,
    project: ProjectOption = None,
    json: JsonOption = False,
    _debug: DebugOption = False,
) -> None:
    """Show what ran, what is landed, rejected and published, and what nobody reads."""
    opened = open_project(project)

    from eventpipe.cli.report import refusal
    from eventpipe.intake.exports import Selection, find, strangers
    from eventpipe.intake.lake import Lake
    from eventpipe.intake.rules import judged_otherwise

    sources = frozenset(opened.profiles)
    manifests = list(Lake(opened.lake).manifests())
    landed = {manifest.key for manifest in manifests}
    waiting = sum(1 for export in find(opened.exports, sources, Selection()) if export.key not in landed)
    runs, tenure = _runs(opened, last_runs), current_writer(opened)
    audit = _audit(opened)
    before = Counter(each.source for each in judged_otherwise(opened, manifests))
    exports = by_source(sorted(sources | {manifest.source for manifest in manifests}), manifests, before)
    refused = [manifest for manifest in manifests if manifest.status == "refused"]
    published = _published(opened)
    delivery = delivery_state(opened)
    unfinished = _unfinished(opened)
    unread = strangers(opened.exports, sources)
    if json:
        print_json(
            {
                "project": str(opened.root),
                "workspace": opened.settings.workspace,
                "lease": _lease(tenure),
                "runs": [asdict(run) for run in runs],
                "audit": audit.as_dict(),
                "exports": [asdict(each) for each in exports],
                "not_landed": waiting,
                "refused": [refusal(manifest) for manifest in refused],
                "published": None if published is None else asdict(published),
                "unread_folders": unread,
                "deliveries": None if delivery is None else delivery.as_dict(),
                "unfinished_removals": unfinished,
            }
        )
        return
    console = out()
    console.print(inert(f"Project {opened.root}, workspace {opened.settings.workspace}"), soft_wrap=True)
    console.print(inert(_who_writes(tenure)), soft_wrap=True)
    for each in unfinished:
        told = (
            f"What `eventpipe {each['kind']}` began at {moment(each['requested_at'])} UTC has not ended: add --resume."
        )
        console.print(told, style="red", soft_wrap=True)
    _show_runs(runs)
    audit.show()
    if delivery is not None:
        delivery.show()
    _show_exports(exports, refused, waiting, unread)
    _show_published(published)


def by_source(
    sources: Iterable[str], manifests: Sequence[Manifest], judged_before: Mapping[str, int]
) -> list[SourceExports]:
    """One entry per source, those without exports too. `judged_before` is how many each has that today's definitions did not
    judge."""
    found = []
    for source in sources:
        of_source = [manifest for manifest in manifests if manifest.source == source]
        days = sorted(manifest.landed_on.isoformat() for manifest in of_source)
        found.append(
            SourceExports(
                source,
                loaded=sum(manifest.status == "loaded" for manifest in of_source),
                refused=sum(manifest.status == "refused" for manifest in of_source),
                lines=sum(manifest.lines for manifest in of_source),
                accepted=sum(manifest.accepted for manifest in of_source),
                rejected=sum(manifest.rejected for manifest in of_source),
                blank=sum(manifest.blank for manifest in of_source),
                first_landed_on=days[0] if days else None,
                last_landed_on=days[-1] if days else None,
                judged_before=judged_before.get(source, 0),
            )
        )
    return found


def _runs(project: Project, limit: int) -> list[Run]:
    if not is_made(project.ops):  # looking makes nothing
        return []
    from eventpipe.ops import runs
    from eventpipe.ops.store import OpsStore

    with OpsStore.open(project.ops) as store:
        return runs.recent(store, limit)


def _unfinished(project: Project) -> list[dict[str, Any]]:
    """What was begun to be taken out for good and has not ended."""
    if not is_made(project.ops):
        return []
    from eventpipe.ops import removals
    from eventpipe.ops.store import OpsStore

    with OpsStore.open(project.ops) as store, store.read() as connection:
        found = [each for kind in removals.KINDS for each in removals.listed(connection, kind, unfinished=True)]
    return [{"kind": each.kind, "requested_at": each.requested_at} for each in found]


def _audit(project: Project) -> LastAudit:
    if not is_made(project.ops):
        return LastAudit(0, (), ())
    from eventpipe.ops import checks, holds
    from eventpipe.ops.store import OpsStore

    with OpsStore.open(project.ops) as store:
        found = checks.of_last_audit(store)
        held = holds.list_holds(store)
    failed = sorted((each for each in found if each.status == "failed"), key=lambda each: each.severity)
    return LastAudit(len(found), tuple(failed), tuple(held))


def _published(project: Project) -> Published | None:
    from eventpipe.serving.file import execute, open_published, row_counts

    if not project.analytics.exists():
        return None
    with open_published(project) as connection:
        last = execute(
            connection,
            "select run_id, as_of from runs where run_status = 'published' order by run_started_at desc limit 1",
        ).fetchone()
        reasons = execute(
            connection,
            "select reason, count(*) as lines from (select unnest(reasons) as reason from rejected_events)"
            f" group by reason order by lines desc, reason limit {_REASONS}",
        ).fetchall()
        tables = row_counts(connection)
    return Published(last[0] if last else None, last[1].isoformat() if last else None, tables, dict(reasons))


def _lease(tenure: Tenure | None) -> dict[str, Any] | None:
    if tenure is None or tenure.process is None:
        return None
    return {
        "holder": tenure.holder,
        "host": tenure.process.host,
        "pid": tenure.process.pid,
        "since": tenure.acquired_at,
        "expires_at": tenure.expires_at,
        "is_gone": is_gone(tenure),
    }


def _who_writes(tenure: Tenure | None) -> str:
    if tenure is None:
        return "No run is writing."
    return f"{tenure} ended without a word: the next run takes over." if is_gone(tenure) else f"{tenure} is writing."


def _show_runs(runs: Sequence[Run]) -> None:
    if not runs:
        out().print("No run yet. Put exports into the folder exports/ and start `eventpipe run`.", soft_wrap=True)
        return
    rows = [
        (
            run.run_id,
            run.status,
            f"{run.started_at:%Y-%m-%d %H:%M:%S}",
            "" if run.ended_at is None else f"{(run.ended_at - run.started_at).total_seconds():.1f}",
            f"{run.as_of:%Y-%m-%d %H:%M:%S}",
            f"{run.counts.exports_landed:,}",
            f"{run.counts.exports_refused:,}",
            f"{run.counts.lines_accepted:,}",
            f"{run.counts.lines_rejected:,}",
        )
        for run in runs
    ]
    columns = (
        "run",
        "status",
        "started (UTC)",
        "seconds",
        "as of (UTC)",
        "exports",
        "refused",
        "accepted",
        "rejected",
    )
    console = out()
    console.print(table(columns, rows, right=(3, 5, 6, 7, 8)))
    if runs[0].error is not None:
        console.print(inert(f"The last run: {runs[0].error}"), style="yellow", soft_wrap=True)


def _show_exports(
    exports: Sequence[SourceExports], refused: Sequence[Manifest], waiting: int, unread: Sequence[str]
) -> None:
    console = out()
    columns = (
        "source",
        "exports",
        "refused",
        "lines",
        "accepted",
        "rejected",
        "blank",
        "first day",
        "last day",
    )
    rows = [
        (
            each.source,
            *(
                f"{count:,}"
                for count in (each.loaded, each.refused, each.lines, each.accepted, each.rejected, each.blank)
            ),
            each.first_landed_on or "",
            each.last_landed_on or "",
        )
        for each in exports
    ]
    console.print(table(columns, rows, right=range(1, 7)))
    if waiting:
        console.print(
            f"Not landed yet: {several(waiting, 'export')}. Start `eventpipe run`.", style="yellow", soft_wrap=True
        )
    if before := [each for each in exports if each.judged_before]:
        count, names = sum(each.judged_before for each in before), ", ".join(each.source for each in before)
        first, last = (
            min(str(each.first_landed_on) for each in before),
            max(str(each.last_landed_on) for each in before),
        )
        told = (
            f"Judged by other definitions or settings, or another eventpipe, than today's: {several(count, 'export')} ({names}). "
            f"To judge them anew: eventpipe backfill --from {first} --to {last}"
        )
        console.print(inert(told), soft_wrap=True)
    for manifest in refused[:_REFUSED]:
        console.print(
            inert(f"Refused: {manifest.key}: {manifest.reason}: {manifest.detail}"),
            style="yellow",
            soft_wrap=True,
        )
    if len(refused) > _REFUSED:
        console.print(f"... and {len(refused) - _REFUSED:,} more refused exports (--json lists all).", soft_wrap=True)
    for folder in unread:
        console.print(
            inert(
                f"Nobody reads exports/{folder}: it is not a source of eventpipe.yml or a date (YYYY-MM-DD), lies below a date's "
                "folder, or has the name of a file that is not complete."
            ),
            style="yellow",
            soft_wrap=True,
        )


def _show_published(published: Published | None) -> None:
    console = out()
    if published is None:
        console.print("Nothing is published yet.", soft_wrap=True)
        return
    if published.rejected_by_reason:
        rows = [(reason, f"{lines:,}") for reason, lines in published.rejected_by_reason.items()]
        console.print(table(("rejected because of", "lines"), rows, right=(1,)))
    console.print(f"Published by run {published.run_id}, as of {published.as_of}:", soft_wrap=True)
    rows = [(name, f"{count:,}") for name, count in published.tables.items()]
    console.print(table(("table", "rows"), rows, right=(1,)))
