"""Who runs when: each contestant's check, then rounds in which each runs once, in an order that rotates.

Every run is held against the reference, the timed ones too. Who disagrees or fails once is out, and is never ranked.
"""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

from . import agree, child, environment, ours
from .contestants import Contestant


@dataclass(frozen=True)
class Cell:
    model: str
    scalar: str
    threads: int

    def __str__(self):
        return f"{self.model}, {self.scalar}, {self.threads} thread{'s' * (self.threads > 1)}"


@dataclass
class Entry:
    """A contestant in a cell, and what became of it."""
    contestant: Contestant
    seconds: list = field(default_factory=list)
    busy: list = field(default_factory=list)
    facts: dict = field(default_factory=dict)
    error: float = 0.0  # the largest of its costs' relative errors
    out: str = ""  # `disagrees: ...` or `failed: ...`


@dataclass
class Runner:
    """Starts one contestant once, in a child of its own, and returns its result."""
    program: Path
    files: dict
    folder: Path
    warm_steps: int
    limit: float

    def start(self, contestant, cell, steps, warm=True):
        if contestant.module == "ours":
            if warm:
                ours.run(self.program, contestant, cell, self.warm_steps, self.files, self.folder, self.limit)
            return ours.run(self.program, contestant, cell, steps, self.files, self.folder, self.limit)
        result = self.folder / "result.json"
        result.unlink(missing_ok=True)
        command = [sys.executable, "-m", "peers_parts.worker", contestant.module, contestant.way, cell.model, cell.scalar, steps, self.warm_steps,
                   self.folder, result]
        child.run(command, cell.threads, environment.for_child(cell.threads, contestant.coretype), self.limit)
        try:
            return json.loads(result.read_text(encoding="utf-8"))
        except (OSError, json.JSONDecodeError):
            raise child.Failed("ended well without a result") from None


def run(runner, cell, contestants, reference, steps, rounds, say):
    entries = [Entry(contestant) for contestant in contestants]
    say(f"{cell}: checking {len(entries)} contestants over {steps} steps")
    for entry in entries:
        once(runner, cell, entry, reference, steps, say, timed=False)
    for number in range(rounds):
        say(f"{cell}: round {number + 1} of {rounds}")
        for entry in turn([entry for entry in entries if not entry.out], number):
            once(runner, cell, entry, reference, steps, say, timed=True)
    return entries


def turn(entries, number):
    """Rotated by two every two rounds, the second of them backwards: rotated alone, each would always follow the same one."""
    first = (number - number % 2) % max(len(entries), 1)
    order = entries[first:] + entries[:first]
    return order[::-1] if number % 2 else order


def once(runner, cell, entry, reference, steps, say, timed):
    try:
        result = runner.start(entry.contestant, cell, steps, warm=timed)
    except child.Failed as failure:
        entry.out = f"failed: {failure}"
        say(f"  {entry.contestant.name:24} {entry.out}")
        return
    wrong = agree.disagreement(result, reference, steps, cell.scalar)
    if wrong:
        entry.out = f"disagrees: {wrong}"
        say(f"  {entry.contestant.name:24} {entry.out}")
        return
    entry.error = max(entry.error, agree.largest_error(result, reference, steps, cell.scalar))
    entry.facts = result["facts"]
    if timed:
        entry.seconds.append(result["seconds"])
        entry.busy.append(result["busy"])
        say(f"  {entry.contestant.name:24} {result['seconds']:.4g} s")
    else:
        say(f"  {entry.contestant.name:24} agrees, within {entry.error:.1e}")
