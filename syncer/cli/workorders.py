"""``syncer workorders``: the API's work orders, and their codes as files."""

from __future__ import annotations

from pathlib import Path

import click

from syncer.cli.frame import codes_environment, command, envelope, settings, show


@click.group("workorders")
def workorders_group() -> None:
    """List work orders and download their codes."""


@command("list", workorders_group, examples=("syncer workorders list --search bottles",))
@click.option("--search", help="Text in the reference or the remarks.")
@click.option("--archived", is_flag=True, help="Archived ones instead.")
@click.option(
    "--limit", "--last", "limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="How many at most."
)
def workorders_list_command(search: str | None, archived: bool, limit: int) -> None:
    """List the work orders that the API has."""
    from dataclasses import asdict

    from syncer.commands import codes
    from syncer.report import codes as report

    with codes_environment() as environment:
        orders, complete = codes.work_orders(
            settings(), search=search, archived=archived, most=limit, environment=environment
        )
    show(
        envelope("workorders list", workorders=[asdict(one) for one in orders], complete=complete),
        lambda: report.orders_text(orders, complete=complete),
    )


@command("download", workorders_group, examples=("syncer workorders download 17 --out codes-17",))
@click.argument("order", metavar="ID", type=click.IntRange(min=1))
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder; else workorder-ID.")
def workorders_download_command(order: int, out: Path | None) -> None:
    """Download the zip of work order ID and extract it, safely."""
    from syncer.commands import codes
    from syncer.report import codes as report

    folder = out or Path(f"workorder-{order}")
    with codes_environment() as environment:
        files = codes.download_work_order(settings(), order, folder, environment)
    show(
        envelope("workorders download", workorder=order, folder=str(folder), files=[str(file) for file in files]),
        lambda: report.files_text(order, files),
        of_work=True,
    )
