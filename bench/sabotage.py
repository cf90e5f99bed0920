"""What users notice of a candidate that sabotages its servers: a fleet with a first ring against one without.

    python -m bench.sabotage [--only "killed at load"] [--rollout pinned latest]

Three model servers in processes of their own, which are started again a second after they end; a client that asks all
of them 60 times a second, whether or not answers come; and the settings that a fleet has by default (a poll each
second, `rpc_seconds` 5, `silent_seconds` 5), but for a soak of 2 s and a deadline of 6 s for a load. Each line of the
table is one release of a candidate that does to its servers what the first column says; see `tests.sabotage.sabotages`.
A process that has stopped is killed after 3 s, or 15 s where it says "for long", as a kubelet would do.
"""

import argparse
import logging
import tempfile
from collections.abc import Iterable
from pathlib import Path

from pipeline.deployment import RolloutName
from tests.sabotage import sabotages
from tests.sabotage.sabotages import Sabotage
from tests.sabotage.trial import Outcome, run_trial

ROLLOUTS: tuple[RolloutName, ...] = ("pinned", "latest")
SABOTAGES = (
    sabotages.KILLED_AT_LOAD,
    sabotages.KILLED_AT_WARM_UP,
    sabotages.OUT_OF_MEMORY,
    sabotages.KILLED_AT_REQUEST_5,
    sabotages.KILLED_AT_REQUEST_20,
    sabotages.STOPS_AT_LOAD,
    sabotages.STOPS_AT_REQUEST_5,
    sabotages.STOPS_FOR_LONG,
    sabotages.HANGS_AT_LOAD,
    sabotages.SLOW_LOAD,
)
HEAD = (
    "sabotage",
    "first ring",
    "roll-out",
    "failed requests",
    "without an answer",
    "slowest answer",
    "restarts",
    "first death to retreat",
    "candidate's answers",
    "canary, journal",
)


def cells(sabotage: Sabotage, rollout: str, outcome: Outcome, *, ring: bool) -> Iterable[str]:
    answers = sum(outcome.by_replica)
    return (
        sabotage.name,
        "yes" if ring else "no",
        rollout,
        f"{len(outcome.failures)} of {outcome.requests}",
        f"{outcome.longest_gap:.1f} s",
        f"{outcome.slowest:.1f} s",
        ", ".join(map(str, outcome.restarts)),
        f"{outcome.to_retreat:.1f} s" if outcome.died else f"no death, {outcome.to_retreat:.1f} s after the exposure",
        f"{answers} of {outcome.beside}" if answers else "0",
        f"{outcome.canary}, {outcome.journal}",
    )


def line(texts: Iterable[str]) -> str:
    return f"| {' | '.join(texts)} |"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.sabotage", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=[each.name for each in SABOTAGES])
    parser.add_argument("--rollout", nargs="+", choices=ROLLOUTS, default=ROLLOUTS)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    print(line(HEAD), line("---" for _ in HEAD), sep="\n", flush=True)  # noqa: T201
    for sabotage in (each for each in SABOTAGES if not options.only or each.name in options.only):
        # Without a soak a canary asks 16 times.
        for ring in (True,) if sabotage is sabotages.KILLED_AT_REQUEST_20 else (True, False):
            for rollout in options.rollout:
                with tempfile.TemporaryDirectory() as folder:
                    outcome = run_trial(Path(folder), sabotage, rollout=rollout, ring=ring)
                print(line(cells(sabotage, rollout, outcome, ring=ring)), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
