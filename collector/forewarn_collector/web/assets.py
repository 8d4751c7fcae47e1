"""The page's own files, named by what is in them, so that browsers keep them for good."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_FOR_GOOD = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class _Asset:
    content: bytes
    content_type: str
    version: str


class Assets:
    """The files of a folder, and texts that are made at the start, by their names."""

    def __init__(self, folder: Path, made: Mapping[str, str]) -> None:
        files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
        files |= {name: text.encode() for name, text in made.items()}
        self._assets = {
            name: _Asset(content, _TYPES[Path(name).suffix], _digest(content))
            for name, content in files.items()
        }

    def url(self, name: str) -> str:
        """Where a file is found; another address once it is another file."""
        return f"/static/{name}?v={self._assets[name].version}"

    def routes(self) -> list[web.RouteDef]:
        """The route that serves them."""
        return [web.get("/static/{name}", self._serve)]

    async def _serve(self, request: web.Request) -> web.Response:
        asset = self._assets.get(request.match_info["name"])
        if asset is None:
            raise web.HTTPNotFound(text="there is no such file\n")
        named = request.query.get("v") == asset.version
        headers = {
            "ETag": f'"{asset.version}"',
            "Cache-Control": _FOR_GOOD if named else "no-cache",
            "X-Content-Type-Options": "nosniff",
        }
        if f'"{asset.version}"' in request.headers.get("If-None-Match", ""):
            return web.Response(status=304, headers=headers)
        response = web.Response(
            body=asset.content, content_type=asset.content_type, charset="utf-8", headers=headers
        )
        response.enable_compression()
        return response


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
