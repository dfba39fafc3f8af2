"""`eventpipe admin`: what the owner of a server does once."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from eventpipe.cli.options import DebugOption, JsonOption, ProjectOption, now, open_project
from eventpipe.cli.terminal import inert, out, print_json
from eventpipe.errors import UsageError
from eventpipe.ops.place import is_made
from eventpipe.project.environment import ADMIN_URL, READER_PASSWORD, WRITER_PASSWORD
from eventpipe.project.refusal import Refusal
from eventpipe.project.serving import server_address

app = typer.Typer(help="Set up the server that people read from.", no_args_is_help=False)


@app.callback()
def admin() -> None:
    """Set up the server that people read from."""


@app.command("init-db")
def init_db(
    reader_timeout: Annotated[
        int, typer.Option(min=1, metavar="SECONDS", help="How long a query of a reader may take.")
    ] = 300,
    idle_timeout: Annotated[
        int, typer.Option(min=1, metavar="SECONDS", help="How long a reader's transaction may do nothing.")
    ] = 300,
    project: ProjectOption = None,
    json: JsonOption = False,
    _debug: DebugOption = False,
) -> None:
    """Make the roles eventpipe_writer and eventpipe_reader, their schemas and rights. Doing it again changes nothing.

    Connects as EVENTPIPE_ADMIN_URL, else as the address that serves; that user must be able to make roles. Passwords
    come from EVENTPIPE_WRITER_PASSWORD and EVENTPIPE_READER_PASSWORD; without them the roles keep theirs.
    """
    opened = open_project(project)

    from eventpipe.serving.postgres.roles import Limits, set_up
    from eventpipe.serving.postgres.server import READER, WRITER, Server

    serving = opened.settings.serving
    if address := os.environ.get(ADMIN_URL):
        try:
            serving = serving.model_copy(update={"url": server_address(address)})
        except Refusal as refusal:
            raise UsageError(f"{ADMIN_URL} is not {refusal.expected}.") from None
    server = Server.of(serving)
    if server is None:
        raise UsageError(
            f"{opened.root} is served from its file: name a server first (EVENTPIPE_ADMIN_URL for this once, or serving.url "
            "in eventpipe.yml or EVENTPIPE_SERVING_URL)."
        )
    passwords = {WRITER: os.environ.get(WRITER_PASSWORD), READER: os.environ.get(READER_PASSWORD)}
    limits = Limits(timedelta(seconds=reader_timeout), timedelta(seconds=idle_timeout))
    with server.connect() as connection:
        set_up(connection, server, passwords, limits)
        connection.commit()
    schema = server.masked_schema if server.mask else server.schema
    if json:
        print_json({"place": server.place, "writer": WRITER, "reader": READER, "reads": schema, "mask": server.mask})
        return
    told = f", {', '.join(server.mask)} masked" if server.mask else ""
    out().print(
        inert(f"{server.place}: {WRITER} publishes to the schema {server.schema}; {READER} reads {schema}{told}."),
        soft_wrap=True,
    )


@app.command("move-ops")
def move_ops(
    source: Annotated[str, typer.Argument(metavar="FROM", help="Where it was: a file, or a postgresql:// address.")],
    project: ProjectOption = None,
    json: JsonOption = False,
    _debug: DebugOption = False,
) -> None:
    """Carry the ops store over to where the project keeps it now: EVENTPIPE_OPS, or paths.ops in eventpipe.yml.

    Waits for runs and deliveries to end. The old store stays as a file, and opens no more.
    """
    opened = open_project(project)

    from eventpipe.ops.move import move
    from eventpipe.ops.store import OpsStore
    from eventpipe.refresh import LEASE_WAIT

    place = source if "://" in source else Path(source).resolve()
    if place == opened.ops:
        raise UsageError(
            f"{source} is where the project keeps its ops store. Set EVENTPIPE_OPS to the new address first, as for its runs."
        )
    if not is_made(place):
        raise UsageError(f"There is no ops store at {source}: name the file or the address that the runs used.")
    with OpsStore.open(place) as before, OpsStore.open(opened.ops) as after:
        rows = move(before, after, now=now, wait=LEASE_WAIT)
        told = {"from": before.place, "to": after.place, "rows": rows}
    if json:
        print_json(told)
        return
    out().print(
        inert(
            f"{rows:,} rows went from {told['from']} to {told['to']}. The old store opens no more: give every host that works "
            "on this project the new address."
        ),
        soft_wrap=True,
    )
