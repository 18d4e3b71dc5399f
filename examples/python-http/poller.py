"""Prints what is new in a feed of events, one JSON object a line, and remembers how far it came."""

import json
import os
import sys
from urllib.parse import urlsplit

from componentize_py_types import Err, Ok
from wit_world import (
    exports,
    result_option_types_fields_types_error_code_future as trailers,
    result_unit_types_error_code_future as outcome,
)
from wit_world.imports import client
from wit_world.imports.types import Fields, Request, Response, Scheme_Http, Scheme_Https

CURSOR = "/state/cursor"
LARGEST = 1_000_000


class Run(exports.Run):
    async def run(self) -> None:
        try:
            await poll(sys.argv[1], os.environ.get("TOKEN"))
        except Exception as error:
            # Text on standard error is a line in Fluent Bit's log.
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            raise Err(None)


async def poll(url: str, token: str | None) -> None:
    seen = read_cursor()
    status, body = await get(f"{url}?after={seen}", token)
    if status != 200:
        raise RuntimeError(f"{url} answered {status}")
    for event in json.loads(body):
        if event["id"] > seen:
            print(json.dumps(event))
            seen = event["id"]
    sys.stdout.flush()
    # Only now, when everything is handed over; and by renaming, so that a crash leaves one or the other.
    with open(CURSOR + ".new", "w") as file:
        file.write(str(seen))
    os.replace(CURSOR + ".new", CURSOR)


def read_cursor() -> int:
    try:
        with open(CURSOR) as file:
            return int(file.read())
    except FileNotFoundError:
        return 0


async def get(url: str, token: str | None) -> tuple[int, bytes]:
    parts = urlsplit(url)
    headers = [("authorization", f"Bearer {token}".encode())] if token else []
    request, _ = Request.new(Fields.from_list(headers), None, trailers(lambda: Ok(None))[1], None)
    request.set_scheme(Scheme_Https() if parts.scheme == "https" else Scheme_Http())
    request.set_authority(parts.netloc)
    request.set_path_with_query(f"{parts.path or '/'}?{parts.query}")
    response = await client.send(request)
    status = response.get_status_code()
    stream, end = Response.consume_body(response, outcome(lambda: Ok(None))[1])
    body = bytearray()
    with stream:
        while not stream.writer_dropped:
            body += await stream.read(65536)
            if len(body) > LARGEST:
                raise RuntimeError(f"the answer is longer than {LARGEST} bytes")
    if isinstance(failed := await end.read(), Err):
        raise failed
    return status, bytes(body)
