#!/usr/bin/env python3
"""Makes every file of fixtures/ in NumPy from seeds, shapes, labels and the course's formulas.

Deliberately does not: share code with the Rust side, or read expected numbers from anywhere to make them. It is a
second opinion. Picture data is read for the cat curves and written nowhere.

    scripts/make_fixtures.py [--cat-dir DIR]            make all files (the cat curves only with DIR)
    scripts/make_fixtures.py --check [--cat-dir DIR]    make them in memory, compare with the committed ones
    scripts/make_fixtures.py --compare DIR              compare the committed ones with same-named files in DIR

DIR may also come from LAYERBENCH_CAT_DIR; it holds {train,test}_catvnoncat.h5. Exit: 0 equal, 1 different, 2 usage.
Packages and their versions: scripts/requirements.txt. The curves take about a minute, the rest no time.
"""

import argparse
import hashlib
import json
import os
import platform
import sys
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy loads it: another thread count rounds otherwise
sys.dont_write_bytecode = True
import numpy as np

from fixture_parts.cases import assert_agrees_with_print, assert_well_posed, extra_cases, notebook_cases, plain
from fixture_parts.comparing import Tally, content, report, walk
from fixture_parts.notebook import initialize_parameters, predict, train

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
COMMAND = "scripts/make_fixtures.py"


def notebook_document():
    cases = list(notebook_cases())
    outputs, tables = np.sum([assert_agrees_with_print(c) for c in cases if "printed" in c], axis=0).tolist()
    return {"format": 1, "made_by": COMMAND,
            "printed": "the notebook prints arrays with 8 decimals (trailing zeros cut) and the cost with 12 "
                       "significant digits (NumPy before 1.14); compare -0. as 0.",
            "verified": {"numbers_in_cell_outputs": [outputs, 130], "numbers_in_expected_tables": [tables, 130]},
            "cases": cases}


def extra_document():
    cases = list(extra_cases())
    assert len({record["name"] for record in cases}) == len(cases), "two cases of one name"
    for record in cases:
        assert_well_posed(record)
    return {"format": 1, "made_by": COMMAND, "cases": cases}


def rng_document():
    """The legacy generator and the initial weights that come out of it."""
    seeds = {}
    for seed in 0, 1, 2, 3, 6:
        fresh = lambda: np.random.RandomState(seed)
        normals = fresh().randn(100_000)
        seeds[str(seed)] = {"raw_u32": fresh().randint(2**32, size=8, dtype=np.uint32), "rand": fresh().rand(8),
                            "randn_first": normals[:16],
                            "randn_at": {str(i): normals[i] for i in (999, 9_999, 86_015, 86_022, 99_999)}}
    weights = {}
    for name, layer_dims, seed, scale, label in [
            ("two_layer_cat_model", [12288, 7, 1], 1, 0.01, "randn*0.01"),
            ("L_layer_cat_model", [12288, 20, 7, 5, 1], 1, "1/sqrt(n_prev)", "randn/sqrt(n_prev)"),
            ("deep_of_the_seed_on_cat_dims", [12288, 20, 7, 5, 1], 3, 0.01, "randn*0.01")]:
        weights[name] = {"layer_dims": layer_dims, "seed": seed, "scale": label}
        for key, W in initialize_parameters(layer_dims, seed, {"kind": "normal", "scale": scale}).items():
            if key.startswith("W"):
                weights[name][key] = {"shape": W.shape, "sum": W.sum(), "sum_of_squares": (W * W).sum(),
                                      "first": W.ravel()[:4], "last": W.ravel()[-4:]}
    return plain({
        "what": "numpy.random legacy generator: MT19937 seeded by init_genrand(seed); random_sample takes the top 27 "
                "and 26 bits of two outputs; randn is the polar method (Marsaglia), the second value of a pair is "
                "kept and comes next, and seeding drops it",
        "seeds": seeds, "initial_weights": weights,
        "permutation_seed0_10": np.random.RandomState(0).permutation(10)})


CAT_FILES = {  # name: sha256
    "train": "fbe56ab67c3ae28d564e3a644189117976d6b31af0a3ce9bb17dbf22908af242",
    "test": "6a9d39ce52fa85953c5834695b8534a30ed8cfd54971fb2f080b5a24d002b951",
}


def usage_error(text):
    print("error: " + text, file=sys.stderr)
    sys.exit(2)


def load_cats(directory, part):
    """X (12288, m) in 0..1, one picture a column, and Y (1, m)."""
    import h5py

    path = Path(directory) / f"{part}_catvnoncat.h5"
    if not path.exists():
        usage_error(f"no {path.name} in the directory given")
    if hashlib.sha256(path.read_bytes()).hexdigest() != CAT_FILES[part]:
        usage_error(f"{path.name} is not the file these curves belong to: its sha256 differs")
    with h5py.File(path) as file:
        pixels, labels = file[f"{part}_set_x"][:], file[f"{part}_set_y"][:]
    return pixels.reshape(len(pixels), -1).T / 255, labels.reshape(1, -1)


