"""layerbench as a contestant: its own command line, with the clock that it reports (`run_seconds`).

That clock covers planning, binding X, all steps and handing out the parameters. It has no warm-up inside the process that is
timed: a short run before it only brings program and pictures into the file cache.
"""

import csv
import json

from . import child, course, environment


def command(program, contestant, model, scalar, threads, steps, files, costs):
    backend, _, first_layer = contestant.way.partition("+")
    way = ["--first-layer", first_layer] if first_layer else []
    return [program, "train", "--backend", backend, *way, "--model", model, "--train", files["train"], "--test", files["test"], "--scalar", scalar,
            "--threads", threads, "--iterations", steps, "--costs", costs, "--format", "json"]


def run(program, contestant, cell, steps, files, folder, limit):
    costs = folder / "costs.csv"
    costs.unlink(missing_ok=True)
    line = command(program, contestant, cell.model, cell.scalar, cell.threads, steps, files, costs)
    said = child.run(line, cell.threads, environment.for_child(cell.threads), limit)
    try:
        summary = json.loads(said)
    except json.JSONDecodeError:
        raise child.Failed("standard output is not JSON") from None
    if summary.get("end") != "finished":
        raise child.Failed(f"the run ended as {summary.get('end')}")
    if not isinstance(summary.get("run_seconds"), (int, float)):
        raise course.Refused("layerbench's JSON has no `run_seconds`, the time of the whole run: this build is too old to be compared (--layerbench "
                             "names another)")
    with open(costs, newline="", encoding="utf-8") as lines:
        read = [float(row["cost"]) for row in csv.DictReader(lines)]
    return {"seconds": summary["run_seconds"], "busy": None, "costs": read, "correct": summary["train"]["correct"],
            "facts": {"layerbench": str(summary.get("program")), "blas": str(summary.get("engine"))}}
