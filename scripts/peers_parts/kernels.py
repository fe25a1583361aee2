"""Which kernel of OpenBLAS is best for NumPy here: a short trial, each candidate in children of its own. The library's own choice is one of them."""

from . import machine
from .contestants import REFERENCE
from .child import Failed

# Kernel: what the CPU must have. A kernel that it lacks the instructions for would die, and only waste the time to do so.
CANDIDATES = {"Haswell": "avx2", "Zen": "avx2", "SkylakeX": "avx512f", "Cooperlake": "avx512_bf16", "SapphireRapids": "amx_tile"}
STEPS = 30
TRIES = 3
CLEARLY = 0.97  # of the time with the library's own choice: less gain is noise, and a row of its own would be the same twice


def trial(start, say):
    """`start(contestant, steps)` runs one. Returns the best kernel to force, or "", and the trial's table."""
    flags = machine.cpu_flags()
    table = [attempt(start, kernel) for kernel in ["", *(kernel for kernel, flag in CANDIDATES.items() if flag in flags)]]
    own, *forced = table
    if own["seconds"] is None:
        return "", table
    same = [row for row in forced if row["kernel"] == own["kernel"]]
    rivals = [row for row in forced if row["seconds"] and row not in same]
    best = min(rivals, key=lambda row: row["seconds"], default=own)
    chosen = best["forced"] if best["seconds"] < CLEARLY * own["seconds"] else ""
    for row in table:
        speed = f"{row['seconds'] / STEPS * 1e3:.3g} ms a step" if row["seconds"] else ""
        say(f"  {row['forced'] or 'unset':15} {row['kernel'] or row['error']:40} {speed}")
    say(f"  forced in rows of their own: {chosen}" if chosen else "  no kernel is clearly faster than the library's own choice: no rows of their own")
    return chosen, table


def attempt(start, kernel):
    contestant = REFERENCE.forced(kernel) if kernel else REFERENCE
    try:
        results = [start(contestant, STEPS) for _ in range(TRIES)]
    except Failed as failure:
        return {"forced": kernel, "kernel": None, "seconds": None, "error": str(failure)}
    return {"forced": kernel, "kernel": results[0]["facts"]["blas"], "seconds": min(result["seconds"] for result in results), "error": None}
