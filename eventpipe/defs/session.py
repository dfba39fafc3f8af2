"""One run of the pipeline, shared by the steps of one Dagster run.

Here: which stages were done, what they gave, and what must be done before them. Not here: Dagster, and the stages.

The models of a run read the plan that the same run made, and its tables are published after its own audit only. So
what a selection of assets leaves out in the middle is done nevertheless, before the stage that needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar

from eventpipe.audit.findings import Finding
from eventpipe.identity.resolve import Resolved
from eventpipe.intake.land import Landed
from eventpipe.ops.automations import Step
from eventpipe.ops.runs import Counts, Stage
from eventpipe.project.folder import Project
from eventpipe.refresh import Refresh, RunRequest
from eventpipe.segments.judge import Judgement
from eventpipe.serving.publish import Published
from eventpipe.warehouse.dbt import Dbt, Node
from eventpipe.warehouse.plan import Plan

Done = TypeVar("Done")


def ignore(_landed: Landed) -> None:
    """Does nothing with an export that was done."""


def always(_triggers: int) -> bool:
    """Lets that many triggers of the past fire: whoever asked for it was asked before."""
    return True


class RunSession:
    """A run that begins (lease, run record) with its first stage, and does each stage once.

    `error` is the first thing that went wrong in it: `close` records it.
    """

    def __init__(
        self,
        project: Project,
        request: RunRequest,
        clock: Callable[[], datetime],
        on_landed: Callable[[Landed], None] = ignore,
        dbt: Dbt | None = None,
        confirm: Callable[[int], bool] = always,
    ) -> None:
        self.request = request
        self.error: BaseException | None = None
        self._refresh = Refresh(project, request, clock, dbt=dbt)
        self._on_landed = on_landed
        self._confirm = confirm
        self._begun = False
        self._done: dict[str, Any] = {}

    @property
    def refresh(self) -> Refresh:
        """The run, begun. Errors: `LeaseHeld` when another run is writing and does not end in time."""
        if not self._begun:
            self._refresh.__enter__()
            self._begun = True
        return self._refresh

    @property
    def stages(self) -> tuple[Stage, ...]:
        """What was done so far, in order, with its times."""
        return self._refresh.stages

    @property
    def counts(self) -> Counts:
        """What the intake of this run did."""
        return self._refresh.counts

    @property
    def nodes(self) -> dict[str, Node]:
        """What became of models and tests, by their dbt id."""
        return self._refresh.nodes

    def land(self) -> list[Landed]:
        """Intake. It needs no other stage, nor do the others need that it was done in this run."""
        return self._once("land", lambda: self.refresh.land(self._on_landed))

    def resolve(self) -> Plan:
        """What the run touches, of all that the lake holds."""
        return self._once("resolve", lambda: self.refresh.resolve())

    def identify(self) -> Resolved:
        """Contacts, after `resolve`."""
        self.resolve()
        return self._once("identify", lambda: self.refresh.identify())

    def model(self) -> list[Node]:
        """The tables, after `identify`."""
        self.identify()
        return self._once("model", lambda: self.refresh.model())

    def segment(self) -> Judgement:
        """Memberships, after `model`."""
        self.model()
        return self._once("segment", lambda: self.refresh.segment())

    @property
    def findings(self) -> list[Finding]:
        """What the audit found, also where it holds the publish back."""
        return self._refresh.findings

    def audit(self) -> list[Finding]:
        """Judges what is there: without `model` before it, what the last run left. Errors: `AuditHeld`."""
        if "model" in self._done:
            self.segment()  # what comes after the audit is not judged
        return self._once("audit", lambda: self.refresh.audit())

    def decide(self) -> Step | None:
        """Decides about automations, after `segment` and an audit of what the run made."""
        self.segment()
        self.audit()
        return self._once("decide", lambda: self.refresh.decide(self._confirm))

    def publish(self) -> Published:
        """Publishes, after `decide`."""
        self.decide()
        return self._once("publish", lambda: self.refresh.publish())

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Remembers what ends the block by an exception, for `close` and for whoever started the run."""
        try:
            yield
        except BaseException as error:
            self.error = self.error or error
            raise

    def close(self) -> None:
        """Ends the run: gives the lease back and records how it went."""
        if self._begun:
            error = self.error
            trace = error.__traceback__ if error else None
            self._refresh.__exit__(type(error) if error else None, error, trace)

    def _once(self, stage: str, work: Callable[[], Done]) -> Done:
        if stage not in self._done:
            self._done[stage] = work()
        done: Done = self._done[stage]
        return done
