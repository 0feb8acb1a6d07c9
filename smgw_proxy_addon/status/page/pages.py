"""Renders the page as HTML. Reads and changes no state."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from typing import Any, Final

import jinja2

from smgw_proxy_addon import __version__
from smgw_proxy_addon.fingerprint import grouped
from smgw_proxy_addon.gateway.ppc_session import CGI
from smgw_proxy_addon.gateway.scheduler import PAGE
from smgw_proxy_addon.locales import Language
from smgw_proxy_addon.locales.explain import explain_code
from smgw_proxy_addon.status.doctor import report_findings
from smgw_proxy_addon.status.findings import NEEDS_NETWORK_APP
from smgw_proxy_addon.status.gateway_page.policy import SANDBOX
from smgw_proxy_addon.status.gateway_page.view import View
from smgw_proxy_addon.status.history import LAST_REQUESTS, MANY_POLLS
from smgw_proxy_addon.status.page import chart, guides, offers
from smgw_proxy_addon.status.page.diagnosis import Result
from smgw_proxy_addon.status.page.state import KeptRefusal, State, is_same
from smgw_proxy_addon.status.page.texts import Texts
from smgw_proxy_addon.status.page.vendor import Vendor
from smgw_proxy_addon.status.page.verdict import explain_verdict, judge
from smgw_proxy_addon.status.suggestions import STORE_LINK
from smgw_proxy_addon.trust.policy import Certificate, expiry

SHORT: Final = 15
"""Requests on the page itself; all of them have a page of their own."""

NOTICES: Final = frozenset(
    {"trusted", "kept", "forgotten", "nothing", "other", "not_this", "not_written", "unreadable", "form"}
    | {"retried", "not_stopped", "restarting", "restart_failed", "option_failed", "not_offered"}
    | {"target_set", "target_failed", "offer_gone"},
)
"""Notices that may be shown at the top of the page."""

RESTART_NOTICES: Final = frozenset({"restarting", "target_set"})
"""Those that hold until the app has restarted."""


@dataclass(frozen=True)
class PageContext:
    """What one request gives the page: its language, the form token, the addresses of the proxy, a notice."""

    language: Language
    token: str
    addresses: Sequence[guides.ProxyAddress]
    notice: str = ""


class Pages:
    """Renders the pages; ``style`` and ``script`` are the only inline code in them.

    Must be made in executor: it reads all its files, so that no request waits for one.
    """

    def __init__(self) -> None:
        folder = files("smgw_proxy_addon.status.page")
        self.style: Final = folder.joinpath("static/style.css").read_text("utf-8")
        scripts = ("static/page.js", "static/frame.js")
        self.script: Final = "".join(folder.joinpath(each).read_text("utf-8") for each in scripts)
        environment = jinja2.Environment(
            loader=jinja2.PackageLoader("smgw_proxy_addon.status.page", "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        environment.filters["groups"] = _groups
        environment.globals.update(
            style=self.style,
            script=self.script,
            version=__version__,
            last_requests=LAST_REQUESTS,
            chart_size=chart,
            page_client=PAGE,
        )
        self._templates = {name: environment.get_template(name) for name in environment.list_templates()}

    def overview(
        self,
        state: State,
        context: PageContext,
        *,
        kept: KeptRefusal | None,
    ) -> str:
        """Render the first tab."""
        return self._render(
            "overview.html.j2",
            context,
            **self._view(state, context, kept),
            notice=context.notice,
            restart_notices=RESTART_NOTICES,
        )

    def gateway(self, state: State, context: PageContext, view: View) -> str:
        """Render the tab with the gateway's own page."""
        first = CGI.decode() if state.vendor is Vendor.PPC else "/"
        url = _page_url(context, Texts(context.language))
        return self._render(
            "gateway.html.j2", context, state=state, view=view, first=first, sandbox=SANDBOX, page_url=url
        )

    def connect(self, state: State, context: PageContext) -> str:
        """Render the tab with the addresses for clients."""
        return self._render("connect.html.j2", context, **self._view(state, context, None))

    def diagnosis(
        self,
        state: State,
        context: PageContext,
        result: Result | None,
        *,
        diagnosable: bool,
        offers_smgw_local: bool,
    ) -> str:
        """Render the last tab; ``offers_smgw_local``: with a button that sets the option ``host_header``."""
        found = result.findings if result else None
        needs_network_app = state.suggestions is not None and any(
            each.code in NEEDS_NETWORK_APP for each in found or ()
        )
        return self._render(
            "diagnosis.html.j2",
            context,
            **self._view(state, context, None),
            diagnosis=result,
            checks=None if found is None else report_findings(found, context.language),
            diagnosable=diagnosable,
            offers_smgw_local=offers_smgw_local,
            network_app=STORE_LINK if needs_network_app else None,
        )

    def live(self, state: State, context: PageContext, *, kept: KeptRefusal | None) -> str:
        """Render the parts that the page refreshes by itself."""
        return self._render("live.html.j2", context, **self._view(state, context, kept))

    def requests(self, state: State, context: PageContext) -> str:
        """Render the page of the last requests."""
        return self._render("requests.html.j2", context, entries=state.entries, now=state.now)

    def confirm_trust(self, state: State, context: PageContext, *, other: bool) -> str:
        """Ask once more before a certificate is trusted; ``other``: not the one that the user had looked at."""
        return self._render("trust.html.j2", context, pin=state.trust.changed, other=other, now=state.now)

    def confirm_forget(self, state: State, context: PageContext) -> str:
        """Ask once more before the certificate is forgotten."""
        return self._render("forget.html.j2", context, trust=state.trust, pin=state.trust.pin, now=state.now)

    def _view(self, state: State, context: PageContext, kept: KeptRefusal | None) -> dict[str, Any]:
        texts = Texts(context.language)
        verdict = judge(state)
        vendor = state.vendor
        shown = list(guides.list_guides(vendor, context.addresses, state.user_paths, texts))
        others = list(guides.list_other_guides(vendor, context.addresses, texts)) if vendor else []
        changed = state.trust.changed
        return {
            "state": state,
            "trust": state.trust,
            "verdict": verdict,
            "words": explain_verdict(verdict, context.language, texts),
            "offers": offers.list_offers(state.offers, texts),
            "offers_sentence": offers.explain_offers(state.offers, texts),
            "offers_lead": offers.lead(state),
            "store_link": offers.store_link(state, verdict.code),
            "chart": chart.draw(state.day),
            "guides": shown,
            "other_guides": others,
            "placeholder": any(address.host is None for address in context.addresses),
            "user_needed": guides.needs_user([*shown, *others], texts),
            "unsure_port": next((address.http_port for address in context.addresses if not address.sure), None),
            "page_url": _page_url(context, texts),
            "steps": list_steps(state),
            "entries": state.entries[:SHORT],
            "kept": kept if changed and kept and is_same(changed, kept.fingerprint) else None,
            "many_polls": MANY_POLLS,
            "now": state.now,
        }

    def _render(self, name: str, context: PageContext, **view: Any) -> str:
        def reason(code: str) -> str:
            return explain_code(code, context.language, {}).title

        def remark(certificate: Certificate, now: datetime) -> str:
            dates = expiry(certificate, now)
            return dates.value if dates else ""

        return self._templates[name].render(
            t=Texts(context.language),
            language=context.language,
            token=context.token,
            reason=reason,
            remark=remark,
            **view,
        )


def list_steps(state: State) -> list[tuple[str, bool]]:
    """Return the steps of a fresh install, each with whether it is done; none once all are, or after a restart."""
    trust = state.trust
    steps = [
        ("reached", bool(state.last_answer or state.reached or trust.shown)),
        ("pinned", bool(trust.pin or trust.configured)),
        ("served", state.last_answer is not None),
    ]
    first_seen = trust.pin.first_seen if trust.pin else None  # in whole seconds
    known = first_seen is not None and first_seen < state.started.replace(microsecond=0)
    return [] if known or all(done for _, done in steps) else steps


def _page_url(context: PageContext, texts: Texts) -> str | None:
    """Return where the browser reaches the proxy itself, if that is known."""
    return next((f"{each.base(texts)}/" for each in context.addresses if each.opens_in_browser), None)


def _groups(fingerprint: str) -> list[str]:
    """Cut a fingerprint into groups of four, in capitals, as people compare it."""
    return grouped(fingerprint.upper()).split()
