"""Linear classifiers on pooled features (section 4 of the paper), by scikit-learn.

Whatever scikit-learn makes of the features becomes one weight for each feature and class, and one
intercept for each class: the weights of an inner product.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cam.errors import CamError, InvalidValueError, nearest_names

KINDS = ("svm", "logistic")
"""A linear support vector machine, one class against the others, or logistic regression."""

MAX_ITERATIONS = 20_000
WORTH_PROCESSES = 5e7
"""From how many features, pictures times classes on the folds are learned side by side."""
Features = NDArray[np.float32]


@dataclass(frozen=True)
class ClassifierOptions:
    """How a classifier is learned. Everything here changes its weights.

    Attributes
    ----------
    kind : {"svm", "logistic"}
        The paper's linear support vector machine, or logistic regression, whose softmax gives
        probabilities.
    C : float or None
        How much errors on the training part cost; chosen by cross-validation if None.
    folds : int
        Into how many parts cross-validation divides the training part.
    balanced : bool
        Whether errors cost more in classes of few pictures, so that all classes count the same.
    standardize : bool
        Whether each feature gets mean 0 and variance 1 first.
    seed : int
        What the division into folds and the order of the pictures are drawn from.

    Raises
    ------
    CamError
        If a value is not one of these.
    """

    kind: str = "svm"
    C: float | None = None
    folds: int = 3
    balanced: bool = False
    standardize: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InvalidValueError(
                f"no classifier {self.kind!r}{nearest_names(self.kind, KINDS)}; "
                f"there are {list(KINDS)}"
            )
        if self.C is not None and not 0 < self.C < np.inf:
            raise InvalidValueError(f"C is a positive number, not {self.C}")
        if self.folds < 2:
            raise InvalidValueError(f"{self.folds} folds; at least 2 are needed")
        if not 0 <= self.seed < 2**32:
            raise InvalidValueError(f"a seed is a whole number from 0 on, not {self.seed}")


@dataclass(frozen=True, eq=False)
class LinearClassifier:
    """What was learned: the weights of an inner product behind the pooling.

    Attributes
    ----------
    weights : numpy.ndarray
        float64 (C, K).
    intercepts : numpy.ndarray
        float64 (C,).
    """

    weights: NDArray[np.float64]
    intercepts: NDArray[np.float64]

    def decide(self, features: Features) -> NDArray[np.float64]:
        """Return the decision values of pictures, float64 (N, C), for features (N, K).

        Of two classes, the second has scikit-learn's decision value and the first its negative;
        in logistic regression each has half of it, so that the softmax gives the probabilities.
        """
        values: NDArray[np.float64] = features.astype(np.float64) @ self.weights.T
        return values + self.intercepts


class CrossValidation(NamedTuple):
    """What cross-validation on the training part gave.

    Attributes
    ----------
    C : float
        The value taken.
    accuracies : dict of float to float
        The share of pictures classified right, by the value of C; where classes are balanced, the
        mean over the classes.
    decisions : numpy.ndarray
        float64 (N, C): for each picture the decision values of the classifier that did not see it,
        with the value taken.
    """

    C: float
    accuracies: dict[float, float]
    decisions: NDArray[np.float64]


def train_classifier(
    features: Features, labels: NDArray[np.int64], C: float, options: ClassifierOptions
) -> LinearClassifier:
    """Learn a linear classifier.

    Parameters
    ----------
    features : numpy.ndarray
        float32 (N, K).
    labels : numpy.ndarray
        int64 (N,): the class of each, from 0; each class occurs.
    C : float
        How much errors cost.
    options : ClassifierOptions
        What else it depends on.

    Returns
    -------
    LinearClassifier
        The classifier, any standardisation folded in; the same each time.

    Raises
    ------
    CamError
        If scikit-learn is not installed, or there is one class only.

    References
    ----------
    Zhou et al., 2016, section 4.

    Examples
    --------
    >>> features = np.array([[0, 1], [0, 2], [1, 0], [2, 0]], np.float32)
    >>> labels = np.array([0, 0, 1, 1])
    >>> found = train_classifier(features, labels, 1.0, ClassifierOptions())
    >>> found.decide(features).argmax(axis=1)
    array([0, 0, 1, 1])
    """
    if labels.min() == labels.max():
        raise CamError("one class: a classifier needs two or more")
    numbers = features.astype(np.float64)
    mean, scale = np.zeros(numbers.shape[1]), np.ones(numbers.shape[1])
    if options.standardize:
        mean, scale = numbers.mean(axis=0), numbers.std(axis=0)
        scale[scale == 0] = 1.0
        numbers = (numbers - mean) / scale
    weights, intercepts = _fitted(numbers, labels, C, options)
    weights = weights / scale
    return LinearClassifier(weights, intercepts - weights @ mean)


def _fitted(
    numbers: NDArray[np.float64], labels: NDArray[np.int64], C: float, options: ClassifierOptions
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    from threadpoolctl import threadpool_limits

    sklearn = _import_sklearn()
    shared: dict[str, Any] = {
        "C": C,
        "class_weight": "balanced" if options.balanced else None,
        "max_iter": MAX_ITERATIONS,
        "random_state": options.seed,
    }
    # The dual problem: many times faster at the small C that pooled features need.
    model = (
        sklearn.svm.LinearSVC(dual=True, **shared)
        if options.kind == "svm"
        else sklearn.linear_model.LogisticRegression(**shared)
    )
    # One thread, so that sums are always in the same order.
    with warnings.catch_warnings(), threadpool_limits(1, user_api="blas"):
        warnings.simplefilter("ignore", sklearn.exceptions.ConvergenceWarning)
        model.fit(numbers, labels)
    weights, intercepts = np.asarray(model.coef_), np.asarray(model.intercept_)
    if len(weights) == 1:
        half = 1.0 if options.kind == "svm" else 0.5
        weights = np.concatenate([-half * weights, half * weights])
        intercepts = np.concatenate([-half * intercepts, half * intercepts])
    return weights, intercepts


def cross_validate(
    features: Features, labels: NDArray[np.int64], options: ClassifierOptions
) -> CrossValidation:
    """Choose C on the training part, and classify each of its pictures without having seen it.

    Parameters
    ----------
    features, labels, options
        As for `train_classifier`; a C that is given is the only one tried.

    Returns
    -------
    CrossValidation
        The smallest C of the best accuracy, tried upward by factors of ten until it gets worse.

    Raises
    ------
    CamError
        If a class has one picture only.
    """
    folds = min(options.folds, int(np.bincount(labels).min()))
    if folds < 2:
        raise CamError("a class with one picture cannot be divided for cross-validation")
    best: CrossValidation | None = None
    accuracies: dict[float, float] = {}
    division = _import_sklearn().model_selection.StratifiedKFold(
        folds, shuffle=True, random_state=options.seed
    )
    parts = list(division.split(labels, labels))
    for C in _candidates(features, options):
        decisions = _out_of_fold(features, labels, C, options, parts)
        accuracies[C] = _accuracy(decisions, labels, options.balanced)
        if best is not None and accuracies[C] < accuracies[best.C]:
            break
        if best is None or accuracies[C] > accuracies[best.C]:
            best = CrossValidation(C, accuracies, decisions)
    assert best is not None
    return best


def _candidates(features: Features, options: ClassifierOptions) -> Iterator[float]:
    """Yield the values of C to try: powers of ten that go with the features' size."""
    if options.C is not None:
        yield options.C
        return
    norm = float(features.shape[1])
    if not options.standardize:
        norm = float(np.square(features, dtype=np.float64).sum(axis=1).mean())
    middle = round(-np.log10(max(norm, 1e-6)))
    for exponent in range(middle - 1, middle + 4):
        yield float(f"1e{exponent}")


