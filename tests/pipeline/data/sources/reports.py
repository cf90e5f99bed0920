"""What a source reports."""


class Reports:
    """Collects reports, each as a sentence."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def __call__(self, path: str, reason: str) -> None:
        self.sentences.append(f"{path} {reason}")
