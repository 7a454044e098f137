"""The verb ``calibrate``."""

from __future__ import annotations

import sys
from pathlib import Path

from ..config import Options, parse_bytes
from ..ensemble import source_id
from ..errors import OptionError
from .base import FINE, Flag, Names, app, bars, say_json
from .separation import names_of


@app.command
def calibrate(
    *takes: str,
    spots: Names = "",
    main: Names = "",
    responses: Flag = False,
    out: Path = Path("calibration.safetensors"),
    seed: int = 0,
    device: str = "cpu",
    threads: int | None = None,
    memory: str = "2GB",
    quiet: Flag = False,
    json: Flag = False,
) -> int:
    """Learn players and room from solo takes, for partbook separate --calibration.

    Scales, warm-up notes or passages will do: each player alone, in all
    microphones of the session, which stay where they are. Or, with
    --responses, measured impulse responses from every player's seat.

    Parameters
    ----------
    takes
        PLAYER=TAKE for every player, where TAKE is a folder, a file of many channels or a session.toml as for separate.
    spots
        Spot microphones, as for separate.
    main
        Main microphones, as for separate.
    responses
        The takes are impulse responses from every player's seat to all microphones.
    out
        File to write.
    seed
        Seed of all random numbers.
    device
        PyTorch device: cpu, cuda ….
    threads
        Threads to compute with.
    memory
        About how much memory to use.
    quiet
        Say nothing but mistakes.
    json
        Say what was done as JSON.
    """
    from ..audio import open_session
    from ..engine.calibration import calibrate as calibrated
    from ..engine.measured import measured
    from ..separate import prepare_torch

    paths: dict[str, Path] = {}
    for take in takes:
        player, equals, path = take.partition("=")
        if not (player and equals and path):
            raise OptionError("PLAYER=TAKE", f"{take!r}", "Flute=solo/flute")
        if source_id(player) in paths:
            raise OptionError("one take of every player", f"two of {player}", "one folder with both joined")
        paths[source_id(player)] = Path(path)
    if not paths:
        raise OptionError("PLAYER=TAKE for every player", "none", "partbook calibrate Flute=flute Cello=cello")
    if out.exists() and out.suffix != ".safetensors":
        raise OptionError("a file to write that ends in .safetensors", f"'{out}', which exists", "another --out")
    options = Options(seed, device, threads, parse_bytes(memory))
    prepare_torch(options)
    microphones = {"spots": names_of(spots), "main": names_of(main)}
    recordings = {id: open_session(path, **microphones) for id, path in paths.items()}
    with bars(quiet) as on_progress:
        found = measured(recordings) if responses else calibrated(recordings, options=options, on_progress=on_progress)
    found.save(out)
    if json:
        say_json({"file": str(out), "players": list(found.players), "microphones": list(found.microphones)})
    elif not quiet:
        sys.stdout.write(f"{out}\n")
    return FINE
