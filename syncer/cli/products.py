"""``syncer products``: the copy of the company's products."""

from __future__ import annotations

from pathlib import Path

import click

from syncer.cli.described import step_option
from syncer.cli.frame import command, envelope, environment_of, lock_wait_option, options, settings, show
from syncer.errors import UsageError
from syncer.process.help import again_with


@click.group("products")
def products_group() -> None:
    """Keep a copy of the company's products, and look into it."""


@command(
    "pull", products_group, examples=("syncer products pull", "syncer products pull --archived --out products.parquet")
)
@step_option("products", "archived")
@step_option("products", "format")
@step_option("products", "out", metavar="FILE")
@lock_wait_option
def pull_command(archived: bool, form: str | None, out: Path | None) -> None:
    """Read all products from the API, keep them in the ledger, and export them when a format or file is named."""
    from syncer.commands import products
    from syncer.commands.working import recorded
    from syncer.report import products as report
    from syncer.request import ProductsRequest

    if options().json and form and out is None:
        raise UsageError(
            "--json takes standard output, so an export needs a file",
            next=again_with({"--out": f"products.{form}"}),
        )
    request, known = ProductsRequest(archived, form, out), settings()
    with environment_of() as environment:
        result = recorded(
            known, environment.clock, "products pull", lambda _: products.pull(known, request, environment)
        )
    if form is None or out is not None:
        show(report.pull_document(result), lambda: report.pull_text(result), of_work=True)


@command("list", products_group, examples=("syncer products list --search wine",))
@step_option("products", "archived")
@click.option("--search", default="", metavar="TEXT", help="Only those whose SKU or name contains TEXT.")
@click.option("--limit", "--last", "limit", type=click.IntRange(min=1), default=1_000_000, help="At most so many.")
def list_command(archived: bool, search: str, limit: int) -> None:
    """List the ledger's copy of the products. Asks the API nothing."""
    from syncer.commands import products
    from syncer.report import products as report

    view = products.list_products(settings(), archived=archived, text=search, most=limit)
    show(envelope("products list", **report.products_document(view)), lambda: report.products_text(view))


@command("show", products_group, examples=("syncer products show SKU-1", "syncer products show SKU-1 --fresh"))
@click.argument("sku")
@click.option("--fresh", is_flag=True, help="Ask the API, whatever the copy says.")
@lock_wait_option
def show_command(sku: str, fresh: bool) -> None:
    """Show the product with this SKU: from the copy, or from the API when the copy lacks it."""
    from syncer.commands import products
    from syncer.report import products as report

    with environment_of() as environment:
        view = products.show(settings(), sku, environment, fresh=fresh)
    show(envelope("products show", product=report.product_document(view)), lambda: report.product_text(view))
