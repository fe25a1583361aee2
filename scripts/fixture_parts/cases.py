"""The cases: what is drawn, from which seed, for which function; and the checks that they mean something.

Knows no file: make_fixtures.py makes documents of them.
"""

import re

import numpy as np

from .notebook import FUNCTIONS, linear_forward, relu, sigmoid, train
from .printed import PRINTED

COURSE = "inputs: testCases_v2 (LSayhi/DeepLearning @ bd317ee)"
OWN = "layerbench, scripts/make_fixtures.py"
KINK_MARGIN = 1e-3  # nearer to Z = 0 another rounding may flip a ReLU and so change everything after it


def stream(seed, shapes):
    """One freshly seeded legacy generator and what is drawn from it, in order."""
    return {"seed": seed, "draws": [{"into": k, "kind": "randn", "shape": list(s)} for k, s in shapes.items()]}


def draw(*streams):
    drawn = {}
    for one in streams:
        random = np.random.RandomState(one["seed"])
        drawn |= {d["into"]: random.randn(*d["shape"]) for d in one["draws"]}
    return drawn


def normal(scale):
    return {"kind": "normal", "scale": scale}


def init_stream(layer_dims, seed):
    return stream(seed, {f"W{l}": (n, p) for l, (p, n) in enumerate(zip(layer_dims, layer_dims[1:]), start=1)})


def parameter_shapes(layer_dims, prefix=""):
    return {f"{prefix}{v}{l}": (n, p if v == "W" else 1)
            for l, (p, n) in enumerate(zip(layer_dims, layer_dims[1:]), start=1) for v in "Wb"}


def plain(value, signed_zero=True):
    """The value as JSON knows it."""
    if isinstance(value, dict):
        return {k: plain(v, signed_zero) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v, signed_zero) for v in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return (value if signed_zero else value + 0).tolist()  # -0.0 + 0 is 0.0
    return value


def case(name, function, source, inputs, rng=(), **more):
    naming = {k: v for k, v in more.items() if k == "gradient_names"}
    # The sign of an expected zero is dropped: it varies with the BLAS.
    expected = plain(FUNCTIONS[function](**inputs, **naming), signed_zero=False)
    if name in PRINTED:
        cell, texts = PRINTED[name]
        more["printed"] = {"cell": cell, "output": {k: text for k, (text, _) in texts.items()},
                           "expected_output": {k: text for k, (_, text) in texts.items()}}
    return {"name": name, "function": function, "source": source, "rng": list(rng), "inputs": plain(inputs),
            "expected": expected, **more}


def drawn_case(name, function, source, seed, shapes, notes=None, **literal_inputs):
    """A case whose matrices all come from one generator."""
    rng = stream(seed, shapes)
    return case(name, function, source, draw(rng) | literal_inputs, [rng], **({"notes": notes} if notes else {}))


def model_case(name, function, source, data, layer_dims, seed, init, rate, iterations, Y=None, notes=None):
    """A training case; `data` draws X (and Y, unless given)."""
    inputs = draw(data) | ({} if Y is None else {"Y": np.array([Y])})
    inputs |= {"learning_rate": rate, "num_iterations": iterations, "seed": seed, "init": init, "layer_dims": layer_dims}
    rng = [data] + ([init_stream(layer_dims, seed)] if init["kind"] == "normal" else [])
    return case(name, function, source, inputs, rng, **({"notes": notes} if notes else {}))


