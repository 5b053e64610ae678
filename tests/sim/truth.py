"""What the server holds, by the key values that the program uses, and what of it the program answers for.

Six things are excused, code by code. What somebody else wrote last (in the portal, with a phone) nobody can know who
reads no code back. What a call wrote that was let go of may land at any time, until it was seen to end. And when it ends
late, over what another key wrote, or may have written since, that is uncertain and no wish: an older word could be sent
over a newer one, and the run that saw the end has told of it. The same goes for what the server itself dropped
when a code moved to another campaign, and for a code that came under another case since a file named that. So it does
for what an upload of own codes brings, until it was seen to end; and for what a call that was let go of wrote over a
field that its code's move had made uncertain.
"""

from __future__ import annotations

from sim.products import MOVED, PRODUCT
from sim.spaces import LINK

THEIRS = "somebody else"
"""The cause of a write that is not ours, in the server's journal."""


class Truth:
    """The codes of the server by key value, as they are now."""

    def __init__(self, world, spaces, spoken, let_go, late, coming=frozenset(), unsure=frozenset(), late_words=()):
        """``spoken``: by code and field, the key value of its newest word.

        ``let_go``: key values of calls that were let go of. ``late``, ``late_words``: by key value and field, see
        `promises.late_places` and `promises.late_words`. ``coming``: ids of the codes of uploads that were not seen to end.
        ``unsure``: see `unsure_places`.
        """
        self._late_words = late_words
        self._theirs, self._spoken, self._let_go, self._late = world.theirs, spoken, let_go, late
        self._dropped = world.dropped | unsure
        self.held = {}
        for space in spaces.all:
            for code in world.codes:
                self.held.setdefault(space.value_of(code.fields), []).append(code)
        self.held.pop(None, None)
        self.ever = {key: {code.number for code in codes} for key, codes in self.held.items()}
        """By key value, the numbers of all codes that were ever under it."""
        self._moved = set()
        for write in world.journal:
            if write.field == LINK and write.old != write.new:
                self._moved.add(write.code)
                for case in (write.old, write.new):
                    self.ever.setdefault(case, set()).add(write.code)
        self._uncertain, self._coming = self._numbers(let_go), self._numbers(coming)
        self._overwritten = {(number, name) for key, name in late for number in self.ever.get(key, ())}

    def _numbers(self, keys):
        return set().union(*(self.ever.get(key, ()) for key in keys))

    def _is_newest(self, place, key):
        """Tell whether a word for a field of a code is wanted under this key value."""
        unspoken = None if place[0] in self._moved else key
        return place not in self._dropped and self._spoken.get(place, unspoken) == key

    def meant(self, key, cases):
        """Return the numbers of the codes that a word is for; ``cases``: those that files wanted codes to be in."""
        here = {code.number for code in self.held.get(key, ())}
        if not key.startswith("C"):
            return here
        moved = {number for number, case in cases.items() if case != key}
        return here - moved | {number for number, case in cases.items() if case == key}

    def lacking(self, key, words, *, newest=True):
        """Return the fields of the first code of a key value that does not hold its words; None: all do.

        ``newest``: a word counts where no other key value of the code has a newer one, no call of another that ended late
        and no open upload went over it, and the server did not drop it. Of a key value without a code nothing is held.
        """
        codes = self.held.get(key)
        if codes is None:
            left = (
                newest and key in self.ever
            )  # all its codes came under other cases: the words are about none any more
            return {} if words and key not in self._let_go and not left else None
        for code in codes:
            if code.number in self._uncertain:
                continue
            for name, value in words.items():
                place = (code.number, name)
                if place in self._theirs or (newest and self._is_excused(place, key)):
                    continue
                if code.fields.get(name, "") != value:
                    return code.fields
        return None

    def _is_excused(self, place, key):
        """Tell whether a word of a key value for a field of a code may have been written over, and the run told of that."""
        if (key, place[1]) not in self._late and (place in self._overwritten or place[0] in self._coming):
            return True
        return not self._is_newest(place, key) or (key, place[1]) in self._late_words


def unsure_places(world, let_go, moves):
    """Return the fields, by code, that a call wrote which was let go of, after a product had moved the code without them.

    Until then they were uncertain, and no wish. ``let_go`` are tasks; ``moves`` tells of an old and a new product.
    """
    left, unsure, last = set(), set(), {}
    for write in world.journal if let_go else ():
        place = (write.code, write.field)
        last[place] = write.cause
        if write.cause.removeprefix("task ") in let_go:
            unsure |= left & {place}
        elif write.field == PRODUCT and moves(write.old, write.new):
            others = {(write.code, name) for name in ("m", "s")}
            left |= {other for other in others if last.get(other) != write.cause}
        elif write.cause not in {THEIRS, MOVED}:
            left.discard(place)
            unsure.discard(place)
    return unsure


def written(world):
    """Return every value of a field that we ever wrote: by code and field."""
    ever = {}
    for write in world.journal:
        if write.cause not in {THEIRS, MOVED}:
            ever.setdefault((write.code, write.field), set()).add(write.new)
    return ever
