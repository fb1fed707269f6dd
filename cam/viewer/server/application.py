"""The routes of the server, and the errors that they answer with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse
from starlette.exceptions import HTTPException

from cam import __version__
from cam.errors import CamError, InvalidValueError
from cam.explain.styles import PLACEMENTS, STYLES
from cam.viewer.page_files import PAGE, TEMPLATE
from cam.viewer.payload import color_tables
from cam.viewer.server import answers, schemas
from cam.viewer.server.access import AccessRules, Application, Guard, detail_of
from cam.viewer.server.limits import Limits, RefusedError
from cam.viewer.server.models import Models
from cam.viewer.server.uploads import FORM, Uploads
from cam.viewer.server.workers import Workers

_PAGE_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}

_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": schemas.Refusal, "description": meaning}
    for status, meaning in {
        400: "Not a picture, or a damaged one",
        401: "The token is missing",
        403: "Another site's page asks",
        408: "The request came too slowly",
        413: "The body or the picture is too large",
        415: "The body is of another type",
        422: "A value that cannot be taken",
        503: "The server is busy; Retry-After says when to ask again",
    }.items()
}

_BINARY = {"type": "string", "format": "binary"}

_PICTURE_BODY = {
    "requestBody": {
        "required": True,
        "description": "The bytes of a picture's file.",
        "content": {
            "image/*": {"schema": _BINARY},
            "application/octet-stream": {"schema": _BINARY},
        },
    }
}

_COMPARE_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            FORM: {
                "schema": {
                    "type": "object",
                    "required": ["picture", "result"],
                    "properties": {
                        "picture": {**_BINARY, "description": "The picture's file."},
                        "result": {
                            **_BINARY,
                            "description": "A .mat file, or a picture such as result.jpg.",
                        },
                    },
                }
            }
        },
    }
}


def _files(*media_types: str) -> dict[int | str, dict[str, Any]]:
    content = {media_type: {"schema": _BINARY} for media_type in media_types}
    return {**_REFUSALS, 200: {"description": "The file", "content": content}}


class Service:
    """What the routes share: models, threads, limits.

    Parameters
    ----------
    models : Models
        The models on offer.
    limits : Limits
        The limits.
    """

    def __init__(self, models: Models, limits: Limits) -> None:
        self.models = models
        self.limits = limits
        self.workers = Workers(limits)
        self.uploads = Uploads(limits)

    async def answer(
        self, request: Request, query: schemas.ExplainQuery, make: Callable[..., answers.Answer]
    ) -> Response:
        """Answer a request whose body is a picture."""
        self._check(query)
        async with self.uploads.picture(request) as data:
            return await self._made(request, query, make, data)

    async def comparison(self, request: Request, query: schemas.CompareQuery) -> Response:
        """Answer a request whose body is a form with a picture and a result."""
        self._check(query)
        async with self.uploads.form(request, ("picture", "result")) as files:
            return await self._made(request, query, answers.compare_with, *files)

    def _check(self, query: schemas.ExplainQuery) -> None:
        """Refuse what would be refused later, before the body has come."""
        self.workers.check()
        self.models.offer(query.model)

    async def _made(
        self,
        request: Request,
        query: schemas.ExplainQuery,
        make: Callable[..., answers.Answer],
        *bodies: object,
    ) -> Response:
        self.workers.check()
        model = await self.models.get(query.model)

        def work() -> answers.Answer:
            return make(model, *bodies, query, self.limits)

        made = await self.workers.run(work, request.receive)
        return Response(made.body, media_type=made.media_type)

    def stop(self) -> None:
        """Begin nothing more."""
        self.workers.stop()
        self.models.stop()


def guarded_application(service: Service, rules: AccessRules) -> Application:
    """Return the server's whole ASGI application."""
    application = FastAPI(
        title="cam serve",
        version=__version__,
        description="Class activation maps of pictures.",
        docs_url=None,
        redoc_url=None,
        responses=_REFUSALS,
    )
    _add_errors(application)
    _add_lists(application, service)
    _add_pictures(application, service)
    _add_page(application)
    return Guard(application, rules)


def _add_errors(application: FastAPI) -> None:
    async def refuse(request: Request, error: Exception) -> Response:
        refused = refusal_of(error)
        return Response(
            detail_of(refused.detail), refused.status, refused.headers, "application/json"
        )

    for kind in (RefusedError, CamError, RequestValidationError, HTTPException, Exception):
        application.add_exception_handler(kind, refuse)