def notebook_cases():
    """The notebook's own cells, and two short trainings of the follow-up exercise."""
    cell = lambda number, course=True: f"notebook, In [{number}]" + ("; " + COURSE if course else "")
    layer = {"A_prev": (3, 2), "W": (1, 3), "b": (1, 1)}
    own_z = "Z is drawn on its own; it is not W A_prev + b, so it must be taken from the cache"

    def initialized(name, number, layer_dims, seed):
        inputs = {"layer_dims": layer_dims, "seed": seed, "init": normal(0.01)}
        return case(name, name, cell(number, course=False), inputs, [init_stream(layer_dims, seed)])

    yield initialized("initialize_parameters", 3, [2, 2, 1], 1)
    yield initialized("initialize_parameters_deep", 13, [5, 4, 3], 3)
    yield drawn_case("linear_forward", "linear_forward", cell(15), 1, {"A": (3, 2), "W": (1, 3), "b": (1, 1)})
    for activation in "sigmoid", "relu":
        yield drawn_case("linear_activation_forward_" + activation, "linear_activation_forward", cell(17), 2, layer,
                         activation=activation)

    rng = stream(1, {"X": (4, 2)} | parameter_shapes([4, 3, 1]))
    drawn = draw(rng)
    yield case("L_model_forward", "L_model_forward", cell(29), {"X": drawn.pop("X"), "parameters": drawn}, [rng])
    yield case("compute_cost", "compute_cost", cell(33),
               {"Y": np.array([[1, 1, 1]]), "AL": np.array([[0.8, 0.9, 0.4]])})

    yield drawn_case("linear_backward", "linear_backward", cell(35), 1, {"dZ": (1, 2)} | layer)
    for activation in "sigmoid", "relu":
        yield drawn_case("linear_activation_backward_" + activation, "linear_activation_backward", cell(40), 2,
                         {"dA": (1, 2)} | layer | {"Z": (1, 2)}, own_z, activation=activation)

    caches = [{"A_prev": (4, 2), "W": (3, 4), "b": (3, 1), "Z": (3, 2)}, layer | {"Z": (1, 2)}]
    rng = stream(3, {"AL": (1, 2)} | {f"caches[{i}].{k}": s for i, c in enumerate(caches) for k, s in c.items()})
    drawn = draw(rng)
    caches = [{k: drawn[f"caches[{i}].{k}"] for k in c} for i, c in enumerate(caches)]
    yield case("L_model_backward", "L_model_backward", cell(52),
               {"AL": drawn["AL"], "Y": np.array([[1, 0]]), "caches": caches}, [rng],
               notes="AL[0][0] > 1 and the caches do not belong together: dZ at the top must come from dAL and the "
                     "cached Z, the shortcut dZ = AL - Y gives other numbers", gradient_names="notebook")

    rng = [stream(2, parameter_shapes([4, 3, 1])), stream(3, parameter_shapes([4, 3, 1], prefix="d"))]
    inputs = {"parameters": draw(rng[0]), "grads": draw(rng[1]), "learning_rate": 0.1}
    yield case("update_parameters", "update_parameters", cell(62), inputs, rng)

    yield model_case("two_layer_model_0", "two_layer_model", "course, later test cases",
                     stream(1, {"X": (10, 10), "Y": (1, 10)}), [10, 4, 1], 1, normal(0.01), 0.0075, 2,
                     notes="Y is not 0/1 here (drawn from randn): the cost is just the formula")
    yield model_case("L_layer_model_0", "L_layer_model", "course, later test cases", stream(1, {"X": (10, 10)}),
                     [10, 5, 6, 1], 1, normal("1/sqrt(n_prev)"), 0.0075, 2, Y=[1, 1, 1, 1, 0, 0, 0, 1, 1, 0])


def extra_cases():
    """What the notebook's cases let pass. Each note says which mistake the case is for."""
    own = lambda name, function, inputs, rng=(), **more: case(name, function, OWN, inputs, rng, **more)
    zeros = [0.0, -0.0]

    # 80 and not 100: the smaller exponential is still a normal f32.
    Z = np.array([zeros + [1.0, -1.0, 4.5, -4.5, 20.0], [-20.0, 80.0, -80.0, 800.0, -800.0, 0.5, -0.5]])
    yield own("sigmoid", "sigmoid", {"Z": Z}, notes="exp overflows at 800: the answers are 1 and 0, never NaN")
    yield drawn_case("sigmoid_backward", "sigmoid_backward", OWN, 11, {"dA": (2, 7)},
                     "slope 1/4 at 0, none at 800; s (1 - s) cancels at 20: compare within a few u abs(dA)", Z=Z)
    Z = np.array([zeros + [1e-30, -1e-30, 2.0], [-3.0, 0.0, 0.5, -0.0, 1.5]])
    yield own("relu", "relu", {"Z": Z}, notes="zeros of both signs, and the nearest neighbours of zero")
    at_zero = "the gradient is 0 at Z = 0 and at Z = -0, and dZ there is 0 whatever dA is"
    yield drawn_case("relu_backward", "relu_backward", OWN, 12, {"dA": (2, 5)}, at_zero, Z=Z)
    yield drawn_case("linear_activation_backward_relu_at_zero", "linear_activation_backward", OWN, 13,
                     {"dA": (2, 5), "A_prev": (3, 5), "W": (2, 3), "b": (2, 1)}, at_zero, Z=Z, activation="relu")

    for shape, n, n_prev, m, notes in [
            ("odd", 5, 17, 9, "no size divides a vector register; m = 9 makes 1/m inexact"),
            ("square", 3, 3, 3, "n = n_prev = m: no shape gives a wrong transpose or a sum over the wrong axis away"),
            ("one_example", 4, 6, 1, "m = 1: matrices degenerate to columns")]:
        yield drawn_case(f"linear_forward_{shape}", "linear_forward", OWN, 14,
                         {"A": (n_prev, m), "W": (n, n_prev), "b": (n, 1)}, notes)
        yield drawn_case(f"linear_backward_{shape}", "linear_backward", OWN, 15,
                         {"dZ": (n, m), "A_prev": (n_prev, m), "W": (n, n_prev), "b": (n, 1)}, notes)

    yield own("compute_cost_both_labels", "compute_cost",
              {"Y": np.array([[1, 0, 0, 1, 0]]), "AL": np.array([[0.8, 0.9, 0.4, 1e-6, 1e-9]])},
              notes="the notebook's labels are all 1, which leaves the term of label 0 untested")

    for init in normal(0.01), normal("1/sqrt(n_prev)"), normal("sqrt(2/n_prev)"), {"kind": "zeros"}:
        label = re.sub(r"\W+", "_", str(init.get("scale", "zeros"))).strip("_")
        inputs = {"layer_dims": [3, 3, 2, 1], "seed": 16, "init": init}
        drawn = "scale" in init
        yield own(f"initialize_parameters_deep_{label}", "initialize_parameters_deep", inputs,
                  [init_stream([3, 3, 2, 1], 16)] if drawn else [],
                  notes="W1 takes 9 draws, so W2 starts with the kept half of a pair" if drawn else "nothing is drawn")

    for label, layer_dims, seed, names in ("one_layer", [6, 1], 17, "notebook"), (
            "three_layers", [5, 4, 3, 1], 48, "mathematical"):
        rng = stream(seed, {"X": (layer_dims[0], 7)} | parameter_shapes(layer_dims))
        drawn = draw(rng)
        inputs = {"X": drawn.pop("X"), "parameters": drawn}
        yield own(f"L_model_forward_{label}", "L_model_forward", inputs, [rng],
                  notes="more or fewer layers than the notebook's two")
        yield own(f"L_model_backward_{label}", "L_model_backward",
                  {**rounded_state(**inputs), "Y": np.array([[1, 0, 1, 1, 0, 0, 1]])}, [rng], gradient_names=names,
                  notes="a network's own state, computed from the drawn X, W and b with Z and AL rounded to 6 decimals")
        yield own(f"predict_{label}", "predict", inputs, [rng], notes="no probability is near 1/2")
    yield own("predict_tie", "predict", {"X": np.array([[1.0, 2.0, 1.0], [1.0, 1.0, 2.0]]),
                                         "parameters": {"W1": np.array([[1.0, -1.0]]), "b1": np.array([[0.0]])}},
              notes="the first probability is exactly 1/2, and the course asks for more than 1/2: the answer is 0")

    Y = [1, 0, 1, 1, 0, 0, 1]
    yield model_case("L_layer_model_he", "L_layer_model", OWN, stream(19, {"X": (6, 7)}), [6, 5, 4, 1], 20,
                     normal("sqrt(2/n_prev)"), 0.1, 3, Y, "the third scale; 0/1 labels; an odd batch")
    yield model_case("L_layer_model_zeros", "L_layer_model", OWN, stream(21, {"X": (6, 7)}), [6, 1], 0,
                     {"kind": "zeros"}, 0.1, 3, Y, "one layer, so it learns from zeros: logistic regression")


