"""Whether a contestant computed what the others did: its costs, and what its final parameters get right. A NaN never passes.

    f64: every cost that is looked at (the first 20, then each hundredth, and the last) within 1e-6 relative. Different
         orders of summation differ by about 1e-11 after 2,500 steps: what passes is the same computation.
    f32: 1e-4 for the first 20 steps. After that ReLU kinks take right runs apart.
    both: of the training pictures one more or one less right than the reference, at most.
"""

TOLERANCE = {"f64": 1e-6, "f32": 1e-4}
FIRST = 20
PICTURES = 1
KNOWN = 1e-9  # the reference against the committed curve of NumPy


def looked_at(steps, scalar):
    if scalar == "f32":
        return range(min(FIRST, steps))
    return sorted({*range(min(FIRST, steps)), *range(0, steps, 100), steps - 1})


def disagreement(result, reference, steps, scalar):
    """None, or what is wrong."""
    if len(result["costs"]) != steps:
        return f"{len(result['costs'])} costs for {steps} steps"
    wrong = first_wrong(result["costs"], reference["costs"], looked_at(steps, scalar), TOLERANCE[scalar])
    if wrong:
        return wrong
    if not abs(result["correct"] - reference["correct"]) <= PICTURES:
        return f"{result['correct']} training pictures right after {steps} steps, the reference {reference['correct']}"
    return None


def first_wrong(costs, expected, places, tolerance):
    for i in places:
        error = abs(float(costs[i]) - float(expected[i])) / abs(float(expected[i]))
        if not error <= tolerance:
            return f"cost {float(costs[i]):.12g} before step {i}, the reference {float(expected[i]):.12g}: {error:.1e} relative, allowed {tolerance:g}"
    return None


def largest_error(result, reference, steps, scalar):
    pairs = ((float(result["costs"][i]), float(reference["costs"][i])) for i in looked_at(steps, scalar))
    return max(abs(mine - theirs) / abs(theirs) for mine, theirs in pairs)
