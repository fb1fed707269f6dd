"""Put what was measured beside the paper's tables of ILSVRC and of learned classifiers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from cam.cli.declaring import argument, as_command, option, output_option
from cam.files import read_json, write_text
from cam.learning.tables import (
    RecognitionRow,
    is_learning_record,
    recognition_csv,
    recognition_markdown,
    recognition_rows,
)
from cam.localization.tables import (
    ComparisonRow,
    TableFormat,
    comparison_rows,
    read_measurements,
    render,
)


@dataclass(frozen=True)
class TablesRequest:
    """What was measured, and how to show it."""

    measurements: tuple[Path, ...] = argument("[JSON]...", default=())
    form: TableFormat = option("How the tables are written.", "--format", default="markdown")
    output: Path | None = output_option("Write to this file, do not print.")


@as_command
def tables(request: TablesRequest) -> None:
    """Put what was measured beside the paper's tables of ILSVRC and of learned classifiers.

    JSON are the files that cam evaluate -o wrote, and learning.json of cam learn; without any, the
    tables show the paper's numbers and 'not measured'.
    """
    contents = {path: read_json(path, "the measurement") for path in request.measurements}
    learned = [content for content in contents.values() if is_learning_record(content)]
    others = [path for path, content in contents.items() if not is_learning_record(content)]
    measured = [one for path in others for one in read_measurements(path)]
    text = _text(comparison_rows(measured), recognition_rows(learned), request.form)
    if request.output is None:
        click.echo(text, nl=False)
    else:
        write_text(request.output, text)
        click.echo(f"written to {request.output}")


def _text(
    errors: Sequence[ComparisonRow], accuracies: Sequence[RecognitionRow], form: TableFormat
) -> str:
    text = render(errors, form)
    if form == "json":
        records = [*json.loads(text), *map(asdict, accuracies)]
        return json.dumps(records, indent=2, ensure_ascii=False) + "\n"
    write = recognition_markdown if form == "markdown" else recognition_csv
    return f"{text}\n{write(accuracies)}"
