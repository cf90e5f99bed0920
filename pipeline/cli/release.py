"""The steps of a run, in their order. A DAG gives each of them the same run key."""

import typer

from pipeline.cli.options import Model, Run
from pipeline.cli.output import canonical_line

GROUP = "Release: the steps of a run, in this order"

HELP = {
    "snapshot": "Freeze the settings and the images of the run. Decline a run that no person has started while "
    "promotions are held, one of the schedule in which nothing has changed, and one that an event has started without "
    "new images.",
    "train": "Train the model of the run and export it as a SavedModel.",
    "evaluate": "Compare the candidate with the serving version on the same held-out images.",
    "gate": "Decide whether the candidate is good enough to be published.",
    "publish": "Store the approved candidate under the next version number, and verify every byte.",
    "canary": "Load the candidate on every replica and check its answers.",
    "promote": "Give the candidate the traffic, and wait until every replica answers from it.",
    "withdraw": "Remove the candidate of the run from the replicas, also after a promotion that stopped half-way.",
}

commands = typer.Typer()


def _add(name: str, description: str) -> None:
    def command(model: Model, run: Run) -> None:
        from pipeline.run_verbs import RUN_VERBS, run_once

        (verb,) = (each for each in RUN_VERBS if each.name == name)
        with canonical_line(name, model, run) as (context, line):
            line.update(run_once(verb, context).summary())

    commands.command(name, help=description, rich_help_panel=GROUP)(command)


for _name, _description in HELP.items():
    _add(_name, _description)
