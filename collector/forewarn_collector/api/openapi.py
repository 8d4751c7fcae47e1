"""`/api/openapi.json`: our own API in OpenAPI 3.1, made of the operations that serve it."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from aiohttp import web

from forewarn_collector.api.answers import json_bytes
from forewarn_collector.api.fields import Field, Many, Schema, body_schema
from forewarn_collector.api.operations import EVENTS, JSON, Operation
from forewarn_collector.api.rights import RIGHTS
from forewarn_collector.api.schemas import SCHEMAS

_OF_EACH = (400, 401, 403, 413, 503)
_PHRASES = {401: "No token, or a wrong one.", 403: "The token's role or customer may not do that."}
_ABOUT = (
    "Tasks, silences, queues and the audit log of a Forewarn collector. Times are ms since epoch. "
    "What a customer's token sees is only its own."
)


class OpenApi:
    """Serves the description of operations."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._body = json_bytes(document(operations))

    def routes(self) -> list[web.RouteDef]:
        """The routes."""
        return [web.get("/api/openapi.json", self._document)]

    async def _document(self, request: web.Request) -> web.Response:
        return web.Response(body=self._body, content_type=JSON)


def document(operations: Sequence[Operation]) -> dict[str, Any]:
    """The description of operations in OpenAPI 3.1."""
    paths: dict[str, dict[str, Any]] = {}
    for each in operations:
        paths.setdefault(each.path, {})[each.method.lower()] = _described(each)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Forewarn", "version": version("forewarn"), "description": _ABOUT},
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "password": {"type": "http", "scheme": "basic"},
            },
        },
        "security": [{"token": []}, {"password": []}],
    }


def _described(operation: Operation) -> dict[str, Any]:
    roles = ", ".join(sorted(RIGHTS[operation.method, operation.path].roles))
    found: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.about,
        "description": f"For the roles {roles}.",
        "parameters": [
            *(_parameter(field, "path") for field in operation.in_path),
            *(_parameter(field, "query") for field in operation.query),
            *(_parameter(field, "header") for field in operation.headers),
        ],
        "responses": _responses(operation),
    }
    if operation.body is not None:
        schema = body_schema(operation.body)
        found["requestBody"] = {"required": True, "content": {JSON: {"schema": schema}}}
    return found


def _parameter(field: Field, place: str) -> dict[str, Any]:
    schema = field.kind.schema()
    if field.default not in (None, ""):
        schema = {**schema, "default": field.default}
    found: dict[str, Any] = {
        "name": field.name,
        "in": place,
        "description": field.about,
        "schema": schema,
    }
    if place == "path" or field.required:
        found["required"] = True
    if isinstance(field.kind, Many):
        found |= {"style": "form", "explode": True}
    return found


def _responses(operation: Operation) -> dict[str, Any]:
    answer: Schema = {"$ref": f"#/components/schemas/{operation.answer}"}
    if operation.media == EVENTS:
        # An event's data is the answer; the stream of them is text.
        answer = {"type": "string", "description": f"Events whose data are a {operation.answer}."}
    elif operation.media != JSON:
        answer = {"type": "string", "description": operation.answer}
    success: dict[str, Any] = {
        "description": operation.about,
        "content": {operation.media: {"schema": answer}},
    }
    if operation.answer_headers:
        text = {"schema": {"type": "string"}}
        success["headers"] = dict.fromkeys(operation.answer_headers, text)
    found: dict[str, Any] = {"200": success}
    error = {JSON: {"schema": {"$ref": "#/components/schemas/Error"}}}
    for status in sorted({*_OF_EACH, *operation.errors}):
        phrase = _PHRASES.get(status, HTTPStatus(status).phrase)
        found[str(status)] = {"description": phrase}
        if status != HTTPStatus.NOT_MODIFIED:
            found[str(status)]["content"] = error
    return found
