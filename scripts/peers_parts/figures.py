"""Medians, spreads and paired ratios. No distribution of times is assumed: intervals come from the order of the rounds."""

from math import comb
from statistics import median, quantiles

__all__ = ["interval", "interquartile", "median", "ratios"]


def interquartile(values):
    """Width of the middle half; None for one value."""
    if len(values) < 2:
        return None
    low, _, high = quantiles(values, n=4, method="inclusive")
    return high - low


def interval(values, level=0.95):
    """Lowest and highest of an interval of the median that holds it with `level` at least; None under 6 values, where there is none.

    The k-th lowest and k-th highest of n miss the median with probability 2 P(Binomial(n, 1/2) < k).
    """
    ordered, n = sorted(values), len(values)
    k = max((k for k in range(1, n // 2 + 1) if 2 * sum(comb(n, i) for i in range(k)) <= (1 - level) * 2**n), default=0)
    return (ordered[k - 1], ordered[n - k]) if k else None


def ratios(times, baseline):
    """Times to the baseline's of the same round; a round that one of them lacks is left out."""
    return [mine / theirs for mine, theirs in zip(times, baseline) if mine is not None and theirs is not None]
