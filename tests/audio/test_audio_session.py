import numpy as np
import pytest
import soundfile

from partbook.audio import open_session, source_names
from partbook.errors import AudioError, InputError, OptionError

NAMES = ("Left", "Right", "Flute", "Cello", "Violin1", "Violin2")


@pytest.fixture
def folder(tmp_path):
    """Return a session whose microphones each hear their own constant."""
    folder = tmp_path / "Mein Konzert"
    folder.mkdir()
    for k, name in enumerate(NAMES):
        soundfile.write(folder / f"{name}.wav", np.full(100, k / 10), 8000, subtype="FLOAT")
    (folder / "notes.txt").write_text("no microphone")
    (folder / "._Flute.wav").write_bytes(b"no sound either")
    return folder


@pytest.fixture
def polyphonic(tmp_path):
    path = tmp_path / "concert.wav"
    soundfile.write(path, np.tile(np.arange(6) / 10, (100, 1)), 8000, subtype="FLOAT")
    return path


def heard(recording):
    return [round(10 * float(row[0])) for row in recording.read(50, 51)]


def test_channels_are_main_then_spots_as_they_were_named(folder, polyphonic):
    session = open_session(folder, spots=["Violin2", "Flute"], main=["Right", "Left"])
    assert [m.name for m in session.microphones] == ["Right", "Left", "Violin2", "Flute"]
    assert [m.role for m in session.microphones] == ["main", "main", "spot", "spot"]
    assert [m.source for m in session.microphones] == [None, None, "violin2", "flute"]
    assert heard(session) == [1, 0, 5, 2]
    assert session.name == "Mein Konzert"
    session = open_session(polyphonic, spots=["Violin2=6", "Flute=3"], main=["Right=2", "Left=1"])
    assert heard(session) == [1, 0, 5, 2]
    assert [m.channel for m in session.microphones] == [2, 1, 6, 3]
    assert session.name == "concert"


def test_sources_keep_the_spelling_of_their_names(folder):
    session = open_session(folder, spots=["Flute", "Violin1"])
    assert source_names(session) == {"flute": "Flute", "violin1": "Violin1"}


def test_a_session_toml_says_the_same_and_more(folder, polyphonic):
    (folder / "session.toml").write_text(
        """
        [[microphone]]
        name = "Audience"
        file = "Violin2.wav"
        role = "ambient"
        [[microphone]]
        name = "Flute"
        file = "Flute.wav"
        role = "spot"
        source = "Flöte"
        pattern = "cardioid"
        position_m = [1, 2.5, 1.2]
        [[microphone]]
        name = "L"
        file = "Left.wav"
        role = "main"
        [[source]]
        name = "Flöte"
        [room]
        rt60_s = 0.9
        """
    )
    for path in (folder, folder / "session.toml"):
        session = open_session(path)
        assert [(m.name, m.role, m.source) for m in session.microphones] == [
            ("L", "main", None), ("Flute", "spot", "flöte"), ("Audience", "ambient", None)]  # fmt: skip
        assert heard(session) == [0, 2, 5]
        assert session.name == "Mein Konzert"
        assert source_names(session) == {"flöte": "Flöte"}
        assert session.setup["room"] == {"rt60_s": 0.9}
    toml = polyphonic.with_name("session.toml")
    toml.write_text(f'file = "{polyphonic.name}"\n[[microphone]]\nname = "A"\nchannel = 4\nrole = "spot"\n')
    assert heard(open_session(toml)) == [3]


@pytest.mark.parametrize(
    ("spots", "main", "words"),
    [
        (["Violn1"], [], "try Violin1"),
        (["Flute", "Flute"], [], "twice"),
        (["Flute"], ["Flute"], "twice"),
        ([], [], "try --spots with some of"),
        (["Flute=1"], [], "try Flute"),
        (["flute"], [], "try Flute"),
    ],
)
def test_microphones_of_a_folder_that_cannot_be_are_refused(folder, spots, main, words):
    with pytest.raises(OptionError, match=words):
        open_session(folder, spots=spots, main=main)


