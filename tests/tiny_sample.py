"""The recipe of 40 QCD dijet events in shards of 20: a few selected events in each shard."""

from fivesigma.detector import CMS
from fivesigma.events import Process
from fivesigma.jets import JetDefinition
from fivesigma.selection import Cut, Selection
from fivesigma.store import Recipe

INFINITY = float("inf")
PROCESS = Process(
    name="dijets",
    settings=(
        "Beams:idA = 2212",
        "Beams:idB = 2212",
        "Beams:eCM = 13000",
        "PartonLevel:MPI = off",
        "HardQCD:all = on",
        "PhaseSpace:pTHatMin = 700",
        "PhaseSpace:mHatMin = 4000",
    ),
)
SELECTION = Selection(
    cuts=(
        Cut("two jets", "n_jets", ((2, INFINITY),)),
        Cut("hard", "lowest pt", ((750.0, INFINITY),)),
    ),
    regions=(Cut("heavy", "m_jj", ((4000.0, INFINITY),)),),
)
RECIPE = Recipe(PROCESS, CMS, JetDefinition(), SELECTION, seed=3, shard_events=20)
