"""How a file of own codes is opened and checked, as the command line and a job say it; sends and records nothing."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import asdict
from typing import TYPE_CHECKING

from syncer.codes.checking import check_file
from syncer.codes.reading import AS_CSV, CodesFile, CodesForm, followable
from syncer.config.asked import parse_defaults
from syncer.config.jobs import pick_job
from syncer.errors import SourceError, UsageError, did_you_mean
from syncer.model import SPECIAL_FIELDS
from syncer.safe.urls import is_remote
from syncer.source import CsvForm

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from syncer.codes.checking import Checked
    from syncer.config import Settings
    from syncer.ledger.uploads import Uploads
    from syncer.request import UploadRequest


def form_of(settings: Settings, request: UploadRequest) -> CodesForm | None:
    """Return how the job that was named says the file is written; None: no job was named."""
    if request.job is None:
        return None
    job = pick_job(settings, request.job)
    csv_form = CsvForm(**{**asdict(job.csv), "encoding": job.csv.encoding or "utf-8"})
    known = None if job.known_fields is None else frozenset(job.known_fields)
    return CodesForm(csv_form, job.columns or None, known)


def defaults_of(settings: Settings, request: UploadRequest) -> dict[str, object]:
    """Return what is said for all codes; raise `UsageError` for what the API would not take, as far as anybody says."""
    defaults, form = parse_defaults(request.defaults), form_of(settings, request)
    if form is not None and form.known_fields is not None:
        strange = next((name for name in defaults if name not in form.known_fields | SPECIAL_FIELDS), None)
        if strange is not None:
            words = f"--default {strange}: it is not among the job's known_fields"
            near = did_you_mean(strange, sorted(form.known_fields))
            raise UsageError(f"{words}{near}: the API would discard it", next="syncer codes upload --help")
    return defaults


def require_path(request: UploadRequest) -> None:
    """Raise `UsageError` for a URL, in words that never repeat it: it may hold a secret."""
    if is_remote(request.file):
        raise UsageError("FILE must be a path of this machine, and is a URL", remedy="copy the file here first")


def read_as(form: CodesForm) -> str:
    """Return what of a form decides what a file says: the same bytes read in another way are another file."""
    return json.dumps([asdict(form.csv), dict(form.columns or {})], sort_keys=True)


def opened(settings: Settings, request: UploadRequest) -> CodesFile:
    """Open the file that is asked for, to be closed by the caller."""
    form = form_of(settings, request)
    if form is not None and request.file.lower().endswith(".json"):
        again = f"syncer codes upload {shlex.quote(request.file)}"
        raise UsageError("--job says how CSV is written; JSON names its fields itself", next=again)
    return CodesFile(request.file, form)


def checked_file(
    uploads: Uploads | None,
    file: CodesFile,
    request: UploadRequest,
    defaults: Mapping[str, object],
    on_rows: Callable[[int], None],
) -> Checked:
    """Check a file against the products and the earlier uploads that a ledger knows; None: there is no ledger."""
    products = None if uploads is None else uploads.product_skus()
    product = defaults.get("product")
    if products is not None and product is not None and product not in products:
        words = f"--default product={product}: the ledger knows no product with this SKU"
        raise UsageError(
            words, remedy="look for it among the products (syncer products pull)", next="syncer products list"
        )
    return check_file(
        file,
        products=products,
        known=(lambda _: iter(())) if uploads is None else uploads.known_codes,
        allow_duplicates=request.allow_duplicates,
        on_rows=on_rows,
    )


def own_words(error: SourceError, request: UploadRequest) -> tuple[str | None, str]:
    """Return what helps with a file of own codes, which no job need declare; a job that is named can say some of it."""
    remedy, named = error.remedy or "", shlex.quote(request.file)
    if "jobs.<name>" not in remedy:
        return error.remedy, error.next
    own = _of_a_job(remedy, request.job or "own")
    if request.job is not None:
        return own or AS_CSV, f"syncer codes upload {named} --job {shlex.quote(request.job)}"
    encoding = _encoding(remedy)
    if encoding is not None:
        once = "or let a job say how such files are written (jobs.own.csv.encoding), and add --job own"
        return once, f"iconv -f {encoding} -t utf-8 {named} > codes-utf8.csv && syncer codes upload codes-utf8.csv"
    return f"{own}; and add --job own" if "jobs.own" in own else own or AS_CSV, error.next


def _of_a_job(remedy: str, job: str) -> str:
    """Return those of the clauses that say what helps which a job of own codes can follow."""
    kept = [one.removeprefix("or, ").removeprefix("or ") for one in followable(remedy).split("; ")]
    return "; or ".join(kept).replace("jobs.<name>", f"jobs.{job}")


def _encoding(remedy: str) -> str | None:
    """Return what `iconv` calls the encoding that is advised; None: nothing is said of encodings, or not which."""
    said = re.search(r'csv\.encoding(?: = |.* to )"([-\w]+)"$', remedy)
    if said is None:
        return None
    marked = re.match(r"utf-(16|32)", said[1])  # its mark tells the order of its bytes
    return marked[0] if marked else re.sub(r"^iso2022[-_]", "iso-2022-", said[1])