def test_a_folder_that_is_not_there_or_is_empty_is_said_to_be(folder, tmp_path):
    with pytest.raises(AudioError, match=f"{folder.name}s', which does not exist; try '{folder.name}'"):
        open_session(folder.with_name(folder.name + "s"), main=["Left"])
    (tmp_path / "nothing").mkdir()
    with pytest.raises(AudioError, match="holds none"):
        open_session(tmp_path / "nothing", main=["Left"])


def test_main_microphones_alone_are_a_session(folder):
    session = open_session(folder, main=["Right", "Left"])
    assert [m.role for m in session.microphones] == ["main", "main"] and not source_names(session)
    assert len(session.setup["unnamed"]) == 4


@pytest.mark.parametrize(
    ("spots", "words"),
    [
        (["A=7"], "channel 1 to 6"),
        (["A=0"], "channel 1 to 6"),
        (["A=1", "B=1"], "twice"),
        (["A=1", "A=2"], "twice"),
        (["A"], "NAME=CHANNEL"),
        (["A=x"], "NAME=CHANNEL"),
        (["=3"], "NAME=CHANNEL"),
    ],
)
def test_channels_of_a_file_that_cannot_be_are_refused(polyphonic, spots, words):
    with pytest.raises(OptionError, match=words):
        open_session(polyphonic, spots=spots)


def test_files_that_do_not_fit_together_are_refused(folder):
    soundfile.write(folder / "Slow.wav", np.zeros(100), 7000)
    soundfile.write(folder / "Short.wav", np.zeros(99), 8000)
    soundfile.write(folder / "Stereo.wav", np.zeros((100, 2)), 8000)
    soundfile.write(folder / "Flute.flac", np.zeros(100), 8000)
    (folder / "Broken.wav").write_bytes(b"RIFF")
    for name, words in {"Slow": "one sample rate", "Short": "one length", "Stereo": "one channel", "Flute": "one file",
                        "Broken": "a sound file"}.items():  # fmt: skip
        with pytest.raises(AudioError, match=words):
            open_session(folder, spots=["Cello", name])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "at least one microphone"),
        ("nonsense", "session.toml"),
        ("microphones = 3", "try microphone"),
        ("microphone = 3", "another kind"),
        ("microphone = [3]", "tables"),
        ("[[microphone]]", "a name"),
        ('[[microphone]]\nname = "Flute"', "a file"),
        ('[[microphone]]\nname = "Flute"\nfile = "Flute.wav"', "role"),
        ('[[microphone]]\nname = "Flute"\nfile = "Flute.wav"\nrole = "sport"', "role"),
        ('[[microphone]]\nname = "Flute"\nfile = "Fleute.wav"\nrole = "spot"', "try 'Flute.wav'"),
        ('[[microphone]]\nname = "Flute"\nfile = "Flute.wav"\nrole = "spot"\nchannel = 2', "channel 1 to 1"),
        ('[[microphone]]\nname = "Flute"\nfile = "Flute.wav"\nrole = "spot"\nchannel = "one"', "channel number"),
        ('[[microphone]]\nname = "Flute"\nfile = "Flute.wav"\nrole = "spot"\nposition_m = [1, 2]', "three numbers"),
        ('[[microphone]]\nname = "F"\nfile = "Flute.wav"\nrole = "spot"\n[[source]]\nname = "G"', "try one of G"),
        ('[[source]]\nnome = "G"', "try name"),
        ('[[source]]\nname = "G"\nspot = "no"', "expected spot = true or false of the source 'G', got 'no'"),
        ("[room]\nrt60_s = -1", "above 0"),
        ("room = [1]", "another kind"),
        ('[[microphone]]\nname = "a/b"\nfile = "Flute.wav"\nrole = "spot"', "file name"),
    ],
)
def test_a_session_toml_that_cannot_be_is_refused_in_one_line(folder, text, words):
    (folder / "session.toml").write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        open_session(folder)
    assert "\n" not in str(caught.value)


def test_more_than_32_microphones_are_refused(tmp_path):
    for k in range(33):
        soundfile.write(tmp_path / f"m{k}.wav", np.zeros(9), 8000)
    open_session(tmp_path, spots=[f"m{k}" for k in range(32)])
    with pytest.raises(AudioError, match="32"):
        open_session(tmp_path, spots=[f"m{k}" for k in range(33)])
