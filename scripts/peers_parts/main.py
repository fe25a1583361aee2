"""The order of things: options, pictures, the reference, then cell by cell the kernels' trial, checks, rounds, table."""

import datetime
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from . import agree, child, course, environment, kernels, machine, options, products, report, rounds
from .contestants import KERNEL_MATTERS, REFERENCE
from .course import Refused
from .rounds import Cell, Runner


def main():
    child.INTERRUPTS.install()
    try:
        args = options.parse()
        with tempfile.TemporaryDirectory(prefix="layerbench-peers-") as folder:
            return (products.run if args.products else compare)(args, Path(folder), say)
    except Refused as refusal:
        say(f"peers: {refusal}")
        return 2
    except BrokenPipeError:
        sys.stderr.write("peers: nobody reads standard output\n")
        return 2
    except KeyboardInterrupt:
        say("peers: interrupted; the tables so far hold, and so does --output")
        return 130


def say(text):
    print(text, file=sys.stderr, flush=True)


def show(lines):
    for line in lines:
        print(line, flush=True)


def compare(args, folder, say):
    files = course.picture_files()
    entered, baseline = options.contestants(args)
    facts = machine.facts()
    if facts["load_at_start"] > 0.5:
        say(f"warning: the load of this machine is {facts['load_at_start']}: times of a machine that others use mean little")
    document = report.start_document(args, facts, datetime.date.today().isoformat(), revision(), baseline)
    prepare(files["train"], folder)
    runner = Runner(args.layerbench.resolve(), files, folder, args.warm_steps, args.timeout)
    expect_run_seconds(runner, entered, args)
    references = {model: reference(runner, model, args.steps) for model in args.model}
    document["references"] = {model: {"contestant": REFERENCE.name, "correct": result["correct"], "last_cost": float(result["costs"][-1])}
                              for model, result in references.items()}

    worst = 0
    for cell in [Cell(model, scalar, threads) for model in args.model for scalar in args.scalar for threads in args.threads]:
        contestants = entered + forced(runner, cell, entered, document)
        document["computes"] |= {contestant.name: contestant.computes for contestant in contestants}
        entries = rounds.run(runner, cell, contestants, references[cell.model], args.steps, args.rounds, say)
        show(report.table(cell, entries, baseline, args.steps))
        document["cells"].append(report.cell_document(cell, entries, baseline))
        if args.output:
            report.write(document, args.output)
        # A wrong result outranks one that could not be had.
        outs = [entry.out for entry in entries if entry.out]
        worst = 1 if worst == 1 or any(out.startswith("disagrees") for out in outs) else 2 if outs or worst else 0
    show(report.footnotes(document))
    return worst


def prepare(train_file, folder):
    try:
        child.run([sys.executable, "-m", "peers_parts.prepare", train_file, folder], 1, environment.for_child(1), 120)
    except child.Failed as failure:
        raise Refused(f"the pictures could not be prepared: {failure}") from None


def expect_run_seconds(runner, entered, args):
    """A layerbench that is too old is refused now, not after an hour. Whatever else is wrong with it becomes a row."""
    cell = Cell(args.model[0], args.scalar[0], args.threads[0])
    for contestant in entered:
        if contestant.module == "ours":
            try:
                runner.start(contestant, cell, args.warm_steps, warm=False)
            except child.Failed:
                pass


def reference(runner, model, steps):
    """NumPy's costs in f64 on one thread, held against the committed curve as far as that goes."""
    say(f"{model}: the reference, {REFERENCE.name} in f64, and whether it is the known curve")
    try:
        result = runner.start(REFERENCE, Cell(model, "f64", 1), steps)
    except child.Failed as failure:
        raise Refused(f"the reference {REFERENCE.name} failed: {failure}") from None
    known = json.loads(course.KNOWN_COSTS.read_text(encoding="utf-8"))[model]["costs"]
    wrong = agree.first_wrong(result["costs"], known, range(min(steps, len(known))), agree.KNOWN)
    if wrong:
        raise Refused(f"the reference is not the curve of fixtures/cat_costs.json ({wrong}): are these the course's pictures?")
    return result


def forced(runner, cell, entered, document):
    """Rows with the best kernel of OpenBLAS, where it is not the library's own choice."""
    affected = [contestant for contestant in entered if contestant.name in KERNEL_MATTERS]
    if not affected:
        return []
    say(f"{cell}: trying the kernels of OpenBLAS")
    chosen, table = kernels.trial(lambda contestant, steps: runner.start(contestant, cell, steps), say)
    document["kernel_trials"][str(cell)] = {"chosen": chosen or None, "table": table}
    return [contestant.forced(chosen) for contestant in affected] if chosen else []


def revision():
    """Of this tree, which need not be what --layerbench was built from."""
    try:
        command = ["git", "-C", course.ROOT, "describe", "--always", "--dirty=-changed", "--abbrev=12", "--exclude=*"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
