"""The linear classifiers: what scikit-learn's decide, and how C is chosen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cam.errors import CamError
from cam.learning import classifier
from cam.learning.classifier import ClassifierOptions, cross_validate, train_classifier
from cam.learning.evaluation import Evaluation

sklearn = pytest.importorskip("sklearn")


def samples(classes: int, each: int = 30, noise: float = 1.0) -> tuple[Any, Any]:
    """Return features (N, 12) around a center for each class, and the classes."""
    generator = np.random.default_rng(0)
    centers = generator.uniform(0, 3, (classes, 12))
    labels = np.tile(np.arange(classes), each)
    features = centers[labels] + generator.normal(0, noise, (len(labels), 12))
    return (features * np.linspace(0.1, 5, 12) + 2).astype(np.float32), labels


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("classes", [2, 5])
def test_the_svm_decides_as_scikit_learns(classes: int, standardize: bool) -> None:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    features, labels = samples(classes)
    options = ClassifierOptions(standardize=standardize)
    found = train_classifier(features, labels, 0.01, options).decide(features)
    reference = LinearSVC(C=0.01, dual=True, random_state=0, max_iter=20_000)
    if standardize:
        reference = make_pipeline(StandardScaler(), reference)
    values = reference.fit(features.astype(float), labels).decision_function(features.astype(float))
    expected = np.stack([-values, values], axis=1) if classes == 2 else values
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize("classes", [2, 4])
def test_logistic_regressions_softmax_gives_its_probabilities(classes: int) -> None:
    from sklearn.linear_model import LogisticRegression

    features, labels = samples(classes)
    options = ClassifierOptions("logistic", standardize=True)
    values = train_classifier(features, labels, 0.1, options).decide(features)
    found = np.exp(values - values.max(axis=1, keepdims=True))
    found /= found.sum(axis=1, keepdims=True)
    numbers = features.astype(float)
    numbers = (numbers - numbers.mean(axis=0)) / numbers.std(axis=0)
    reference = LogisticRegression(C=0.1, max_iter=10_000, tol=1e-8).fit(numbers, labels)
    np.testing.assert_allclose(found, reference.predict_proba(numbers), atol=1e-3)


def test_balanced_classes_count_the_same() -> None:
    generator = np.random.default_rng(0)
    labels = np.repeat([0, 1], [200, 10])
    features = (labels[:, np.newaxis] + generator.normal(0, 1, (210, 3))).astype(np.float32)

    def found_of_the_few(balanced: bool) -> float:
        options = ClassifierOptions(balanced=balanced)
        decisions = train_classifier(features, labels, 1.0, options).decide(features)
        return float((decisions.argmax(axis=1)[labels == 1] == 1).mean())

    assert found_of_the_few(True) > found_of_the_few(False)


@pytest.mark.parametrize(
    ("kind", "processes"), [("svm", False), ("svm", True), ("logistic", False)]
)
def test_the_same_call_gives_the_same_bits(
    kind: str, processes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    features, labels = samples(5)
    options = ClassifierOptions(kind, seed=3)
    crossed = [cross_validate(features, labels, options)]
    if processes:
        monkeypatch.setattr(classifier, "WORTH_PROCESSES", 0)
    crossed.append(cross_validate(features, labels, options))
    assert crossed[0].accuracies == crossed[1].accuracies
    np.testing.assert_array_equal(crossed[0].decisions, crossed[1].decisions)
    first, second = (train_classifier(features, labels, 0.1, options) for _ in range(2))
    np.testing.assert_array_equal(first.weights, second.weights)
    np.testing.assert_array_equal(first.intercepts, second.intercepts)


def test_cross_validation_never_judges_a_picture_by_itself() -> None:
    # Labels without any relation to the features: who has seen them knows them, others guess.
    generator = np.random.default_rng(0)
    features = generator.normal(0, 1, (200, 500)).astype(np.float32)
    labels = np.tile([0, 1], 100)
    options = ClassifierOptions(C=1.0)
    seen = train_classifier(features, labels, 1.0, options).decide(features).argmax(axis=1)
    assert (seen == labels).all()
    crossed = cross_validate(features, labels, options)
    assert 0.35 < (crossed.decisions.argmax(axis=1) == labels).mean() < 0.65


def test_the_smallest_of_the_best_is_taken_and_the_search_ends_where_it_gets_worse() -> None:
    features, labels = samples(5, noise=1.5)
    crossed = cross_validate(features, labels, ClassifierOptions())
    tried = list(crossed.accuracies)
    assert tried == sorted(tried)
    best = max(crossed.accuracies.values())
    assert min(C for C in tried if crossed.accuracies[C] == best) == crossed.C
    worse = [C for C in tried if C > crossed.C and crossed.accuracies[C] < best]
    assert worse in ([], [tried[-1]])


@pytest.mark.parametrize("factor", [1e-3, 1.0, 1e3])
def test_the_choice_of_c_goes_with_the_size_of_the_features(factor: float) -> None:
    features, labels = samples(4, noise=0.8)
    crossed = cross_validate(features * np.float32(factor), labels, ClassifierOptions())
    assert max(crossed.accuracies.values()) > 0.9


def test_what_cannot_be_learned_is_refused() -> None:
    features, labels = samples(3, each=2)
    with pytest.raises(CamError, match="one class"):
        train_classifier(features, labels * 0, 1.0, ClassifierOptions())
    with pytest.raises(CamError, match="one picture"):
        cross_validate(features[:5], labels[:5], ClassifierOptions())
    for arguments, said in (
        ({"kind": "swm"}, "nearest: svm"),
        ({"C": -1.0}, "positive"),
        ({"C": float("nan")}, "positive"),
        ({"folds": 1}, "at least 2"),
        ({"seed": -1}, "seed"),
    ):
        with pytest.raises(CamError, match=said):
            ClassifierOptions(**arguments)


# --- evaluation ----------------------------------------------------------------------------------


def evaluation(labels: list[int], decisions: NDArray[np.float64]) -> Evaluation:
    count = decisions.shape[1]
    return Evaluation(
        tuple(f"class {index}" for index in range(count)),
        np.arange(len(labels)),
        [f"{index}.jpg" for index in range(len(labels))],
        np.array(labels),
        decisions,
    )


def test_accuracies_and_confusion_are_counted_by_hand() -> None:
    found = [0, 0, 1, 1, 1, 2]
    one = evaluation([0, 0, 0, 1, 1, 1], np.eye(4)[found])
    np.testing.assert_array_equal(
        one.confusion, [[2, 1, 0, 0], [0, 2, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    )
    assert one.accuracy == 4 / 6
    assert one.class_accuracies == [2 / 3, 2 / 3, None, None]
    assert one.mean_class_accuracy == 2 / 3


@settings(deadline=None)
@given(st.integers(2, 5), st.integers(1, 30), st.integers(0, 99))
def test_the_most_sure_are_right_and_the_most_wrong_are_not(
    classes: int, count: int, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, count)
    one = evaluation(labels.tolist(), generator.normal(0, 1, (count, classes)))
    sure, wrong = one.most_sure(100), one.most_wrong(100)
    assert sorted([*sure, *wrong]) == list(range(count))
    assert (one.predicted[sure] == labels[sure]).all()
    assert (one.predicted[wrong] != labels[wrong]).all()
    assert (np.diff(one.margins[sure]) <= 0).all() and (np.diff(one.margins[wrong]) >= 0).all()
