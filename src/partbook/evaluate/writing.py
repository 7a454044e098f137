"""Write an evaluation to files: everything as JSON, one line per cell as CSV, and a page to look at and listen to."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from ..errors import OutputError
from .evaluation import Evaluation
from .page import page
from .tables import Row, as_csv, as_json

FILES = ("evaluation.json", "cells.csv", "evaluation.html")


def write_evaluation(folder: str | Path, evaluation: Evaluation, table: Sequence[Row]) -> list[Path]:
    """Write the files of an evaluation, each complete or not at all.

    Raises
    ------
    OutputError
        If the system refuses.
    """
    folder = Path(folder)
    texts = json.dumps(as_json(evaluation, table), indent=1), as_csv(evaluation), page(evaluation, table)
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in zip(FILES, texts, strict=True):
            hidden = folder / f".partbook-new-{name}"
            hidden.write_text(text, encoding="utf-8")
            written.append(folder / name)
            os.replace(hidden, written[-1])
    except OSError as error:
        raise OutputError(
            f"a folder that can be written at '{folder}'", str(error.strerror), "another --out"
        ) from error
    return written
