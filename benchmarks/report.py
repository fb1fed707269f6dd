"""What `benchmarks.side_by_side.measure` measured, as JSON, as a page and as a picture."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.summary import summarize
from cam.errors import CamError
from cam.files import PathLike, atomic_path, read_json, read_text, write_json, write_text

__all__ = ["plot", "read_results", "summary_lines", "to_markdown", "write_report", "write_results"]

COMMAND = "python -m benchmarks"

BEGIN = f"<!-- made by `{COMMAND} --report`: what stands between these two marks is replaced -->"
END = f"<!-- end of what `{COMMAND} --report` makes -->"

_SECTION = "### "

PAGE = f"""# Performance

How long the work takes, beside other programs that do the same work in the same process, and how
far that is from what the machine can do. All run the same network with the same weights on the same
decoded picture, in turns; each ends with five overlays, or with the original's figure of ten crops.
torchcam and pytorch-grad-cam get the network as plain PyTorch modules, checked against the engine;
pytorch-grad-cam has no CAM, so that it is its GradCAM, which needs the gradient.

There is one table for each class of machine. Ratios between engines depend on the processor's
vector units: OpenVINO uses the widest that there are, the OpenBLAS under Caffe may not, and PyTorch
has paths of its own, so that a ratio on one machine says little about another.

To repeat it, in the project's folder: `pip install '.[bench]'`, then

    {COMMAND} --rounds 16 -o docs/performance.json \\
        --plot docs/images/performance.png --report docs/performance.md

{BEGIN}
{END}

## Other measurements

<!-- written by hand or by other commands; `{COMMAND} --report` leaves it alone -->
"""

Results = Mapping[str, Any]


def write_results(results: Results, path: PathLike) -> None:
    """Write what was measured as JSON."""
    write_json(path, results)


def read_results(path: PathLike) -> dict[str, Any]:
    """Read what `write_results` wrote; ratios and rates are worked out again from the times.

    Raises
    ------
    CamError
        If the file cannot be read or holds something else.
    """
    results = read_json(path, "the measurements")
    if not isinstance(results, dict) or not {"timings", "machine", "model"} <= set(results):
        raise CamError(f"{path}: not what {COMMAND} -o writes")
    macs = results["model"]["multiply_accumulates"]
    return {**results, **summarize(results["timings"], macs)}


def summary_lines(results: Results) -> list[str]:
    """Return what was measured as lines of text for a terminal."""
    lines = [_header_line(results), "", f"{'milliseconds':44s}{'wall':>24s}{'processor':>24s}"]
    for key, timing in results["timings"].items():
        times = results["times"][key]
        lines.append(
            f"{timing['label']:44s}{_spread(times['wall_ms'], 1):>24s}"
            f"{_spread(times['cpu_ms'], 1):>24s}"
        )
    lines += [
        f"{absent['label']:44s}not run: {absent['reason']}"
        for absent in results["not_run"].values()
    ]
    lines.append("")
    lines += [
        f"{name:44s}{wall:>24s}{cpu:>24s}  {verdict}"
        for name, wall, cpu, verdict in _verdicts(results)
    ]
    return lines


def to_markdown(results: Results, picture: str = "") -> str:
    """Return what was measured as a part of a Markdown page.

    Parameters
    ----------
    results : mapping
        What `benchmarks.side_by_side.measure` returned.
    picture : str, optional
        The plot's file name, to show it.

    Returns
    -------
    str
        Markdown.
    """
    lines = [_machine_heading(results["machine"]), "", _header_line(results), ""]
    lines += [f"- {line}" for line in _machine_lines(results)]
    lines += [
        "",
        "Medians, in brackets the quartiles; *processor* is the time that all threads took "
        "together, which other programs on the machine disturb less than the wall clock.",
        "",
        "| milliseconds | wall | processor |",
        "| --- | ---: | ---: |",
    ]
    for key, timing in results["timings"].items():
        times = results["times"][key]
        lines.append(
            f"| {timing['label']} | {_spread(times['wall_ms'], 1)} "
            f"| {_spread(times['cpu_ms'], 1)} |"
        )
    lines += [
        f"| {absent['label']} | not run | {absent['reason']} |"
        for absent in results["not_run"].values()
    ]
    lines += ["", "| ratio | wall | processor | target |", "| --- | ---: | ---: | --- |"]
    lines += [
        f"| {name} | {wall} | {cpu} | {verdict} |"
        for name, wall, cpu, verdict in _verdicts(results)
    ]
    if picture:
        lines += ["", f"![The same numbers as bars]({picture})"]
    return "\n".join(lines) + "\n"


def write_report(results: Results, path: PathLike, picture: PathLike | None = None) -> None:
    """Put what was measured into a Markdown page, between two marks.

    What the page has of the same class of machine is replaced, and that of others stays.

    Parameters
    ----------
    results : mapping
        What `benchmarks.side_by_side.measure` returned.
    path : path-like
        The page; it is made if it is missing, and else keeps all that is outside the marks.
    picture : path-like, optional
        The plot, to show it.

    Raises
    ------
    CamError
        If the page has no marks, or cannot be read or written.
    """
    page = Path(path)
    text = read_text(page) if page.exists() else PAGE
    before, begin, rest = text.partition(BEGIN)
    there, end, after = rest.partition(END)
    if not begin or not end:
        raise CamError(f"{path}: no place for the measurements; it needs the lines {BEGIN} {END}")
    link = os.path.relpath(picture, page.parent) if picture else ""
    heading = _machine_heading(results["machine"])
    others = [f"{_SECTION}{part.strip()}" for part in there.split(f"\n{_SECTION}")[1:]]
    others = [part for part in others if part.partition("\n")[0] != heading]
    sections = "\n\n".join([to_markdown(results, link).strip(), *others])
    write_text(page, f"{before}{BEGIN}\n\n{sections}\n\n{END}{after}")


def plot(results: Results, path: PathLike) -> None:
    """Draw the medians as bars with their quartiles.

    Parameters
    ----------
    results : mapping
        What `benchmarks.side_by_side.measure` returned.
    path : path-like
        The picture; its extension says the format.

    Raises
    ------
    CamError
        If matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise CamError("the plot needs matplotlib: pip install matplotlib") from error
    crops = {"1": "one crop", "10": "ten crops"}
    groups = {
        title: [key for key in results["timings"] if key.rpartition("_")[2] == number]
        for number, title in crops.items()
    }
    heights = [max(len(keys), 1) for keys in groups.values()]
    figure = Figure(figsize=(8, 1.5 + 0.45 * sum(heights)), layout="constrained")
    panels = figure.subplots(len(groups), 1, height_ratios=heights, squeeze=False)
    for axes, (title, keys) in zip(panels[:, 0], groups.items(), strict=True):
        times = [results["times"][key]["cpu_ms"] for key in keys]
        medians = [time["median"] for time in times]
        errors = [
            [time["median"] - time["q1"] for time in times],
            [time["q3"] - time["median"] for time in times],
        ]
        labels = [_without_crops(results["timings"][key]["label"]) for key in keys]
        bars = axes.barh(labels, medians, xerr=errors, color="#4c72b0", capsize=3)
        axes.bar_label(bars, [f"{value:.0f} ms" for value in medians], padding=6)
        axes.invert_yaxis()
        axes.margins(x=0.12)
        axes.set_title(f"{results['model']['name']}, {title}", loc="left")
        axes.spines[["top", "right"]].set_visible(False)
    panels[-1, 0].set_xlabel("processor time in milliseconds: median and quartiles")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120)


