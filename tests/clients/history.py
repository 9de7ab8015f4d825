"""A checked history of a set, in the manner of Jepsen: members are added and taken out, and read by searches, by many clients at once. No
server may answer what no order of these calls explains.

Every call has a beginning and an end, and takes effect at one moment in between. One that was not acknowledged may take effect at any
moment after its beginning, or never. A member is added once and taken out once at most."""

from dataclasses import dataclass, field

NEVER = float("inf")


@dataclass(frozen=True)
class Call:
    """`end` is when it was acknowledged."""

    begin: float
    end: float = NEVER


@dataclass(frozen=True)
class Read:
    """What a search found, and where."""

    begin: float
    end: float
    found: frozenset
    where: str


@dataclass
class History:
    """Of one set."""

    added: dict = field(default_factory=dict)
    removed: dict = field(default_factory=dict)
    reads: list = field(default_factory=list)

    def violations(self):
        """What no order of the calls explains, in words."""
        return [text for member, call in self.added.items() for text in self._of(member, call)] + self._strangers()

    def _of(self, member, added):
        removed = self.removed.get(member, Call(NEVER))
        seen = [read for read in self.reads if member in read.found]
        # The latest moment at which it may have come, and the earliest at which it may have gone.
        came = min([added.end, *(read.end for read in seen)])
        gone = max([removed.begin, *(read.begin for read in seen)]) if removed.begin < NEVER else NEVER
        for read in self.reads:
            if member in read.found:
                if read.end < added.begin:
                    yield f"{read.where} found {member} before it was added"
                if read.begin > removed.end:
                    yield f"{read.where} found {member}, whose removal was acknowledged {read.begin - removed.end:.3f} s before"
            elif came < read.begin and read.end < gone:
                yield f"{read.where} missed {member}, which was there {read.begin - came:.3f} s before"

    def _strangers(self):
        return [f"{read.where} found {member}, which nobody added" for read in self.reads for member in read.found - self.added.keys()]
