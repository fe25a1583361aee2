"""Compares two fixture documents number by number, and knows how far each kind of number may be off.

Says what differs and where; what to compare with what is make_fixtures.py's business.
"""

import numpy as np


def content(document):
    """The document without its descriptive head, its cases by name."""
    head = {"what", "made_by", "numpy", "python", "printed", "shapes"}
    document = {k: v for k, v in document.items() if k not in head}
    if "cases" in document:
        document["cases"] = {c["name"]: c for c in document["cases"]}
    return document


def bound(path, stored):
    """How far a number at this path may be from the stored one, and why."""
    if path[-1:] == ("costs",) and path[0] == "cat_costs.json":
        return 1e-9 * np.abs(stored)  # 2,500 steps amplify roundings: a 1e-12 change of W1 moves a cost by 1.2e-11
    rounded = "expected" in path and not path[2].startswith("initialize") or path[-1] in ("sum", "sum_of_squares")
    if rounded:  # another BLAS, libm or vector width adds and rounds otherwise
        return np.maximum(4 * np.spacing(np.abs(stored)), 1e-15 * np.abs(stored).max())
    return np.zeros_like(stored)  # inputs and seeded numbers are the same bits everywhere


class Tally:
    """What a comparison saw."""

    def __init__(self):
        self.numbers, self.unequal, self.largest, self.faults = 0, 0, 0.0, []

    def compare(self, made, stored, path):
        """Compares two arrays of numbers."""
        if made.shape != stored.shape:
            return self.fault(path, f"shape {made.shape}, stored {stored.shape}")
        error = np.abs(made - stored)
        self.numbers += stored.size
        self.unequal += int((made != stored).sum())
        self.largest = max(self.largest, (error[stored != 0] / np.abs(stored[stored != 0])).max(initial=0))
        fault = ~(error <= bound(path, stored))
        if "inputs" in path:
            fault |= np.signbit(made) != np.signbit(stored)  # -0.0 is an input of its own
        if fault.any():
            i = np.unravel_index(np.argmax(np.where(fault, error, -1)), stored.shape)
            self.fault(path, f"{fault.sum()} of {stored.size} differ, most at {list(map(int, i))}: "
                             f"{float(made[i])}, stored {float(stored[i])}")

    def fault(self, path, text):
        self.faults.append("/".join(map(str, path)) + ": " + text)


def walk(made, stored, path, tally):
    """Compares two documents; numbers by `bound`, all else by equality."""
    if isinstance(stored, list) and stored and isinstance(stored[0], dict):
        made, stored = dict(enumerate(made)), dict(enumerate(stored))
    if isinstance(made, dict) and isinstance(stored, dict):
        for key in made | stored:
            if key in made and key in stored:
                walk(made[key], stored[key], (*path, key), tally)
            else:
                tally.fault((*path, key), "only " + ("made" if key in made else "stored"))
    elif isinstance(stored, str) or stored == []:
        if made != stored:
            tally.fault(path, f"{made!r}, stored {stored!r}")
    else:
        try:
            made, stored = np.asarray(made, dtype=float), np.asarray(stored, dtype=float)
        except (TypeError, ValueError):
            return tally.fault(path, "not numbers, or not of one shape, on both sides")
        tally.compare(made, stored, path)


def report(name, made, stored):
    """Prints what comparing one file gave; true if nothing is wrong."""
    tally = Tally()
    walk(content(made), content(stored), (name,), tally)
    print(f"{name}: {tally.numbers} numbers, {tally.unequal} unequal in any bit, largest relative difference "
          f"{tally.largest:.1e}: {'DIFFERENT' if tally.faults else 'ok'}")
    for fault in tally.faults:
        print("  " + fault)
    return not tally.faults