def _without_crops(label: str) -> str:
    return label.replace(", 10 crops", "").replace(", 1 crop", "")


def _header_line(results: Results) -> str:
    model, settings = results["model"], results["settings"]
    return (
        f"`{model['name']}`, weights {model['weights']}; {settings['threads']} thread(s) each; "
        f"{settings['rounds']} rounds in turns, {settings['calls_per_turn']} timed calls a turn."
    )


def _machine_heading(machine: Mapping[str, Any]) -> str:
    """Name the class of machine."""
    units = machine.get("vector_units")
    suffix = f" with {', '.join(units)}" if units else ""
    return f"{_SECTION}{machine['processor']}{suffix}"


def _machine_lines(results: Results) -> list[str]:
    machine = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    rows, columns = results["settings"]["picture"][:2]
    return [
        f"made {results['made']}",
        f"machine: {machine['processor']}, {machine['cores']} cores, {machine['system']}",
        f"load average before and after: {_loads(machine)}",
        f"BLAS libraries loaded: {', '.join(machine['blas'])}",
        f"versions: {versions}",
        f"a decoded picture of {columns}×{rows} pixels",
    ]


def _loads(machine: Mapping[str, Any]) -> str:
    """Say how busy the machine was; one contestant at a time adds one at most."""
    loads = [f"{load:.1f}" for load in machine["load_average"] if load is not None]
    return ", ".join(loads) or "not known"


def _verdicts(results: Results) -> list[tuple[str, str, str, str]]:
    """Return name, wall and processor value and verdict of all that has a target."""
    labels = {key: timing["label"] for key, timing in results["timings"].items()}
    found = []
    for ratio in results["ratios"]:
        bound = ratio["at_most"]
        verdict = "" if bound is None else _verdict(ratio, bound, "at most", f"{bound:.2f}")
        name = f"{labels[ratio['numerator']]} / {labels[ratio['denominator']]}"
        found.append((name, _spread(ratio["wall_ms"], 3), _spread(ratio["cpu_ms"], 3), verdict))
    if "sgemm" in results:
        sgemm = results["sgemm"]
        macs = results["model"]["multiply_accumulates"] / 1e9
        for name, key in (
            (f"GFLOP/s of a {sgemm['matrix_size']}² {labels[sgemm['fastest']]}", "gflops"),
            (f"GFLOP/s of the forward ({macs:.2f} GMAC a crop)", "forward_gflops"),
        ):
            rates = sgemm[key]
            found.append((name, _spread(rates["wall_ms"], 0), _spread(rates["cpu_ms"], 0), ""))
        share, bound = sgemm["share"], sgemm["at_least"]
        verdict = _verdict(share, bound, "at least", f"{bound:.2f}")
        found.append(
            (
                "the forward's share of the fastest matrix product's rate",
                _spread(share["wall_ms"], 3),
                _spread(share["cpu_ms"], 3),
                verdict,
            )
        )
    memory = results["peak_memory_mb"]
    for style, peak in memory["styles"].items():
        met = "met" if peak <= memory["at_most"] else "missed"
        found.append(
            (
                f"peak memory of one picture alone, {style} style",
                f"{peak:.0f} MB",
                "",
                f"at most {memory['at_most']} MB: {met}",
            )
        )
    return found


def _verdict(values: Mapping[str, Any], bound: float, relation: str, text: str) -> str:
    """Say whether the median of the processor times keeps a bound."""
    value = values["cpu_ms"]["median"]
    met = value <= bound if relation == "at most" else value >= bound
    return f"{relation} {text}: {'met' if met else 'missed'}"


def _spread(values: Mapping[str, float], digits: int) -> str:
    q1, middle, q3 = (f"{values[name]:.{digits}f}" for name in ("q1", "median", "q3"))
    return f"{middle} [{q1}, {q3}]"
