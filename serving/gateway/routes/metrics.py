"""`/metrics`, for Prometheus. It needs a key where there are keys; `--metrics-port` has it without one."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from serving.gateway.observation.metrics import CONTENT_TYPE, Metrics

router = APIRouter(tags=["The gateway"])


@router.get("/metrics", summary="Metrics for Prometheus", response_class=Response)
async def metrics(request: Request) -> Response:
    """Requests by model, route, version and status, their times, and what the process uses."""
    known: Metrics = request.app.state.metrics
    return Response(known.page(), headers={"Content-Type": CONTENT_TYPE})
