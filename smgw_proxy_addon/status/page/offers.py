"""What the page offers of the gateways that SMGW Network found: each with a button that makes it the target. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from smgw_proxy_addon.status.page.state import State
from smgw_proxy_addon.status.page.texts import Texts
from smgw_proxy_addon.status.suggestions import STORE_LINK, Suggestion

_UNREACHED: Final = frozenset({"gateway_unreachable", "gateway_connect_timeout"})


@dataclass(frozen=True)
class Offer:
    """One gateway: make and address, what else is known, and the fields of the form."""

    title: str
    details: str
    target: str
    fingerprint: str


def lead(state: State) -> bool:
    """Tell whether the page begins with the offers: nobody has set up the proxy yet."""
    return bool(state.offers) and state.is_new and not state.target_found


def describe(found: Sequence[Suggestion]) -> tuple[str, dict[str, str]]:
    """Return the key of the sentence about gateways, below ``verdict``, and its facts."""
    if len(found) > 1:
        return "found.several", {"count": str(len(found))}
    maker, address = found[0].maker, found[0].target.name
    if not maker:
        return "found.unknown", {"address": address}
    return "found", {"maker": maker, "address": address}


def explain_offers(found: Sequence[Suggestion], texts: Texts) -> str:
    """Return the sentence about gateways, an empty one about none."""
    if not found:
        return ""
    key, facts = describe(found)
    return texts(f"verdict.{key}", **facts)


def store_link(state: State, code: str | None) -> str | None:
    """Return the link to SMGW Network for a gateway that cannot be reached, if nothing was heard of that app."""
    missing = state.suggestions is not None and not state.suggestions.there
    return STORE_LINK if missing and code in _UNREACHED else None


def explain_offer(found: Suggestion, texts: Texts) -> Offer:
    """Put a gateway into words."""
    title = ", ".join(each for each in (found.maker, found.target.name) if each)
    details = [texts("offer.certificate", name=found.name or texts("unknown"))]
    if found.interface:
        details.append(texts("offer.interface", interface=found.interface))
    if found.target.relay:
        details.append(texts("offer.relay"))
    return Offer(title, " · ".join(details), found.target.text, found.fingerprint)
