"""kill -9 of the delivering process between sending and recording, again and again: nothing is lost, and what is sent twice
has the same id and the same body."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from eventpipe.delivery.deliver import deliver
from eventpipe.failpoints import VARIABLE
from eventpipe.ops import deliveries as ops
from eventpipe.ops.store import OpsStore
from eventpipe.project.folder import load_project
from eventpipe_tests.delivery import fired
from eventpipe_tests.delivery.fired import fire
from eventpipe_tests.delivery.receiver import SECRET, receiving

# Forked from a server that has imported everything: a fresh interpreter would spend most of its time importing.
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload([__name__, "eventpipe.delivery.deliver"])


def _deliver(root: Path, fail_at: str) -> None:
    os.environ[VARIABLE] = fail_at
    project = load_project(root, {})
    with OpsStore.open(project.ops) as store:
        deliver(project, store, lambda: datetime.now(UTC))


def deliver_in_a_process(root: Path, fail_at: str = "") -> bool:
    """Whether it was killed."""
    process = _SERVER.Process(target=_deliver, args=(root, fail_at))
    process.start()
    process.join(timeout=120)
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


def test_killed_between_sending_and_recording_no_trigger_is_lost(tmp_path: Path) -> None:
    with receiving() as receiver:
        made = fired.project(
            tmp_path,
            {"ok": {"webhook": receiver.url(), "secret": SECRET}, "file": {"file": "outbox"}},
            deliver={"allow_hosts": [receiver.host]},
        )
        with OpsStore.open(made.ops) as store:
            ids = fire(store, "ok", [f"c{n % 40}" for n in range(120)])
            written = fire(store, "file", [f"c{n}" for n in range(50)])
        kills = sum(deliver_in_a_process(made.root, f"deliver.sent:kill:{sent}") for sent in (1, 2, 20, 45))
        assert kills == 4
        assert not deliver_in_a_process(made.root)
        with OpsStore.open(made.ops) as store:
            assert len(ops.listed(store, status="delivered", limit=1000)) == len(ids) + len(written)
    assert set(receiver.ids()) == set(ids)
    bodies: dict[str, set[bytes]] = {each.id: set() for each in receiver.got}
    for each in receiver.got:
        bodies[each.id].add(each.body)
        each.verified()
    assert all(len(found) == 1 for found in bodies.values())
    # What a kill can repeat is bounded: what was on its way, and one batch.
    repeated = sum(count - 1 for count in Counter(receiver.ids()).values())
    assert kills <= repeated + 1 <= kills * (16 + 32) + 1
    lines = "".join(path.read_text() for path in (tmp_path / "outbox").iterdir())
    assert all(lines.count(trigger_id) >= 1 for trigger_id in written)
