"""What is changed in the gateway's pages, and that nothing else is."""

import html
from collections import Counter
from html.parser import HTMLParser
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smgw_proxy_addon.http.rewrite import GatewayNames
from smgw_proxy_addon.status.gateway_page.rewriting import Rewriter, read_text
from smgw_proxy_addon.status.gateway_page.tokens import find_tags

P: Final = "/api/hassio_ingress/Fv5/gateway/K"
NAMES: Final = GatewayNames.of("192.168.1.200", 443)
CGI: Final = "/cgi-bin/hanservice.cgi"
AT: Final = Rewriter(P, CGI, NAMES)

METER_FORM: Final = """<form id="form_meterform" name="input" action="/cgi-bin/hanservice.cgi" method="post">
<input type="hidden" name="tkn" value="/d33858"><select name="mid" onchange="this.form.submit();">
<option value="52dc" selected="">01005e318002.1emh0012345678.sm</option></select>&nbsp;
<input type="button" value="Z\xe4hlerprofil" onclick="document.forms['input'].elements['action'].value='meterform';
document.forms['input'].target='_self'; this.form.submit();"><hr></form>"""


@pytest.mark.parametrize(
    ("page", "rewritten"),
    [
        ('<a href="/a?b=/c#d">', f'<a href="{P}/a?b=/c#d">'),
        ("<a href=/a>x</a>", f'<a href="{P}/a">x</a>'),
        ("<A HREF='/a?x=1&amp;y'>", f'<A HREF="{P}/a?x=1&amp;y">'),
        ('<a href="https://192.168.1.200/x">', f'<a href="{P}/x">'),
        ('<a href="//192.168.1.200">', f'<a href="{P}/">'),
        ('<a href="/\t\\evil/">', '<a href="/\t\\evil/">'),
        ('<a href="/x/../../../other/%2e%2E/y">', f'<a href="{P}/y">'),
        ('<a href="/x/..%2f%252e%252E%5cother/">', f'<a href="{P}/other/">'),
        ('<button formaction="/b" data-x="/x">', f'<button formaction="{P}/b" data-x="/x">'),
        ('<img srcset="/1.png 1x, /2.png 2x">', f'<img srcset="{P}/1.png 1x, {P}/2.png 2x">'),
        (
            '<meta http-equiv="refresh" content="3; url=/x">',
            f'<meta data-smgw-refresh="refresh" content="3; url={P}/x">',
        ),
        ("<p style=\"background: url('/i.png')\">", f'<p style="background: url(&#x27;{P}/i.png&#x27;)">'),
        ("<style>a{b:url(/i)}@import '/c';</style>", f"<style>a{{b:url({P}/i)}}@import '{P}/c';</style>"),
        (
            "<script>location.href = '/x'; if (location == 1) f()</script>",
            "<script>smgwProxy.location = '/x'; if (location == 1) f()</script>",
        ),
        ('<p onclick="window.location=\'/x\'">', '<p onclick="smgwProxy.location=&#x27;/x&#x27;">'),
        ("<script>document.location.replace(x)</script>", "<script>smgwProxy.replace(x)</script>"),
        ('<a href="javascript:location.reload()">', '<a href="javascript:smgwProxy.reload()">'),
        (METER_FORM, METER_FORM.replace('action="/', f'action="{P}/')),
    ],
)  # fmt: skip
def test_what_leads_to_the_gateway_gets_the_prefix(page: str, rewritten: str) -> None:
    assert AT.page(page) == rewritten
    assert AT.page(rewritten) == rewritten


@pytest.mark.parametrize(
    "page",
    [
        '<a href="x">a</a><a href="#b"><a href="?c"><form action=""><a href="https://example.org/x">',
        "<!-- <a href='/x'> --><script>a = '<a href=\"/x\">'</script>",
        '<p title="/x">/x</p><input value="/x"><script type="application/json">{"location = ": 1}</script>',
        "<script>var location = 1; a.location = 2; location === 3; f('my-location = ')</script>",
        '<script src="s.js"></script><img src="i.png"><link rel="stylesheet" href="a.css">',
        "<!DOCTYPE html>\r\n<p>\x80\xff &nbsp; &amp &#0; < a <b",
    ],
)
def test_all_else_stays_byte_for_byte(page: str) -> None:
    assert AT.page(page) == page


def list_sources(page: str) -> Counter[str]:
    rewriter = AT.with_loaded({})
    rewriter.page(page)
    return rewriter.found