def refusal_of(error: Exception) -> RefusedError:
    """Return what is answered where an error stops a request."""
    if isinstance(error, RefusedError):
        return error
    if isinstance(error, CamError):
        return RefusedError(422 if isinstance(error, InvalidValueError) else 400, str(error))
    if isinstance(error, RequestValidationError):
        faults = [f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}" for one in error.errors()]
        return RefusedError(422, "; ".join(faults[:5]))
    if isinstance(error, HTTPException):
        return RefusedError(error.status_code, error.detail, **dict(error.headers or {}))
    return RefusedError(500, f"an error in the program: {type(error).__name__}")


def _add_lists(application: FastAPI, service: Service) -> None:
    models = service.models

    @application.get("/api/health", response_model=schemas.Health)
    async def health() -> dict[str, str]:
        """Say that the server answers."""
        return {"status": "ok", "version": __version__}

    @application.get("/api/models", response_model=schemas.ModelList)
    async def list_models() -> dict[str, Any]:
        """List the models, the styles and the placements that can be asked for."""
        entries = [
            {
                "name": offer.name,
                "note": offer.note,
                "available": offer.is_here(),
                "default": offer.name == models.default,
                "classes": len(offer.class_names),
            }
            for offer in models.offers.values()
        ]
        return {"models": entries, "styles": STYLES, "placements": PLACEMENTS}

    @application.get(
        "/api/models/{name}/classes",
        response_model=schemas.ClassList,
        responses={404: {"model": schemas.Refusal, "description": "No such model"}},
    )
    async def search_classes(
        name: str,
        query: Annotated[
            str, Query(max_length=200, description="A part of the class's name; all without.")
        ] = "",
        limit: Annotated[int, Query(ge=1, le=10000, description="How many at most.")] = 10000,
    ) -> dict[str, Any]:
        """Search a model's classes by name."""
        names = models.offer(name, 404).class_names
        found = [k for k, each in enumerate(names) if query.lower() in each.lower()]
        entries = [{"index": index, "name": names[index]} for index in found[:limit]]
        return {"classes": entries, "found": len(found)}

    @application.get("/api/colormaps")
    async def color_maps() -> dict[str, str]:
        """Return the colour maps of the page: base64 of 256 times red, green, blue, by name."""
        return color_tables()


def _add_pictures(application: FastAPI, service: Service) -> None:
    @application.post(
        "/api/explain",
        responses={**_REFUSALS, 200: {"model": schemas.Explained}},
        openapi_extra=_PICTURE_BODY,
    )
    async def explain(
        request: Request, query: Annotated[schemas.ExplainQuery, Query()]
    ) -> Response:
        """Return the classes of a picture and their raw maps."""
        return await service.answer(request, query, answers.explain)

    @application.post(
        "/api/overlay",
        responses=_files("image/png", "image/jpeg"),
        openapi_extra=_PICTURE_BODY,
        response_class=Response,
    )
    async def overlay(
        request: Request, query: Annotated[schemas.OverlayQuery, Query()]
    ) -> Response:
        """Return a picture with the heat map of one class over it."""
        return await service.answer(request, query, answers.overlay)

    @application.post(
        "/api/export",
        responses=_files(*answers.MEDIA_TYPES.values()),
        openapi_extra=_PICTURE_BODY,
        response_class=Response,
    )
    async def export(request: Request, query: Annotated[schemas.ExportQuery, Query()]) -> Response:
        """Return the result as a file."""
        response = await service.answer(request, query, answers.export)
        response.headers["content-disposition"] = f'attachment; filename="cam.{query.format}"'
        return response

    @application.post(
        "/api/compare",
        responses={**_REFUSALS, 200: {"model": schemas.Compared}},
        openapi_extra=_COMPARE_BODY,
    )
    async def compare(
        request: Request, query: Annotated[schemas.CompareQuery, Query()]
    ) -> Response:
        """Measure how far a picture's result is from one of MATLAB."""
        return await service.comparison(request, query)


def _add_page(application: FastAPI) -> None:
    files = {path.name: path for path in PAGE.iterdir() if path.suffix in _PAGE_TYPES}
    # A report's template is no page yet.
    del files[TEMPLATE.name]

    @application.get("/", include_in_schema=False)
    @application.get("/{name}", include_in_schema=False)
    async def page(name: str = "live.html") -> Response:
        if name not in files:
            raise RefusedError(404, "Not Found")
        return FileResponse(files[name], media_type=_PAGE_TYPES[files[name].suffix])
