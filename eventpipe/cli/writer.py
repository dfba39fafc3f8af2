"""Who writes to the project now, and that a command waits for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from eventpipe.cli.options import now
from eventpipe.cli.terminal import err, inert
from eventpipe.ops.place import is_made

if TYPE_CHECKING:
    from eventpipe.ops.lease import Lease, Tenure
    from eventpipe.project.folder import Project


def current_writer(project: Project) -> Tenure | None:
    """Who holds the lease; None when nobody does."""
    if not is_made(project.ops):  # looking makes nothing
        return None
    from eventpipe.ops import lease
    from eventpipe.ops.store import OpsStore

    with OpsStore.open(project.ops) as store:
        tenure = lease.current(store)
    return None if tenure.holder is None or tenure.process is None else tenure


def is_gone(tenure: Tenure) -> bool:
    """Whether a run that holds the lease ended without giving it back."""
    from eventpipe.ops.process import this_process

    dead = tenure.process is not None and tenure.process.is_gone(this_process())
    return dead or (tenure.expires_at is not None and tenure.expires_at <= now())


def say_that_we_wait(project: Project) -> None:
    """Names the run that this command is going to wait for, if there is one."""
    tenure = current_writer(project)
    if tenure is not None and not is_gone(tenure):
        err().print(inert(f"{tenure} is writing to this project: waiting for it to end."), soft_wrap=True)


@contextmanager
def writing(project: Project, holder: str) -> Iterator[Lease]:
    """The lease on the project, while nobody else writes to it. Raises LeaseHeld."""
    from eventpipe.ops import lease as leases
    from eventpipe.ops.store import OpsStore
    from eventpipe.refresh import LEASE_WAIT

    with OpsStore.open(project.ops) as store:
        lease = leases.acquire(store, holder, now=now, wait=LEASE_WAIT)
        try:
            with lease.keep_alive():
                yield lease
        finally:
            lease.release()


@contextmanager
def writing_alone(project: Project, holder: str) -> Iterator[Lease]:
    """The same, while nobody delivers either."""
    from eventpipe.delivery.deliver import delivering
    from eventpipe.refresh import LEASE_WAIT

    with writing(project, holder) as lease, delivering(lease.store, now, LEASE_WAIT):
        yield lease
