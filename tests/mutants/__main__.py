"""`make mutate`: judge every mutant of some files (default: all subjects), and print what survives and a table.

Its tests draw a tenth of the examples: a mutant that a lucky draw alone finds survives here, before it does in CI.
"""

from __future__ import annotations

import os
import sys
import time

from sampling import SCARCE

from mutants.changed import ROOT, open_workshop
from mutants.operators import mutants_of
from mutants.subjects import SUBJECTS, survivors


def main(files: list[str]) -> int:
    """Return how many mutants survived that are not listed."""
    rows, unlisted, listed = [], 0, survivors()
    os.environ[SCARCE] = "1"
    with open_workshop() as workshop:
        for file in files or SUBJECTS:
            begun_s = time.monotonic()
            mutants = mutants_of(file, (ROOT / file).read_text(encoding="utf-8"))
            survived = new = 0
            if (as_it_is := workshop.judge({}, SUBJECTS[file])).found:  # what fails anyway finds nothing
                print(f"{file}: its tests fail without a bug: {as_it_is.words}")
                return 99
            for one in mutants:
                if workshop.judge({one.file: one.text}, SUBJECTS[file]).found:
                    continue
                survived += 1
                if one.name not in listed.get(file, ()):
                    new += 1
                    print(f"{file}:{one.line}: {one.name}", flush=True)
            unlisted += new
            rows.append((file, len(mutants), survived, new, time.monotonic() - begun_s))
    print(f"\n{'file':<30} {'mutants':>8} {'survive':>8} {'unlisted':>8} {'seconds':>8}")
    for file, count, survived_count, new_count, seconds in rows:
        print(f"{file:<30} {count:>8} {survived_count:>8} {new_count:>8} {seconds:>8.0f}")
    return min(unlisted, 99)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
