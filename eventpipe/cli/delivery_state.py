"""What `eventpipe status` says of automations: what waits, what is to be delivered, what fails."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from eventpipe.cli.options import now
from eventpipe.cli.terminal import inert, out
from eventpipe.cli.values import plain
from eventpipe.ops.place import is_made

if TYPE_CHECKING:
    from eventpipe.ops.deliveries import Backlog, EndpointState
    from eventpipe.project.folder import Project


@dataclass(frozen=True)
class DeliveryState:
    """Candidates that wait, the backlog of deliveries, and targets in trouble."""

    waiting: int
    held: int
    backlog: Backlog
    troubled: tuple[EndpointState, ...]

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "waiting": self.waiting,
            "held": self.held,
            **asdict(self.backlog),
            "targets": [asdict(each) for each in self.troubled],
        }

    def show(self) -> None:
        """One line, and one more for each target in trouble."""
        console = out()
        console.print(
            f"Automations: {self.waiting:,} candidates wait, {self.held:,} are held. Deliveries: "
            f"{self.backlog.pending:,} pending ({self.backlog.due:,} due), {self.backlog.delivered:,} delivered, "
            f"{self.backlog.dead:,} dead.",
            soft_wrap=True,
        )
        for each in self.troubled:
            state = f"{each.failures:,} failures in a row"
            if each.disabled_at is not None:
                state = f"disabled since {plain(each.disabled_at)}"
            elif each.paused_until is not None:
                state += f", left alone until {plain(each.paused_until)}"
            console.print(
                inert(f"Delivery to {each.title}: {state}: {each.last_error}."), style="yellow", soft_wrap=True
            )
        if self.backlog.dead:
            console.print("Dead deliveries: eventpipe deliveries ls --status dead.", style="red", soft_wrap=True)


def delivery_state(project: Project) -> DeliveryState | None:
    """The state; None where no automation is defined and nothing was ever delivered."""
    if not is_made(project.ops):  # looking makes nothing
        return None
    from eventpipe.delivery.deliver import destinations
    from eventpipe.ops import automations, deliveries
    from eventpipe.ops.store import OpsStore

    with OpsStore.open(project.ops) as store:
        counts = automations.counts(store)
        backlog = deliveries.backlog(store, now(), destinations(project))
        troubled = tuple(deliveries.troubled(store))
    if not project.automations.definitions and not counts:
        return None
    waiting, held = (sum(each.get(status, 0) for each in counts.values()) for status in ("waiting", "held"))
    return DeliveryState(waiting, held, backlog, troubled)
