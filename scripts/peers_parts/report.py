"""What came out, as Markdown and as JSON. Derives all figures from the entries' times; keeps none."""

import json
import os

from . import agree, environment, kernels, machine
from .contestants import REFERENCE
from .figures import interquartile, interval, median, ratios


def figures(entry, baseline):
    """None for one that is out; a ratio only to a baseline that is not."""
    if entry.out or not entry.seconds:
        return None
    busy = [value for value in entry.busy if value is not None]
    paired = ratios(entry.seconds, baseline.seconds) if baseline and not baseline.out else []
    return {"median_seconds": median(entry.seconds), "interquartile_seconds": interquartile(entry.seconds), "busy": median(busy) if busy else None,
            "ratio": median(paired) if paired else None, "ratio_interval": interval(paired)}


def table(cell, entries, baseline_name, steps):
    """One cell's table, fastest first; who is out is listed under it."""
    baseline = next(entry for entry in entries if entry.contestant.name == baseline_name)
    rows = [(entry, figures(entry, baseline)) for entry in entries]
    ranked = sorted((row for row in rows if row[1]), key=lambda row: row[1]["median_seconds"])
    yield f"### {cell}: {steps} steps\n"
    yield f"| contestant | median s | ms a step | IQR s | to {baseline_name} | 95% from | to | rounds | busy threads | kernel or library |"
    yield "| --- | --: | --: | --: | --: | --: | --: | --: | --: | --- |"
    for entry, row in ranked:
        low, high = row["ratio_interval"] or (None, None)
        cells = [entry.contestant.name, number(row["median_seconds"]), number(row["median_seconds"] / steps * 1e3), number(row["interquartile_seconds"]),
                 number(row["ratio"]), number(low), number(high), len(entry.seconds), number(row["busy"], 3), entry.facts.get("blas", "")]
        yield "| " + " | ".join(str(cell).replace("|", "/") for cell in cells) + " |"
    yield ""
    for entry, _ in rows:
        if entry.out:
            yield f"- {entry.contestant.name}: not ranked, {entry.out}"
    if baseline.out:
        yield f"- no ratios: the baseline {baseline_name} is not ranked"
    yield ""


def number(value, digits=4):
    """Significant digits, never as a power of ten."""
    if value is None:
        return "-"
    if value == 0:
        return "0"
    if value >= 10**digits:
        return f"{value:.0f}"
    text = f"{value:.{digits}g}"
    return text if "e" not in text else f"{value:.{digits + 5}f}".rstrip("0").rstrip(".")


def footnotes(document):
    """What is beside the numbers: machine, versions, what each computes, the clock."""
    yield f"{machine.words(document['machine'])}; {document['date']}; layerbench revision {document['revision']}.\n"
    yield f"Versions: {', '.join(f'{name} {version}' for name, version in versions(document).items())}.\n"
    if document["removed_variables"]:
        yield f"Set in the shell, and taken from all children: {', '.join(document['removed_variables'])}.\n"
    else:
        yield "OPENBLAS_CORETYPE, OPENBLAS_L2_SIZE and all other variables that steer a library were unset.\n"
    for name, trial in document["kernel_trials"].items():
        tried = ", ".join(f"{row['forced'] or 'unset'} ({row['kernel'] or row['error']}) " +
                          (f"{number(row['seconds'] / kernels.STEPS * 1e3, 3)} ms" if row["seconds"] else "no time") for row in trial["table"])
        chosen = trial["chosen"] or "none, the own choice is as fast"
        yield f"Kernels of OpenBLAS tried with {REFERENCE.name}, ms a step, {name}: {tried}. Forced: {chosen}.\n"
    yield "What each computes:\n"
    for name, computes in document["computes"].items():
        yield f"- {name}: {computes}."
    yield ""
    yield ("The clock. Inside: all steps with the cost at each, what a way makes first (G = X^T X, packing, planning, copies of the start) and last (W, "
           "handing out the parameters). Outside: starting, importing, reading the pictures, drawing the start, compiling. Peers have run "
           f"{document['options']['warm_steps']} steps in the same process before; layerbench, whose clock is its own `run_seconds`, in a process before it only. "
           "Each run is a process of its own on the first CPUs, as many as threads; their order rotates from round to round. Ratios are of the times "
           "of one round; their intervals are of at least 95% by the order of the rounds (none under 6).\n")
    yield (f"Right first: costs are held against NumPy's in f64 ({REFERENCE.name}), in f64 within {agree.TOLERANCE['f64']:g} at each hundredth step, in f32 "
           f"within {agree.TOLERANCE['f32']:g} over {agree.FIRST} steps; then as many training pictures right, within {agree.PICTURES}.\n")


def versions(document):
    found = {}
    for cell in document["cells"]:
        for entry in cell["contestants"]:
            found |= {name: version for name, version in entry["facts"].items() if name not in ("blas", "threads_read_back")}
    return dict(sorted(found.items()))


def cell_document(cell, entries, baseline_name):
    baseline = next(entry for entry in entries if entry.contestant.name == baseline_name)
    return {"model": cell.model, "scalar": cell.scalar, "threads": cell.threads, "contestants": [
        {"name": entry.contestant.name, "coretype": entry.contestant.coretype or None, "out": entry.out or None, "seconds": entry.seconds, "busy": entry.busy,
         "largest_cost_error": None if entry.out else entry.error, "facts": entry.facts, "figures": figures(entry, baseline)} for entry in entries]}


def start_document(args, facts, date, revision, baseline):
    """Paths are left out: a table is for others."""
    kept = ("ours", "packages", "only", "model", "scalar", "threads", "steps", "warm_steps", "rounds")
    return {"format": 1, "date": date, "revision": revision, "machine": facts, "removed_variables": environment.removed(), "baseline": baseline,
            "options": {name: getattr(args, name) for name in kept}, "references": {}, "kernel_trials": {}, "computes": {}, "cells": []}


def write(document, file):
    """Whole or not at all: a run that is stopped leaves the tables before it."""
    beside = file.with_name(file.name + ".part")
    beside.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    os.replace(beside, file)
