"""Renders the page as HTML. Reads and changes no state."""

from collections.abc import Sequence
from dataclasses import dataclass
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
from smgw_proxy_addon.status.page.state import KeptRefusal, State, is_same
from smgw_proxy_addon.status.page.texts import Texts
from smgw_proxy_addon.status.page.vendor import Vendor
from smgw_proxy_addon.status.page.verdict import explain_verdict, judge
from smgw_proxy_addon.status.suggestions import STORE_LINK
from smgw_proxy_addon.trust.policy import expiry

SHORT: Final = 15
"""Requests on the page itself; all of them have a page of their own."""

RESTART_NOTICES: Final = frozenset({"restarting", "target_set"})
"""Notices that hold until the app has restarted."""


@dataclass(frozen=True)
class PageContext:
    """What a request gives the page beside the state: its language, the form token, the addresses of the proxy.

    ``notice`` is the key of what is said at the top; ``asked`` the fingerprint that the user had looked at before the
    question; ``view`` is for the tab with the gateway's page; ``offers_smgw_local``: the diagnosis has a button that
    sets the option ``host_header``.
    """

    language: Language
    token: str
    addresses: Sequence[guides.ProxyAddress]
    notice: str
    asked: str
    view: View
    kept: KeptRefusal | None
    offers_smgw_local: bool


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
            many_polls=MANY_POLLS,
            restart_notices=RESTART_NOTICES,
            sandbox=SANDBOX,
            remark=expiry,
        )
        self._templates = {name: environment.get_template(name) for name in environment.list_templates()}

    def render(self, name: str, state: State, context: PageContext) -> str:
        """Render the page of this name."""
        texts = Texts(context.language)
        verdict = judge(state)
        changed, kept = state.trust.changed, context.kept

        def reason(code: str) -> str:
            return explain_code(code, context.language, {}).title

        return self._templates[f"{name}.html.j2"].render(
            vars(context),
            t=texts,
            reason=reason,
            state=state,
            now=state.now,
            trust=state.trust,
            verdict=verdict,
            words=explain_verdict(verdict, context.language, texts),
            offers=[offers.explain_offer(each, texts) for each in state.offers],
            offers_sentence=offers.explain_offers(state.offers, texts),
            offers_lead=offers.lead(state),
            store_link=offers.store_link(state, verdict.code),
            chart=chart.draw(state.day),
            steps=list_steps(state),
            entries=state.entries[:SHORT],
            other=changed and context.asked and not is_same(changed, context.asked),
            kept=kept if changed and kept and is_same(changed, kept.fingerprint) else None,
            **_view_addresses(state, context.addresses, texts),
            **_view_diagnosis(state, context.language),
        )


def _view_addresses(state: State, addresses: Sequence[guides.ProxyAddress], texts: Texts) -> dict[str, Any]:
    """Return what the templates tell of the addresses: for clients, and for the browser itself."""
    vendor = state.vendor
    shown = list(guides.list_guides(vendor, addresses, state.user_paths, texts))
    others = list(guides.list_other_guides(vendor, addresses, texts)) if vendor else []
    return {
        "guides": shown,
        "other_guides": others,
        "placeholder": any(address.host is None for address in addresses),
        "user_needed": guides.needs_user([*shown, *others], texts),
        "unsure_port": next((address.http_port for address in addresses if not address.sure), None),
        "page_url": next((f"{each.base(texts)}/" for each in addresses if each.opens_in_browser), None),
        "first": CGI.decode() if vendor is Vendor.PPC else "/",
    }


def _view_diagnosis(state: State, language: Language) -> dict[str, Any]:
    found = state.diagnosis.findings if state.diagnosis else None
    needs_network_app = state.suggestions is not None and any(each.code in NEEDS_NETWORK_APP for each in found or ())
    return {
        "checks": None if found is None else report_findings(found, language),
        "network_app": STORE_LINK if needs_network_app else None,
    }


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


def _groups(fingerprint: str) -> list[str]:
    """Cut a fingerprint into groups of four, in capitals, as people compare it."""
    return grouped(fingerprint.upper()).split()