def rounded_state(X, parameters):
    """AL and caches of a forward pass, rounded on the way so that these *inputs* are the same on any BLAS."""
    A, caches = X, []
    for l in range(1, len(parameters) // 2 + 1):
        W, b = parameters[f"W{l}"], parameters[f"b{l}"]
        Z = np.round(linear_forward(A, W, b)["Z"], 6)
        caches.append({"A_prev": A, "W": W, "b": b, "Z": Z})
        A = relu(Z)["A"]
    return {"AL": np.round(sigmoid(Z)["A"], 6), "caches": caches}


def assert_well_posed(record):
    """No extra case may hang on the last bit of a Z or of a probability."""
    arrays = {k: np.array(v) if k in "XY" else v for k, v in record["inputs"].items()}
    if record["function"] == "L_layer_model":
        states = [caches for _, caches, _ in train(**arrays)]
    else:
        states = [arrays["caches"]] if record["function"] == "L_model_backward" else []
    hidden = [np.abs(cache["Z"]).min() for caches in states for cache in caches[:-1]]
    assert min(hidden, default=1) > KINK_MARGIN, (record["name"], min(hidden))
    if record["function"] == "predict":
        distance = np.abs(np.array(record["expected"]["probabilities"]) - 0.5)
        assert ((distance > KINK_MARGIN) | (distance == 0)).all(), record["name"]
        assert len(np.unique(record["expected"]["predictions"])) == 2, record["name"]


def assert_agrees_with_print(record):
    """Every printed number is the recomputed one, rounded; returns how many (in the outputs, in the tables)."""
    counts = []
    for texts in record["printed"]["output"], record["printed"]["expected_output"]:
        counts.append(0)
        for name, text in texts.items():
            numbers = re.findall(r"-?\d+\.?\d*", text)
            values = np.ravel(record["expected"]["caches_len" if name.startswith("Length") else name])
            assert len(numbers) == len(values), (record["name"], name)
            for printed, value in zip(numbers, values):
                decimals = max(8, len(printed.partition(".")[2]))  # NumPy cuts trailing zeros off
                error = abs(float(printed) - value)
                # One spacing more: the table's cost is one unit in the last place off.
                assert error <= 0.5 * 10.0**-decimals + np.spacing(abs(value)), (record["name"], name, printed)
            counts[-1] += len(numbers)
    return counts
