"""The text of `make status`: the state of each component, why a process restarts, and which command to run next."""

import shlex
from datetime import UTC, datetime

from embedded import health, unserved
from embedded.health import AIRFLOW_API, Component, State
from embedded.settings import StackSettings
from embedded.supervision import supervisor
from embedded.supervision.process_states import ProcessState


def status_lines(settings: StackSettings) -> list[str]:
    """A title, a line for each component, what to do about each that is down, and the models without replicas."""
    components, states = health.check_components(settings), supervisor.states(settings)
    now = datetime.now(UTC)
    text = [f"Roll-out {settings.rollout!r}, in {settings.var}"]
    unknown = _unknown(components, states)
    width = max(len(each.name) for each in components)
    text += [
        f"{'?':5}  {each.name:{width + 36}}  not known while Airflow's API server does not answer"
        if each in unknown
        else _line(each, states.get(each.log), now, width=width)
        for each in components
    ]
    text += _advice(settings, [each for each in components if each not in unknown], states)
    return text + unserved.lines(settings)


def _line(component: Component, state: ProcessState | None, now: datetime, *, width: int) -> str:
    """One component; names are filled up to `width`, so that addresses and remarks stand in columns."""
    line = f"{component.state:5}  {component.name:{width}}  {component.address}".rstrip()
    remark = _remark(component, state, now)
    return f"{line:{width + 43}}  {remark}" if remark else line


def _remark(component: Component, state: ProcessState | None, now: datetime) -> str:
    remarks = ["for its first version"] if component.state is State.WAITS else []
    if state and state.next_start:
        remarks.append(f"restarting in {max((state.next_start - now).total_seconds(), 0):.0f} s")
    elif state and state.since and (component.state is State.DOWN or state.ends):
        remarks.append(f"process {state.pid} has run for {_span(now, state.since)}")
    if state and state.ended:
        times = "once" if state.ends == 1 else f"{state.ends} times"
        remarks.append(f"ended {times}, the last time {_span(now, state.ended)} ago: {state.last_end}")
    return "; ".join(remarks)


def _advice(settings: StackSettings, components: list[Component], states: dict[str, ProcessState]) -> list[str]:
    down = [component for component in components if component.state is State.DOWN]
    up = settings.command("up")
    if not supervisor.running(settings):
        if len(down) == len(components):
            return [f"The stack is not up. To start it: `{up}`."]
        return [
            "The supervisor has ended. Running processes go on, but a process that ends is not started again.",
            f"To restart everything: `{up}`. The replicas then do not answer for some seconds.",
        ]
    if not down:
        return []
    return [
        *(_explanation(settings, each, states.get(each.log)) for each in down),
        f"To wait until everything answers: `{up}`.",
    ]


def _unknown(components: list[Component], states: dict[str, ProcessState]) -> list[Component]:
    """Airflow's other running processes if its API server is down: only that server knows whether they are healthy."""
    if any(each.log == AIRFLOW_API and each.state is State.UP for each in components):
        return []
    running = {name for name, state in states.items() if state.pid is not None}
    return [each for each in components if not each.address and each.log in running]


def _explanation(settings: StackSettings, component: Component, state: ProcessState | None) -> str:
    log = shlex.quote(str(settings.logs / f"{component.log}.log"))
    doing = "will be started again by itself" if state and state.next_start else "runs, and does not answer yet"
    return f"{component.name} {doing}. Its log says why: `tail -n 30 {log}`"


def _span(now: datetime, then: datetime) -> str:
    seconds = max((now - then).total_seconds(), 0)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
