"""The FastAPI application: models, documentation, and a well-formed no to everything else.

Imported late: FastAPI takes longer to import than the gateway needs to start.
"""

from collections.abc import Mapping

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from inferry.api.snapshot import EndpointState, ServedModel
from inferry.gateway import errors
from inferry.gateway.errors import Dialect, Problem, error_object
from inferry.gateway.probes import PROBES
from inferry.gateway.routes import RULES
from inferry.gateway.table import Target, unknown_model
from inferry.gateway.worker import Worker

REQUEST_SCHEMA = {
    "type": "object",
    "required": ["model"],
    "properties": {"model": {"type": "string", "description": "A served name, see /v1/models"}},
    "additionalProperties": True,
}
"""All the gateway asks of a body; the rest is between client and engine."""
REQUEST_BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": REQUEST_SCHEMA}}}}


def build_application(worker: Worker) -> FastAPI:
    application = FastAPI(title="inferry gateway", redoc_url=None)
    answers = _Answers(worker)
    application.add_api_route("/v1/models", answers.models, summary="Every served model")
    application.add_api_route("/v1/models/{name:path}", answers.model, summary="One model; names may have slashes")
    for path, probe in PROBES.items():
        application.add_api_route(path, answers.probe, summary=probe.__doc__, name=path)
    for path in (rule.path for rule in RULES.values()):
        # Relayed before they reach the application; here for the documentation, and for 405 on other methods.
        application.add_api_route(path, answers.relayed, methods=["POST"], name=path, openapi_extra=REQUEST_BODY)
    application.add_exception_handler(HTTPException, answers.refused)
    application.add_exception_handler(Exception, answers.failed)
    return application


class _Answers:
    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    async def models(self) -> JSONResponse:
        """Every served name, also of models without a ready endpoint: they will have one."""
        models = self._worker.table.models if self._worker.table is not None else ()
        data = [model_object(model, name) for model in models for name in model.names]
        return JSONResponse({"object": "list", "data": data})

    async def model(self, name: str, request: Request) -> JSONResponse:
        targets: Mapping[str, Target] = self._worker.table.targets if self._worker.table is not None else {}
        target = targets.get(name)
        if target is None:
            return _problem(request, errors.UNKNOWN_MODEL, unknown_model(name, targets))
        return JSONResponse(model_object(target.model, name))

    async def probe(self, request: Request) -> Response:
        status, content_type, body = PROBES[request.url.path](self._worker)
        return Response(body, status, media_type=content_type)

    async def relayed(self, request: Request) -> JSONResponse:
        return _problem(request, errors.INTERNAL, "Inference requests do not come this way.")

    async def refused(self, request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        path = request.url.path[:200]
        if error.status_code == errors.METHOD_NOT_SUPPORTED.status:
            message = f"{path} does not take {request.method}."
            return _problem(request, errors.METHOD_NOT_SUPPORTED, message, error.headers)
        return _problem(request, errors.UNKNOWN_URL, f"There is no {request.method} {path} here.")

    async def failed(self, request: Request, error: Exception) -> JSONResponse:
        self._worker.metrics.errors += 1
        return _problem(request, errors.INTERNAL, "The gateway failed to answer.")


def model_object(model: ServedModel, name: str) -> dict[str, object]:
    """One entry of the list, with the fields that vLLM's clients read."""
    ready = any(endpoint.state is EndpointState.READY for endpoint in model.endpoints)
    described: dict[str, object] = {
        "id": name,
        "object": "model",
        "created": model.created,
        "owned_by": "inferry",
        "root": model.names[0],
        "parent": None,
        "ready": ready,
    }
    if model.context_length is not None:
        described["max_model_len"] = model.context_length
    if not ready:
        described["waiting"] = {"reason": model.waiting_reason, "message": model.waiting_message}
    return described


def _problem(
    request: Request, problem: Problem, message: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    body = error_object(problem, message, Dialect.OPENAI, request.state.request_id.decode())
    return JSONResponse(body, problem.status, headers)
