"""A small stand-in for the Hub, over HTTP, for the real client: uploads, downloads, and faults on demand."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_" + "TestTokenNeverWrittenAnywhere"
USER = "tester"


@dataclass
class Repo:
    """One repository: files of its only branch, and how many commits made them; `sdk` of a Space."""

    files: dict[str, bytes] = field(default_factory=dict)
    commits: int = 0
    private: bool = False
    sdk: str | None = None

    @property
    def sha(self) -> str:
        return hashlib.sha1(str(self.commits).encode()).hexdigest()


@dataclass
class Hub:
    """What the server holds and has seen.

    A Space stands among the `repos` under "spaces/owner/name", a data set under "datasets/owner/name".

    `faults` maps a pattern of "METHOD path" to answers given in turn, before the real one: a status, or "cut" for a
    connection that breaks in the middle of what the client sends.
    """

    endpoint: str = ""
    repos: dict[str, Repo] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    collections: dict[str, list[str]] = field(default_factory=dict)
    readonly: set[str] = field(default_factory=set)
    faults: dict[str, list[int | str]] = field(default_factory=dict)
    seen: Counter = field(default_factory=Counter)
    bodies: list[bytes] = field(default_factory=list)

    def uploads(self) -> int:
        """LFS objects received."""
        return sum(count for request, count in self.seen.items() if request.startswith("PUT /lfs/"))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer("HEAD")

    def do_GET(self) -> None:
        self.answer("GET")

    def do_POST(self) -> None:
        self.answer("POST")

    def do_PUT(self) -> None:
        self.answer("PUT")

    def answer(self, method: str) -> None:
        path = unquote(urlsplit(self.path).path)
        request = f"{method} {path}"
        self.hub.seen[request] += 1
        for pattern, answers in self.hub.faults.items():
            if answers and re.search(pattern, request):
                fault = answers.pop(0)
                if fault == "cut":
                    self.rfile.read(min(1000, int(self.headers.get("Content-Length") or 0)))
                    self.close_connection = True
                    self.connection.close()
                    return
                self.read()
                self.send({"error": f"fault {fault}"}, status=fault)
                return
        body = self.read()
        self.hub.bodies.append(body)
        known = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if method in ("POST", "PUT") and not re.match("/lfs/|.*/paths-info/", path) and not known:
            self.send({"error": "Invalid username or password."}, status=401)
            return
        for pattern, handle in ROUTES:
            if found := re.fullmatch(pattern, re.sub(r" /api/(spaces|datasets)/", r" /api/models/\1/", request)):
                handle(self, known, body, *found.groups())
                return
        self.send({"error": "not found"}, status=404)

    def read(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def send(self, content: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(raw)

    def repo(self, repo_id: str) -> Repo | None:
        found = self.hub.repos.get(repo_id)
        if found is None:
            self.send({"error": "Repository not found"}, status=404, headers={"X-Error-Code": "RepoNotFound"})
        return found


def whoami(handler: Handler, known: bool, _: bytes) -> None:
    if known:
        handler.send({"type": "user", "name": USER, "fullname": USER, "orgs": [], "auth": {"type": "access_token"}})
    else:
        handler.send({"error": "Invalid user token."}, status=401)


def create(handler: Handler, _: bool, body: bytes) -> None:
    asked = json.loads(body)
    repo_id = f"{asked.get('organization') or USER}/{asked['name']}"
    refused = repo_id.split("/")[0] == "forbidden"
    repo_id = f"spaces/{repo_id}" if asked.get("type") == "space" else repo_id
    url = {"url": f"{handler.hub.endpoint}/{repo_id}"}
    if refused:
        handler.send({"error": "You don't have the rights"}, status=403)
    elif repo_id in handler.hub.repos:
        handler.send(url, status=409)
    else:
        private = asked.get("visibility") == "private" or bool(asked.get("private"))
        handler.hub.repos[repo_id] = Repo(private=private, sdk=asked.get("sdk"))
        handler.send(url)


def auth_check(handler: Handler, known: bool, _: bytes, repo_id: str) -> None:
    if handler.repo(repo_id):
        handler.send({}, status=200 if known and repo_id not in handler.hub.readonly else 403)


def blob_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def preupload(handler: Handler, _: bool, body: bytes, repo_id: str) -> None:
    if repo := handler.repo(repo_id):
        files = []
        for asked in json.loads(body)["files"]:
            large = asked["path"].endswith((".safetensors", ".png"))
            old = repo.files.get(asked["path"])
            oid = None if old is None else hashlib.sha256(old).hexdigest() if large else blob_id(old)
            mode = "lfs" if large else "regular"
            files.append({"path": asked["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        handler.send({"files": files})


def lfs_batch(handler: Handler, _: bool, body: bytes, repo_id: str) -> None:
    objects = []
    for asked in json.loads(body)["objects"]:
        entry = {"oid": asked["oid"], "size": asked["size"]}
        if asked["oid"] not in handler.hub.objects:
            entry["actions"] = {
                "upload": {"href": f"{handler.hub.endpoint}/lfs/{asked['oid']}"},
                "verify": {"href": f"{handler.hub.endpoint}/lfs/verify"},
            }
        objects.append(entry)
    handler.send({"transfer": "basic", "objects": objects})


def lfs_put(handler: Handler, _: bool, body: bytes, oid: str) -> None:
    assert hashlib.sha256(body).hexdigest() == oid
    handler.hub.objects[oid] = body
    handler.send({})


def commit(handler: Handler, _: bool, body: bytes, repo_id: str) -> None:
    if repo := handler.repo(repo_id):
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                repo.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                repo.files[value["path"]] = handler.hub.objects[value["oid"]]
            elif line["key"] == "deletedFile":
                repo.files.pop(value["path"], None)
        repo.commits += 1
        url = f"{handler.hub.endpoint}/{repo_id}/commit/{repo.sha}"
        handler.send({"success": True, "commitOid": repo.sha, "commitUrl": url, "hookOutput": ""})


def info(handler: Handler, _: bool, __: bytes, repo_id: str) -> None:
    if repo := handler.repo(repo_id):
        names = [{"rfilename": name} for name in repo.files]
        handler.send(
            {
                "id": re.sub("^(spaces|datasets)/", "", repo_id),
                "sha": repo.sha,
                "siblings": names,
                "private": repo.private,
                "tags": [],
            }
        )


def tree(handler: Handler, _: bool, __: bytes, repo_id: str, folder: str | None = None) -> None:
    """All files of a repository, or of one folder of it."""
    if repo := handler.repo(repo_id):
        prefix = f"{folder}/" if folder else ""
        inside = {name: content for name, content in repo.files.items() if name.startswith(prefix)}
        if folder and not inside:
            handler.send({"error": "not found"}, status=404, headers={"X-Error-Code": "EntryNotFound"})
            return
        handler.send([entry(name, content) for name, content in inside.items()])


def entry(name: str, content: bytes) -> dict[str, Any]:
    return {"type": "file", "path": name, "oid": blob_id(content), "size": len(content)}


def paths_info(handler: Handler, _: bool, body: bytes, repo_id: str) -> None:
    if repo := handler.repo(repo_id):
        asked = json.loads(body)["paths"]
        handler.send([entry(name, content) for name, content in repo.files.items() if name in asked])


def resolve(handler: Handler, _: bool, __: bytes, repo_id: str, path: str) -> None:
    if repo := handler.repo(repo_id):
        headers = {"X-Repo-Commit": repo.sha}
        if path not in repo.files:
            handler.send({"error": "not found"}, status=404, headers=headers | {"X-Error-Code": "EntryNotFound"})
            return
        content = repo.files[path]
        handler.send(content, headers=headers | {"ETag": f'"{hashlib.sha256(content).hexdigest()}"'})


def make_collection(handler: Handler, _: bool, body: bytes) -> None:
    asked = json.loads(body)
    slug = f"{asked['namespace']}/{re.sub(r'[^a-z0-9]+', '-', asked['title'].lower())}-0123"
    made = slug not in handler.hub.collections
    handler.hub.collections.setdefault(slug, [])
    handler.send(collection(handler, slug, asked["title"]) if made else {"slug": slug}, status=200 if made else 409)


def get_collection(handler: Handler, _: bool, __: bytes, slug: str) -> None:
    handler.send(collection(handler, slug, slug))


def collection(handler: Handler, slug: str, title: str) -> dict[str, Any]:
    items = [
        {"_id": str(place), "id": name, "type": "model", "position": place}
        for place, name in enumerate(handler.hub.collections[slug])
    ]
    return {
        "slug": slug, "title": title, "owner": {"name": USER}, "items": items, "position": 0,
        "lastUpdated": "2026-01-01T00:00:00.000Z", "private": False, "theme": "blue", "upvotes": 0,
    }  # fmt: skip


def add_item(handler: Handler, _: bool, body: bytes, slug: str) -> None:
    name = json.loads(body)["item"]["id"]
    if name in handler.hub.collections[slug]:
        handler.send({"error": "already there"}, status=409)
        return
    handler.hub.collections[slug].append(name)
    handler.send(collection(handler, slug, slug))


REPO = r"((?:spaces/|datasets/)?[\w.=+-]+/[\w.=+-]+)"
ROUTES = [
    (r"GET /api/whoami-v2", whoami),
    (r"POST /api/repos/create", create),
    (r"POST /api/validate-yaml", lambda handler, *_: handler.send({"errors": [], "warnings": []})),
    (rf"GET /api/models/{REPO}/auth-check/write", auth_check),
    (rf"POST /api/models/{REPO}/preupload/\w+", preupload),
    (rf"POST /{REPO}\.git/info/lfs/objects/batch", lfs_batch),
    (r"PUT /lfs/(\w+)", lfs_put),
    (r"POST /lfs/verify", lambda handler, *_: handler.send({})),
    (rf"POST /api/models/{REPO}/commit/\w+", commit),
    (rf"GET /api/models/{REPO}/tree/\w+(?:/(.+))?", tree),
    (rf"POST /api/models/{REPO}/paths-info/\w+", paths_info),
    (rf"GET /api/models/{REPO}(?:/revision/\w+)?", info),
    (rf"(?:GET|HEAD) /{REPO}/resolve/\w+/(.+)", resolve),
    (r"POST /api/collections", make_collection),
    (rf"GET /api/collections/{REPO}", get_collection),
    (rf"POST /api/collections/{REPO}/items", add_item),
]


@contextmanager
def running() -> Iterator[Hub]:
    """A Hub on a free port of this machine, until the end of the block."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("BoundHandler", (Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def environment(hub: Hub, home: str, token: str | None = TOKEN) -> dict[str, str]:
    """What a client's process has to be started with."""
    found = {"HF_ENDPOINT": hub.endpoint, "HF_HUB_DISABLE_XET": "1", "HF_HOME": home, "HF_HUB_DISABLE_TELEMETRY": "1"}
    return found | ({"HF_TOKEN": token} if token else {})
