"""The verb ``evaluate``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ..errors import OptionError
from .base import FINE, PARTLY_FAILED, Flag, app, bars, complain, say_json


@app.command
def evaluate(
    references: str,
    estimates: str,
    /,
    *,
    against: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative=(), show_default=False)] = (),
    protocol: str = "excerpts",
    corpus: str | None = None,
    as_published: Flag = False,
    alone: Flag = False,
    out: Path = Path("evaluation"),
    threads: int = 1,
    quiet: Flag = False,
    json: Flag = False,
) -> int:
    """Score separated parts against the true ones.

    Gives a table with intervals, beside what doing nothing and ideal masks reach
    on the same material, and in OUT a page to listen to, JSON, and CSV by cell.

    Parameters
    ----------
    references
        A folder with a mixture and the true stems, a folder of such folders, or a corpus.
    estimates
        A folder of stems, a folder of one folder per piece, or the beginning of the files' names; {piece} stands for
        the name of the piece.
    against
        Other estimates to compare with, likewise.
    protocol
        Test protocol: excerpts, umss, museval or session.
    corpus
        Name of a published corpus, for instance cantoria or musdb, whose files have names of their own.
    as_published
        Bring back the bugs of the protocol's published code.
    alone
        Leave out what doing nothing and ideal masks reach.
    out
        Folder for the files.
    threads
        Threads to compute with.
    quiet
        Say nothing but mistakes.
    json
        Say what was found as JSON.
    """
    import torch

    from ..evaluate.evaluation import evaluate as evaluated
    from ..evaluate.tables import as_json, rows
    from ..evaluate.writing import write_evaluation

    if threads < 1:
        raise OptionError("--threads from 1 up", f"{threads}")
    torch.set_num_threads(threads)
    with bars(quiet) as on_progress:
        evaluation = evaluated(
            references, estimates, against=against, protocol=protocol, corpus=corpus, as_published=as_published,
            baselines=not alone, on_progress=on_progress,
        )  # fmt: skip
    table = rows(evaluation)
    written = write_evaluation(out, evaluation, table)
    if json:
        say_json(as_json(evaluation, table))
    elif not quiet:
        from ..evaluate.terminal import show

        show(evaluation, table)
        sys.stdout.write("".join(f"{path}\n" for path in written))
    for problem in evaluation.problems:
        complain(problem)
    return PARTLY_FAILED if evaluation.problems else FINE