def test_what_a_page_loads_is_listed_and_put_into_it() -> None:
    page = (
        '<link rel="stylesheet" href="/a.css?v=1"><img src="i.png"><script src="../s.js"></script>'
        "<style>b{c:url(/d.png)}</style><img src='https://example.org/i.png'><iframe src='/f'></iframe>"
    )
    assert list(list_sources(page)) == ["/a.css?v=1", "/cgi-bin/i.png", "/s.js", "/d.png"]
    other = read_text(b'<img src="/a b.png?\xc3\xa4"><img src="/x/../a b.png?&auml;">')
    assert list_sources(other) == {"/a%20b.png?%C3%A4": 2}
    assert list_sources(read_text(b"<img src=/\xe4>")) == {"/%E4": 1}
    loaded = {"/s.js": "data:x,s", "/d.png": "data:x,d"}
    rewritten = Rewriter(P, CGI, NAMES, loaded).page(page)
    assert '<script src="data:x,s">' in rewritten
    assert "url(data:x,d)" in rewritten
    css = "a{b:url(i.png)} c{d:url( '/e.png' )} e{f:url(data:,)} g{h:url(#i)} i{j:url(i.png)}"
    sheet = AT.with_loaded({})
    sheet.css(css)
    assert sheet.found == {"/cgi-bin/i.png": 2, "/e.png": 1}


@pytest.mark.parametrize(
    ("page", "begin"),
    [
        ("<!DOCTYPE html><html lang=de><head a='>'><title>", "<!DOCTYPE html><html lang=de><head a='>'>#"),
        ("<!-- <head> --><p>", "<!-- <head> -->#<p>"),
        ("text", "text#"),
    ],
)
def test_the_script_is_the_first_element_of_the_head(page: str, begin: str) -> None:
    assert AT.page(page, "#").startswith(begin)


@pytest.mark.parametrize(
    ("page", "tags"),
    [
        ("<a b c=d e='f' g=\"h>i\" j = k/>", [("a", {"b": "", "c": "d", "e": "f", "g": "h>i", "j": "k/"})]),
        ("<!--<a>--><b><!--><c><!-- <d> --!><e>", [("b", {}), ("c", {}), ("e", {})]),
        ("<!DOCTYPE a><?b c><![CDATA[<d>]]></ <e></f <g>", []),
        ("<ScRiPt><a></scriptx><b></SCRIPT ><c>", [("script", {}), ("c", {})]),
        (
            "<title><a></title><noscript><b></noscript><textarea><c>",
            [("title", {}), ("noscript", {}), ("textarea", {})],
        ),
        ("<a/b=c/d><e =f><g h=>", [("a", {"b": "c/d"}), ("e", {"=f": ""}), ("g", {"h": ""})]),
        ("<a b='c><d>", []),
        ("< a><1><a", []),
        ("<a x='&amp;&quot;' x=2>", [("a", {"x": '&"'})]),
    ],
)
def test_tags_are_found_as_browsers_find_them(page: str, tags: list[tuple[str, dict[str, str]]]) -> None:
    found = [(tag.name, {each.name: each.value for each in reversed(tag.attributes)}) for tag in find_tags(page)]
    assert found == tags


@pytest.mark.parametrize(
    "unit",
    [
        "<!--",
        "<a ",
        "<a b='",
        "</",
        "</a ",
        "<?",
        "<",
        "<meta a=b ",
        "<style>",
        "url( ",
        "self.",
        " x",
        "<a b ",
        "=''",
    ],
)
@pytest.mark.timeout(20)
def test_a_broken_page_takes_no_longer_than_another(unit: str) -> None:
    assert len(AT.page("<a href=/>" + unit * (200_000 // len(unit)))) > 200_000


PARTS: Final = st.sampled_from(
    [
        *("<a href=", "<img src=", "<form action=", "<p style=", "<meta http-equiv=refresh content=", "srcset="),
        *(
            "<!--",
            "-->",
            "<![CDATA[",
            "]]>",
            "<style>",
            "</style>",
            "<textarea>",
            "<head>",
            "<",
            ">",
            "/>",
            "</",
            " ",
        ),
        *('"', "'", "/", "//", "\\", "/x", "x", "url(", ")", "&amp;", "&", "\n", "\0", "..", "http:", "javascript:"),
        *("location", ".href", " = ", "onclick=", ",", "\xe4", "192.168.1.200", "<script>", "</script>"),
    ]
)
BROKEN: Final = st.lists(PARTS, max_size=24).map("".join)


@given(BROKEN)
def test_rewriting_twice_equals_once(page: str) -> None:
    once = AT.page(page)
    assert AT.page(once) == once


@given(
    st.lists(
        st.sampled_from(
            ["<p>", "<a href=x>", "<b a='1' b>", "&nbsp;", "\xe4", "text ", "<!-- / -->", "<br/>", "</p>"]
        )
    )
)
def test_a_page_without_absolute_links_passes_byte_for_byte(parts: list[str]) -> None:
    page = "".join(parts)
    assert AT.page(page) == page


class _Links(HTMLParser):
    # For a browser, what is in a textarea is text.
    CDATA_CONTENT_ELEMENTS = ("script", "style", "textarea")  # type: ignore[misc]

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del tag
        self.found += [value for name, value in attrs if name in ("href", "src", "action") and value]


@given(BROKEN)
def test_no_absolute_link_leads_past_the_prefix(page: str) -> None:
    links = _Links()
    links.feed(AT.page(page))
    for each in links.found:
        if each.startswith("/") and not each.startswith("//"):
            assert each.startswith(f"{P}/"), html.escape(each)
            assert "/../" not in each.partition("?")[0] + "/"