def cat_document(directory):
    sets = {part: load_cats(directory, part) for part in CAT_FILES}
    document = {"what": "costs[i]: cost before the update of iteration i; full batch, float64, X = pixels/255; made "
                        "the notebook's way, dAL through sigmoid_backward (not dZ = A - Y)"}
    for name, layer_dims, scale in [("two-layer", [12288, 7, 1], 0.01),
                                    ("l-layer", [12288, 20, 7, 5, 1], "1/sqrt(n_prev)")]:
        setup = {"layer_dims": layer_dims, "seed": 1, "init": {"kind": "normal", "scale": scale}, "learning_rate": 0.0075}
        costs = []
        for cost, _, parameters in train(*sets["train"], **setup, num_iterations=2500):
            costs.append(cost)
        correct = {f"{part}_correct": [int((predict(X, parameters)["predictions"] == Y).sum()), Y.size]
                   for part, (X, Y) in sets.items()}
        document[name] = setup | {"iterations": len(costs), "costs": costs, "after_2500": correct}
    return plain(document)


MAKERS = {  # file: (its document, flags of the command, where it comes from)
    "notebook_cases.json": (notebook_document, "", "the notebook's cells: inputs from the course's seeds and shapes, "
                            "outputs recomputed in float64, printed texts copied"),
    "extra_cases.json": (extra_document, "", "made up for this project to catch what the notebook's cases let pass"),
    "rng_reference.json": (rng_document, "", "numpy.random.RandomState"),
    "cat_costs.json": (cat_document, " --cat-dir DIR", "trained on the course's cat pictures (not included): " +
                       ", ".join(f"{part}_catvnoncat.h5 sha256 {digest}" for part, digest in CAT_FILES.items())),
}


def to_json(value, margin="\n"):
    """JSON with one matrix row a line; long lists of numbers ten a line."""
    flat = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, (dict, list)) or len(flat) <= 100:
        return flat
    inner = margin + " "
    if isinstance(value, dict):
        items = [json.dumps(k) + ": " + to_json(v, inner) for k, v in value.items()]
    elif isinstance(value[0], (dict, list)):
        items = [to_json(v, inner) for v in value]
    elif len(value) <= 20:
        return flat
    else:
        items = [json.dumps(value[i:i + 10])[1:-1] for i in range(0, len(value), 10)]
    left, right = "{}" if isinstance(value, dict) else "[]"
    return left + inner + ("," + inner).join(items) + margin + right


def manifest(made, previous):
    """What each file is. An entry of a file that was not made now stays as it was."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    files = {}
    for name, (_, flags, provenance) in MAKERS.items():
        if name not in made:
            files |= {name: previous[name]} if name in previous else {}
            continue
        files[name] = {"sha256": sha256(FIXTURES / name)} | counts(made[name]) | {
            "command": COMMAND + flags, "provenance": provenance, "numpy": np.__version__,
            "python": platform.python_version(), "blas": f"{blas['name']} {blas['version']}, 1 thread"}
    return {"format": 1, "files": files}


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def counts(document):
    tally = Tally()
    walk(content(document), content(document), (), tally)
    return ({"cases": len(document["cases"])} if "cases" in document else {}) | {"numbers": tally.numbers}


def check(made):
    """Compares what was made with the committed files, and those with the manifest."""
    good = True
    entries = read("manifest.json")["files"]
    for name in MAKERS:
        if name in made:
            good &= report(name, made[name], read(name))
        described = {k: entries.get(name, {}).get(k) for k in ("sha256", "cases", "numbers")}
        if described != {"cases": None, "sha256": sha256(FIXTURES / name)} | counts(read(name)):
            print(f"{name}: the file and its entry in manifest.json DIFFER")
            good = False
    return good


def compare(directory):
    """Compares the committed files with the same-named ones in a directory, as far as those go."""
    if not directory.is_dir():
        usage_error("--compare wants a directory")
    good = True
    for name in MAKERS:
        if not (directory / name).exists():
            print(f"{name}: not in that directory, skipped")
            continue
        made, stored = read(name), read(name, directory)
        if name == "cat_costs.json":  # the other file may give some iterations only, and less about the run
            for model in "two-layer", "l-layer":
                costs = stored[model]["costs"]
                if isinstance(costs, dict):
                    made[model]["costs"] = [made[model]["costs"][int(i)] for i in costs]
                    stored[model]["costs"] = list(costs.values())
                made[model] = {k: made[model][k] for k in stored[model]}
        good &= report(name, made, stored)
    return good


def read(name, directory=FIXTURES):
    if not (directory / name).exists():
        usage_error(f"{name} is missing")
    return json.loads((directory / name).read_text(encoding="utf-8"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cat-dir", default=os.environ.get("LAYERBENCH_CAT_DIR"), metavar="DIR")
    verb = parser.add_mutually_exclusive_group()
    verb.add_argument("--check", action="store_true")
    verb.add_argument("--compare", type=Path, metavar="DIR")
    args = parser.parse_args()
    if args.compare:
        return 0 if compare(args.compare) else 1

    made = {name: make() for name, (make, _, _) in MAKERS.items() if name != "cat_costs.json"}
    if args.cat_dir:
        made["cat_costs.json"] = cat_document(args.cat_dir)
    else:
        print("*** cat_costs.json is NOT made or checked anew: give --cat-dir or LAYERBENCH_CAT_DIR ***", file=sys.stderr)
    if args.check:
        return 0 if check(made) else 1

    for name, document in made.items():
        (FIXTURES / name).write_text(to_json(document) + "\n", encoding="utf-8")
    previous = read("manifest.json")["files"] if (FIXTURES / "manifest.json").exists() else {}
    (FIXTURES / "manifest.json").write_text(to_json(manifest(made, previous)) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
