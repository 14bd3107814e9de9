"""What queueing theory says before anything is simulated: exact where it is exact, and bounds where it is not.

One closed system: *N* threads each think for a while and then need one or more stations, one of which (the lock) they
may have to queue for.  With one station this is the machine repairman.  Times are in any one unit, throughput in
passages per that unit.  Sums are exact, so that every Python rounds alike (since 3.12 ``sum`` is nearly so).

Sources: exact MVA is Reiser and Lavenberg, J. ACM 27 (1980), 313-322; the asymptotic bounds are Denning and Buzen,
ACM Computing Surveys 10 (1978), 225-261; the Universal Scalability Law is Gunther, *Guerrilla Capacity Planning*
(Springer 2007), chapter 4.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import fsum, inf, sqrt

from sim.errors import BadParameter


@dataclass(frozen=True)
class Mva:
    """What exact mean value analysis says of *threads* threads.

    Attributes:
        throughput: passages per unit of time, of all threads together.
        response: how long a passage takes without thinking: waiting and service.
        queues: for each station how many threads are there on average, in service or waiting.
        utilisation: for each station the share of time in which it is busy.
    """

    threads: int
    throughput: float
    response: float
    queues: tuple[float, ...]
    utilisation: tuple[float, ...]


def mva(threads: int, demands: Sequence[float], think: float = 0.0) -> Mva:
    """Exact mean value analysis of *threads* threads, stations with these *demands*, and a *think* time.

    Exact for exponential service times with queues served in order of arrival, whatever the distribution of thinking.

    Raises:
        BadParameter: if there is no thread, or a time is negative, or all are zero.
    """
    _check(threads, demands, think)
    queues = [0.0] * len(demands)
    throughput = response = 0.0
    for number in range(1, threads + 1):
        residence = [demand * (1 + queue) for demand, queue in zip(demands, queues, strict=True)]
        response = fsum(residence)
        throughput = number / (think + response)
        queues = [throughput * it for it in residence]
    return Mva(threads, throughput, response, tuple(queues), tuple(throughput * it for it in demands))


def deterministic(threads: int, hold: float, think: float) -> float:
    """Throughput if every hold and every think time is the same: min(N/(Z+S), 1/S), exact once the start is over."""
    _check(threads, (hold,), think)
    return min(threads / (think + hold), 1 / hold if hold else inf)


@dataclass(frozen=True)
class Bounds:
    """Between what throughput must lie, whatever the distributions and the order of service."""

    lower: float
    upper: float


def bounds(threads: int, demands: Sequence[float], think: float = 0.0) -> Bounds:
    """Asymptotic bounds of throughput: at best nobody ever queues or one station is always busy, at worst all queue."""
    _check(threads, demands, think)
    total, most = fsum(demands), max(demands)
    upper = min(threads / (think + total), 1 / most if most else inf)
    return Bounds(threads / (think + threads * total), upper)


def knee(demands: Sequence[float], think: float = 0.0) -> float:
    """How many threads saturate the slowest station: where the two asymptotes cross, N* = (Z + D) / Dmax."""
    _check(1, demands, think)
    return (think + fsum(demands)) / max(demands) if max(demands) else inf


def _check(threads: int, demands: Sequence[float], think: float) -> None:
    if threads < 1:
        raise BadParameter(f"{threads} threads are not allowed: at least 1")
    if not demands or min(demands) < 0 or think < 0 or not sum(demands) + think > 0:
        raise BadParameter(f"demands {tuple(demands)} and think time {think} are not allowed: 0 or more, not all 0")


# --- the Universal Scalability Law -----------------------------------------------------------------------


@dataclass(frozen=True)
class Usl:
    """Gunther's law: X(N) = rate N / (1 + contention (N - 1) + coherence N (N - 1)).

    A curve through measurements, not a theory of the lock: it describes and does not explain.

    Attributes:
        rate: throughput of one thread.
        contention: the serial share (sigma), 0 or more.
        coherence: what each pair of threads costs (kappa), 0 or more.
        error: root of the mean squared relative error of the fit.
    """

    rate: float
    contention: float
    coherence: float
    error: float

    def throughput(self, threads: float) -> float:
        """What the law says for *threads* threads."""
        return _law((self.rate, self.contention, self.coherence), threads)

    @property
    def peak(self) -> float:
        """The number of threads beyond which more of them are slower; infinite without coherence cost."""
        return sqrt(max(0.0, 1 - self.contention) / self.coherence) if self.coherence else inf


def usl(points: Iterable[tuple[float, float]]) -> Usl:
    """Fit Gunther's law to (threads, throughput) pairs by least squares of the relative error.

    N/X is linear in the three unknowns; where the best fit would make one of them negative it is the best of the fits
    without it.

    Raises:
        BadParameter: with fewer than three numbers of threads, or a throughput that is not positive.
    """
    data = sorted(points)
    if len({threads for threads, _ in data}) < 3 or min(x for _, x in data) <= 0:
        raise BadParameter("the scalability law needs positive throughputs for at least three numbers of threads")
    rows = [((1.0, n - 1, n * (n - 1)), n / x) for n, x in data]
    weighted = [(tuple(it / y for it in terms), 1.0) for terms, y in rows]
    best: Usl | None = None
    for used in [it for size in (3, 2, 1) for it in combinations(range(3), size) if 0 in it]:
        found = _least_squares([tuple(terms[at] for at in used) for terms, _ in weighted])
        if found is None or min(found) < 0 or not found[0] > 0:
            continue
        parts = [0.0, 0.0, 0.0]
        for at, value in zip(used, found, strict=True):
            parts[at] = value
        law = (1 / parts[0], parts[1] / parts[0], parts[2] / parts[0])
        error = sqrt(fsum((_law(law, n) / x - 1) ** 2 for n, x in data) / len(data))
        if best is None or error < best.error:
            best = Usl(*law, error)
    assert best is not None  # with the rate alone there always is a fit
    return best


def _law(law: tuple[float, float, float], n: float) -> float:
    rate, contention, coherence = law
    return rate * n / (1 + contention * (n - 1) + coherence * n * (n - 1))


def _least_squares(rows: list[tuple[float, ...]]) -> list[float] | None:
    """The x for which every row times x is nearest to 1; None if there is no such one."""
    size = len(rows[0])
    matrix = [[fsum(row[i] * row[j] for row in rows) for j in range(size)] + [fsum(row[i] for row in rows)]
              for i in range(size)]  # fmt: skip
    for i in range(size):
        pivot = max(range(i, size), key=lambda at: abs(matrix[at][i]))
        matrix[i], matrix[pivot] = matrix[pivot], matrix[i]
        if abs(matrix[i][i]) < 1e-15:
            return None
        for at in range(size):
            if at != i:
                factor = matrix[at][i] / matrix[i][i]
                matrix[at] = [a - factor * b for a, b in zip(matrix[at], matrix[i], strict=True)]
    return [matrix[i][size] / matrix[i][i] for i in range(size)]
