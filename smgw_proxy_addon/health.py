"""Says whether the proxy works, not whether the gateway does: the gateway is never asked."""

from aiohttp import web

from smgw_proxy_addon import __version__


async def _health(_request: web.Request) -> web.Response:
    return web.json_response({"status": "ok", "version": __version__}, headers={"Cache-Control": "no-store"})


async def serve_health(port: int) -> web.AppRunner:
    """Answer ``GET /health`` on the loopback port; the caller cleans up what is returned. Raises OSError."""
    application = web.Application()
    application.router.add_get("/health", _health)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return runner
