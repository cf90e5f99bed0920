"""References to variables are expanded as Kubernetes does it."""

import pytest

from tests.kubernetes.environment import expand


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$(VAR)", "value"),
        ("a $(VAR)$(VAR) b", "a valuevalue b"),
        ("$(EMPTY)", ""),
        ("$(UNKNOWN)", "$(UNKNOWN)"),
        ("$()", "$()"),
        ("$$", "$"),
        ("$$(VAR)", "$(VAR)"),
        ("$$$(VAR)", "$value"),
        ("$$$$(VAR)", "$$(VAR)"),
        ("$(VAR", "$(VAR"),
        ("$(VAR and $$", "$(VAR and $"),
        ("$VAR", "$VAR"),
        ("${VAR}", "${VAR}"),
        ("$", "$"),
        ("5$", "5$"),
        ("$(RECURSIVE)", "$(VAR)"),
        ("$(with space)", "x"),
        ("$\n(VAR)", "$\n(VAR)"),
        ("$($(VAR))", "$($(VAR))"),
    ],
)
def test_expansion(text: str, expected: str) -> None:
    variables = {"VAR": "value", "EMPTY": "", "RECURSIVE": "$(VAR)", "with space": "x"}
    assert expected == expand(text, variables)
