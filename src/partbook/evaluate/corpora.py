"""How the files of published corpora are named, so that one that lies on the disk can be scored as it is.

Records, no logic: :func:`~partbook.evaluate.material.find_pieces` reads them. Nothing is downloaded, and no corpus may
be used beyond its licence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

_SATB = {"S": "soprano", "A": "alto", "T": "tenor", "B": "bass"}


@dataclass(frozen=True)
class Corpus:
    """A corpus of stems.

    Attributes
    ----------
    name
        Short name, as on the command line.
    title
        Full name.
    licence
        As stated by its authors.
    source
        Who made it, and where it is described or given.
    stem
        Regular expression over the path of a stem inside the corpus, ``/`` between folders; its groups ``piece`` and
        ``source`` say what it is.
    mixture
        The same for mixtures, with the group ``piece``; empty where the mixture is the sum of the stems.
    sources
        Id for every ``source`` that should be called otherwise than in the file's name.
    only
        The pieces that published tests use; empty for all.
    """

    name: str
    title: str
    licence: str
    source: str
    stem: str
    mixture: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)
    only: tuple[str, ...] = ()


CORPORA = (
    Corpus(
        "csd",
        "Choral Singing Dataset, the singers of the published quartet test",
        "CC BY 4.0",
        "Cuesta et al., ICMPC 2018; the 16 kHz files of the published test",
        # Singers 2 of El Rossinyol, 3 of Locus Iste and 4 of Nino Dios.
        stem=r".*?(?P<piece>El_Rossinyol|Locus_Iste|Nino_Dios)/audio_16kHz/[^/]*?(?P<source>Soprano_(?:208|310|405)|"
        r"ContraAlt_(?:2-06|301|407)|[Tt]enor(?:2-09|3-01-2|4-06-2)|Bajos_(?:207|3-02|404))\.wav",
        sources={
            "Soprano_208": "soprano",
            "Soprano_310": "soprano",
            "Soprano_405": "soprano",
            "ContraAlt_2-06": "alto",
            "ContraAlt_301": "alto",
            "ContraAlt_407": "alto",
            "Tenor2-09": "tenor",
            "tenor3-01-2": "tenor",
            "tenor4-06-2": "tenor",
            "Bajos_207": "bass",
            "Bajos_3-02": "bass",
            "Bajos_404": "bass",
        },
    ),
    Corpus(
        "csd-zenodo",
        "Choral Singing Dataset as published; singer 1 of each section",
        "CC BY 4.0",
        "Cuesta et al., ICMPC 2018; Zenodo 2649950",
        stem=r".*?CSD_(?P<piece>ER|LI|ND)_(?P<source>soprano|alto|tenor|bass)_1\.wav",
    ),
    Corpus(
        "cantoria",
        "Cantoría Dataset, the pieces of the published test",
        "CC BY 4.0",
        "Cuesta, dissertation, Universitat Pompeu Fabra 2022; Zenodo",
        stem=r".*?Cantoria_(?P<piece>[A-Z0-9]+)_(?P<source>[SATB])\.wav",
        mixture=r".*?Cantoria_(?P<piece>[A-Z0-9]+)_Mix\.wav",
        sources=_SATB,
        only=("EJB1", "EJB2", "CEA"),
    ),
    Corpus(
        "dagstuhl",
        "Dagstuhl ChoirSet, quartets at their headset microphones",
        "CC BY 4.0",
        "Rosenzweig et al., TISMIR 2020; Zenodo 3897182",
        stem=r".*?DCS_(?P<piece>\w+_Quartet[AB]_\w+?)_(?P<source>[SATB])[12]_HSM\.wav",
        mixture=r".*?DCS_(?P<piece>\w+_Quartet[AB]_\w+?)_Stereo_STM\.wav",
        sources=_SATB,
    ),
    Corpus(
        "esmuc",
        "ESMUC Choir Dataset; singer 1 of each section",
        "CC BY 4.0",
        "Cuesta, dissertation, Universitat Pompeu Fabra 2022; Zenodo 5848990",
        stem=r".*?(?P<piece>[A-Z0-9]+_\w+?_take\d+)_(?P<source>[SATB])1\.wav",
        sources=_SATB,
    ),
    Corpus(
        "bcbsq",
        "Bach Chorales and Barbershop Quartets, ten-second parts",
        "commercial recordings, not to be passed on",
        "PG Music",
        stem=r".*?(?P<piece>\d+_B[CQ]\d+_part\d+)_(?P<source>[satb])_1ch\.wav",
        sources={letter.lower(): voice for letter, voice in _SATB.items()},
    ),
    Corpus(
        "urmp",
        "University of Rochester Multi-Modal Music Performance Dataset",
        "CC0",
        "Li et al., IEEE Transactions on Multimedia 2019",
        stem=r".*?(?P<piece>\d+_[^/]+)/AuSep_(?P<source>\d+_[a-z]+)_[^/]+\.wav",
        mixture=r".*?(?P<piece>\d+_[^/]+)/AuMix_[^/]+\.wav",
    ),
    Corpus(
        "bach10",
        "Bach10 Dataset v1.1",
        "for research, not to be passed on",
        "Duan, Pardo & Zhang, TASLP 2010",
        stem=r".*?(?P<piece>\d+-[^/]+)/[^/]+-(?P<source>violin|clarinet|saxphone|saxophone|bassoon)\.wav",
        mixture=r".*?(?P<piece>\d+-[^/]+)/(?P=piece)\.wav",
        sources={"saxphone": "saxophone"},
    ),
    Corpus(
        "choralsynth",
        "ChoralSynth",
        "CC BY-NC-SA 4.0",
        "Narang et al., 2023; Zenodo 10137883",
        stem=r".*?(?P<piece>[^/]+)/voices/(?P<source>[^/]+)\.\w+",
    ),
    Corpus(
        "musdb",
        "MUSDB18-HQ and any corpus with one folder per piece laid out like it",
        "for research; see the corpus",
        "Rafii et al., 2017",
        stem=r"(?:.*/)?(?P<piece>[^/]+)/(?P<source>(?!mixture)[^/]+)\.wav",
        mixture=r"(?:.*/)?(?P<piece>[^/]+)/mixture\.wav",
    ),
)
"""Every corpus known by name."""
