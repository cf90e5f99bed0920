"""What the documents say is there, and what is there is in the documents."""

import re
from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from pipeline.cli import app
from pipeline.errors import ExitCode
from pipeline.spec import FROM_A_FILE, Data, DataChecks, ModelSpec, parse
from serving.model_server.flags import Flags
from tests.chart.test_docs import anchors

PROJECT = Path(__file__).parents[1]
README = (PROJECT / "README.md").read_text(encoding="utf-8")
DATA = (PROJECT / "docs" / "data.md").read_text(encoding="utf-8")
SERVER = (PROJECT / "docs" / "model-server.md").read_text(encoding="utf-8")
# Of the server, too small to have a line of their own on its page.
SMALL_PARTS = {"__init__", "cpus", "model", "notation", "periodic", "status", "text_proto"}
COMMANDS = get_command(app).commands  # type: ignore[attr-defined]
# Each verb with its help; those of a group have two words, `fleet show`.
HELP = {
    name: command.help
    for verb, whole in COMMANDS.items()
    for name, command in (
        [(f"{verb} {each}", part) for each, part in whole.commands.items()]
        if hasattr(whole, "commands")
        else [(verb, whole)]
    )
}
VERBS = sorted(HELP)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_in_the_readme_and_helps(verb: str) -> None:
    assert f"`{verb}`" in README
    assert HELP[verb]


@pytest.mark.parametrize("code", [*ExitCode, 2])
def test_every_exit_code_is_in_the_readme(code: int) -> None:
    assert re.search(rf"^\| {int(code)} \| ", README, re.MULTILINE)


def test_every_help_group_is_in_the_readme_and_has_verbs() -> None:
    groups = {command.rich_help_panel for command in COMMANDS.values()}

    assert {"On call", "Inspect", "Ask", "Release", "Fleet", "Data"} == {group.partition(":")[0] for group in groups}
    assert all(f"*{group.partition(':')[0]}*" in README for group in groups)


def test_every_command_in_a_message_or_a_document_exists() -> None:
    """...with the name of a model, and none that starts an interpreter."""
    texts = [
        *(path.read_text(encoding="utf-8") for folder in ("pipeline", "dags", "embedded") for path in _sources(folder)),
        *(path.read_text(encoding="utf-8") for path in _pages()),
    ]
    # A text that is divided between two lines of code is one text.
    whole = [re.sub(r'"\s*\n\s*f?"', "", text) for text in texts]
    # `kubectl --namespace understudy get pods --watch` is none, nor is `docker compose --project-name understudy down`.
    command = re.compile(r"(?<!--namespace )(?<!--project-name )understudy ([a-z]+(?: [a-z]+)?) --")
    named = [each for text in whole for each in command.findall(text)]

    assert len(named) > 30
    assert set() == set(named) - set(VERBS)
    assert [] == [text for text in whole if "run `python -m pipeline" in text]


def test_no_page_waits_for_a_number() -> None:
    """Numbers that are still to be measured stand as @@ in a draft."""
    beside_code = [path for folder in (".", "bench", "charts/understudy") for path in (PROJECT / folder).glob("*.md")]
    pages = {*_pages(), *beside_code}

    assert PROJECT / "CHANGELOG.md" in pages
    assert [] == sorted(str(path) for path in pages if "@@" in path.read_text(encoding="utf-8"))


def _pages() -> list[Path]:
    below = [path for folder in ("docs", "docker") for path in (PROJECT / folder).rglob("*.md")]
    return [PROJECT / "README.md", *below]


def _sources(folder: str) -> list[Path]:
    return sorted((PROJECT / folder).rglob("*.py"))


def test_every_make_target_named_in_the_readme_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    named = set(
        re.findall(r"\bmake ([a-z][a-z-]*)\b", "\n".join(re.findall(r"`[^`]+`|^make .*$", README, re.MULTILINE)))
    )

    assert named
    assert named <= targets


def test_every_link_and_picture_of_the_readme_is_there() -> None:
    targets = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]

    assert targets
    assert [] == [link for link in targets if not (PROJECT / link).exists()]


LINKING = sorted(path for folder in ("docs", "docker", "charts") for path in (PROJECT / folder).rglob("*.md"))


@pytest.mark.parametrize("page", LINKING, ids=lambda path: str(path.relative_to(PROJECT)))
def test_every_link_between_pages_leads_to_a_file_and_a_heading_of_it(page: Path) -> None:
    """A page without links has none that is wrong."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    links = [link.partition("#") for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    places = [(page.parent / target if target else page, anchor) for target, _, anchor in links]

    assert [] == [str(path) for path, _ in places if not path.exists()]
    assert [] == [f"{path}#{anchor}" for path, anchor in places if anchor and anchor not in anchors(path)]


def test_the_model_file_in_the_readme_is_a_model() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)

    assert "pets_offline" == parse(ModelSpec, yaml.safe_load(example), source="README.md").name


def test_each_block_of_yaml_on_the_page_about_data_is_the_section_of_a_model_file() -> None:
    """...and the page has each field of it."""
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", DATA, re.DOTALL)]

    assert len(blocks) > 3
    for block in blocks:
        assert ["data"] == list(block)
        Data.model_validate(block["data"], context=FROM_A_FILE)
    assert [] == [
        name for name in (*Data.model_fields, *DataChecks.model_fields) if not re.search(rf"\b{name}\b", DATA)
    ]


def test_every_link_and_picture_of_the_page_about_data_exists() -> None:
    links = [link.partition("#") for link in re.findall(r"\]\(([^)]+)\)", DATA)]

    assert links
    for target, _, anchor in links:
        path = PROJECT / "docs" / (target or "data.md")
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), f"{target}#{anchor}"


def test_the_server_s_page_names_each_of_its_modules() -> None:
    """...of what it stands on too; of REST and batching, which have many small ones, only the room."""
    server = PROJECT / "serving" / "model_server"
    rooms = [path for path in server.iterdir() if (path / "__init__.py").exists()]
    below = [PROJECT / "serving" / name for name in ("tensorflow", "inference")]
    listed = [server, *below, *(room for room in rooms if room.name not in ("batching", "rest"))]
    modules = {path.stem for folder in listed for path in folder.glob("*.py")} - {
        "__init__",
        "cpus",
        "model",
        "periodic_function",
        "servable",
        "text_proto",
        "type_names",
    }
    modules |= {f"{room.name}/" for room in rooms} | {f"serving/{folder.name}/" for folder in below}

    assert set() == {name for name in modules if f"`{name}`" not in SERVER}


def test_every_flag_the_server_s_page_names_exists() -> None:
    named = set(re.findall(r"--([a-z][a-z_]+)", SERVER)) - {"help", "name", "port"}
    known = {each.name for each in fields(Flags)}

    assert named
    assert set() == named - known
