from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from locations import REPOSITORY

from benchmarks import report
from benchmarks.__main__ import side_by_side
from benchmarks.summary import summarize
from cam.errors import CamError


@pytest.fixture
def results() -> dict[str, Any]:
    milliseconds = {"forward_1": (20, 20), "ours_1": (21, 23), "sgemm_numpy": (10, 10)}
    # Two rounds of one call each.
    turns = {key: [[float(call)] for call in calls] for key, calls in milliseconds.items()}
    times = {key: {"wall_ms": rounds, "cpu_ms": rounds} for key, rounds in turns.items()}
    return {
        "made": "2000-01-01T00:00:00+00:00",
        "machine": {
            "processor": "a processor",
            "cores": 2,
            "system": "a system",
            "blas": ["b"],
            "load_average": [1.0, None],
        },
        "versions": {"cam": "0", "torch": "not installed"},
        "model": {"name": "googlenet", "weights": "random, seed 0", "multiply_accumulates": 10**9},
        "settings": {"threads": 1, "rounds": 2, "calls_per_turn": 1, "picture": [30, 40, 3]},
        "timings": {key: {"label": f"label of {key}", **times[key]} for key in times},
        "not_run": {"torchcam_1": {"label": "label of torchcam_1", "reason": "not installed"}},
        **summarize(times, 10**9),
        "peak_memory_mb": {"styles": {"pycaffe": 300.0, "matlab": 700.0}, "at_most": 600},
    }


def test_the_summary_says_what_was_met_and_who_did_not_run(results: dict[str, Any]) -> None:
    text = "\n".join(report.summary_lines(results))
    assert "random, seed 0" in text
    # 22 / 20 in the median of both rounds.
    assert "1.100 [1.075, 1.125]" in text
    assert "at most 1.10: met" in text
    assert "at most 600 MB: missed" in text
    assert "label of torchcam_1" in text
    assert "not run: not installed" in text


def test_a_report_leaves_the_rest_of_its_page_alone(
    results: dict[str, Any], tmp_path: Path
) -> None:
    page = tmp_path / "performance.md"
    report.write_report(results, page)
    written = page.read_text()
    assert written.startswith("# Performance")
    page.write_text(written + "\nA batch takes a while.\n")
    results["model"]["weights"] = "the real ones"
    report.write_report(results, page, tmp_path / "bars.png")
    again = page.read_text()
    assert again.endswith("\nA batch takes a while.\n")
    assert "the real ones" in again
    assert "random, seed 0" not in again
    assert "(bars.png)" in again
    assert again.count("| ratio |") == 1


def test_a_page_without_marks_is_not_written_to(results: dict[str, Any], tmp_path: Path) -> None:
    page = tmp_path / "other.md"
    page.write_text("# Something else\n")
    with pytest.raises(CamError, match="no place"):
        report.write_report(results, page)
    assert page.read_text() == "# Something else\n"


def test_the_command_shows_plots_and_reports_an_earlier_run(
    results: dict[str, Any], tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib (extra `bench`) is not installed")
    earlier = tmp_path / "bench.json"
    report.write_results(results, earlier)
    arguments = ["--from", earlier, "--plot", tmp_path / "b.png", "--report", tmp_path / "p.md"]
    shown = CliRunner().invoke(side_by_side, [str(argument) for argument in arguments])
    assert shown.exit_code == 0, shown.output
    assert "at most 1.10: met" in shown.output
    assert (tmp_path / "b.png").stat().st_size > 1000
    assert "![" in (tmp_path / "p.md").read_text()


@pytest.mark.parametrize("text", ["", "{}", "[1]"])
def test_a_file_that_is_no_measurement_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(CamError, match=r"measure|python -m benchmarks"):
        report.read_results(path)


def test_the_projects_page_has_a_place_for_the_measurements(results: dict[str, Any]) -> None:
    page = (REPOSITORY / "docs" / "performance.md").read_text()
    assert page.startswith(report.PAGE.partition(report.BEGIN)[0])
    assert page.index(report.BEGIN) < page.index(report.END)


def test_the_projects_measurements_are_read_and_shown(tmp_path: Path) -> None:
    results = report.read_results(REPOSITORY / "docs" / "performance.json")
    measured = report.to_markdown(results, "images/performance.png")
    assert measured in (REPOSITORY / "docs" / "performance.md").read_text()
    report.write_results(results, tmp_path / "again.json")
    assert report.read_results(tmp_path / "again.json") == results


def test_each_class_of_machine_has_its_own_table(results: dict[str, Any], tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    results["machine"] |= {"processor": "One", "vector_units": ["AVX2"]}
    report.write_report(results, page)
    other = {**results, "machine": {**results["machine"], "vector_units": ["AVX-512", "AVX2"]}}
    report.write_report(other, page)
    results["model"]["weights"] = "measured again"
    report.write_report(results, page)
    written = page.read_text()
    headings = [line for line in written.splitlines() if line.startswith("### ")]
    assert headings == ["### One with AVX2", "### One with AVX-512, AVX2"]
    assert written.count("| ratio |") == 2
    assert written.index("measured again") < written.index("### One with AVX-512")
