import os
import signal
import subprocess
import sys

import pytest
import soundfile
from shares import split

from partbook.audio import open_recording
from partbook.stems import verify, write

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and limits of POSIX")

# Fixed shares in the place of the engine; after the first block it says so and waits.
WAITING = """
import sys, time, types
sys.path.insert(0, {tests!r})
from shares import split
from partbook.stems import Block, Separation

def separate_voices(recording, voices, *, f0, options, on_progress):
    whole = split(recording)
    def blocks():
        for k, block in enumerate(whole.blocks()):
            yield block
            if k == 0:
                print("writing", flush=True)
                time.sleep(60)
    return Separation(recording, whole.sources, blocks)

sys.modules["partbook.engine.voices"] = types.ModuleType("voices")
sys.modules["partbook.engine.voices"].separate_voices = separate_voices
from partbook.__main__ import main
sys.exit(main())
"""


@pytest.fixture
def mix(tmp_path, rng):
    soundfile.write(tmp_path / "mix.wav", rng.uniform(-0.5, 0.5, (50_000, 2)), 8000)
    return tmp_path / "mix.wav"


@pytest.fixture
def start(tmp_path, mix):
    """Start a separation that stops in the middle of writing; return it when it is there."""
    started = []

    def run(name):
        code = WAITING.format(tests=os.path.dirname(__file__))
        arguments = ["separate", str(mix), "--out", str(tmp_path / "out"), "--name", name]
        process = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=-1, stderr=-1, text=True)
        started.append(process)
        assert process.stdout.readline() == "writing\n", process.communicate()[1]
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def snapshot(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_being_cancelled_in_mid_write_leaves_the_old_result_and_nothing_else(tmp_path, mix, start, by):
    write(split(open_recording(mix)), tmp_path / "out")
    old = snapshot(tmp_path)
    process = start("mix")
    process.send_signal(by)
    assert process.communicate(timeout=30) == ("", "partbook: cancelled\n")
    assert process.returncode == 130
    assert snapshot(tmp_path) == old


def test_being_killed_in_mid_write_leaves_the_old_result_and_the_next_run_tidies_up(tmp_path, mix, start):
    out = tmp_path / "out"
    write(split(open_recording(mix)), out)
    old = snapshot(out)
    process = start("mix")
    process.kill()
    process.communicate()
    assert snapshot(out / "mix") == {path.relative_to("mix"): data for path, data in old.items()}
    visible = [path.name for path in out.iterdir() if not path.name.startswith(".")]
    assert visible == ["mix"] and len(list(out.iterdir())) == 2
    write(split(open_recording(mix)), out, name="another")
    assert sorted(path.name for path in out.iterdir()) == ["another", "mix"]
    assert all(check.passed for check in verify(out / "mix"))


def test_a_run_leaves_what_another_run_is_writing_alone(tmp_path, mix, start):
    process = start("other")
    write(split(open_recording(mix)), tmp_path / "out")
    assert any(path.name.startswith(".") and any(path.iterdir()) for path in (tmp_path / "out").iterdir())
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mix"]


FULL_DISK = """
import resource, sys
sys.path.insert(0, {tests!r})
from shares import split
from partbook.audio import open_recording
from partbook.errors import OutputError
from partbook.stems import write
separation = split(open_recording(sys.argv[1]))
for limit in sys.argv[4:]:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), resource.RLIM_INFINITY))
    try:
        write(separation, sys.argv[2], format=sys.argv[3])
    except OutputError as error:
        assert "room" in str(error)
    else:
        sys.exit(f"wrote files cut at {{limit}} bytes without a word")
"""


@pytest.mark.parametrize("format", ["flac", "wav"])
def test_a_full_disk_is_noticed_wherever_it_ends_and_leaves_the_old_result(tmp_path, mix, format):
    out = tmp_path / "out"
    folder = write(split(open_recording(mix)), out, format=format)
    old = snapshot(out)
    # One file meets the limit, from its first byte to its last; FLAC's encoder says nothing of the last ones.
    largest = max(path.stat().st_size for path in folder.iterdir())
    limits = [0, 10, 100, 5000, largest // 2, *(largest - lost for lost in (8000, 3000, 1000, 100, 10, 1))]
    code = FULL_DISK.format(tests=os.path.dirname(__file__))
    command = [sys.executable, "-c", code, str(mix), str(out), format, *map(str, limits)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert snapshot(out) == old
