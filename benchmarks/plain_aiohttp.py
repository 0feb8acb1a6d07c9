"""``python -m benchmarks.plain_aiohttp PORT GATEWAY``: the simplest reverse proxy that aiohttp makes possible.

A peer in the measurements: what a day's work with the library costs per request. It spares no gateway.
"""

import logging
import ssl
import sys
from collections.abc import AsyncIterator

from aiohttp import ClientSession, TCPConnector, web

SESSION = web.AppKey("session", ClientSession)
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "host"}


def main(port: int, gateway: int) -> None:
    """Serve until the program is ended."""

    async def client(app: web.Application) -> AsyncIterator[None]:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        connector = TCPConnector(ssl=context, keepalive_timeout=540)
        async with ClientSession(connector=connector, auto_decompress=False) as app[SESSION]:
            yield

    async def forward(request: web.Request) -> web.StreamResponse:
        url = f"https://127.0.0.1:{gateway}{request.raw_path}"
        headers = [(name, value) for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP]
        body = await request.read() or None
        async with request.app[SESSION].request(
            request.method, url, headers=headers, data=body, allow_redirects=False
        ) as answer:
            response = web.StreamResponse(status=answer.status)
            response.headers.extend(
                (name, value) for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP
            )
            await response.prepare(request)
            async for piece in answer.content.iter_any():
                await response.write(piece)
            return response

    logging.basicConfig(level=logging.INFO)
    app = web.Application()
    app.cleanup_ctx.append(client)
    app.router.add_route("*", "/{path:.*}", forward)
    web.run_app(app, host="127.0.0.1", port=port, print=None)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