def _out_of_fold(
    features: Features,
    labels: NDArray[np.int64],
    C: float,
    options: ClassifierOptions,
    parts: Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]],
) -> NDArray[np.float64]:
    from joblib import Parallel, delayed

    decisions = np.empty((len(labels), int(labels.max()) + 1))
    is_large = features.size * decisions.shape[1] > WORTH_PROCESSES
    # Processes, not threads: liblinear draws its numbers from one generator a process.
    parallel = Parallel(n_jobs=min(len(parts), os.cpu_count() or 1) if is_large else 1)
    found = parallel(delayed(_decide_unseen)(features, labels, C, options, *part) for part in parts)
    for (_, unseen), values in zip(parts, found, strict=True):
        decisions[unseen] = values
    return decisions


def _decide_unseen(
    features: Features,
    labels: NDArray[np.int64],
    C: float,
    options: ClassifierOptions,
    seen: NDArray[np.intp],
    unseen: NDArray[np.intp],
) -> NDArray[np.float64]:
    classifier = train_classifier(features[seen], labels[seen], C, options)
    return classifier.decide(features[unseen])


def _accuracy(decisions: NDArray[np.float64], labels: NDArray[np.int64], balanced: bool) -> float:
    right = decisions.argmax(axis=1) == labels
    if not balanced:
        return float(right.mean())
    return float(np.mean([right[labels == index].mean() for index in np.unique(labels)]))


def check_installed() -> None:
    """Make sure that classifiers can be learned here.

    Raises
    ------
    CamError
        If scikit-learn is not installed.
    """
    _import_sklearn()


def _import_sklearn() -> Any:
    try:
        import sklearn.exceptions
        import sklearn.linear_model
        import sklearn.model_selection
        import sklearn.svm
    except ImportError as error:
        raise CamError(
            f"classifiers are learned with scikit-learn, which does not import here ({error}); "
            "pip install scikit-learn"
        ) from error
    return sklearn
