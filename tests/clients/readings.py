"""What clients ask of each make of gateway, and what must come out: one reading of the meter."""

import re
from typing import Final

from simulator import meter
from simulator.emh import METER as EMH_METER
from simulator.ppc import METER_ID
from simulator.theben import USAGE_POINT
from tests.clients.libraries import Client

CGI: Final = "/cgi-bin/hanservice.cgi"
READINGS: Final = {
    "method": "readings",
    "usage-point-id": USAGE_POINT,
    "database": "origin",
    "last-reading": "true",
}


def plain(values: object) -> list[int]:
    """Give the values of a list of readings as numbers."""
    assert isinstance(values, list)
    return [int(each["value"]) for each in values]


async def read_theben(client: Client, base: str) -> None:
    entry = await client.ask(f"{base}/smgw/m2m")
    assert entry.status == 307
    assert entry.location == f"/smgw/m2m/{client.user}.sm"
    user_url = f"{base}{entry.location}/json"
    points = (await client.call(user_url, {"method": "user-info"}))["user-info"]["usage-points"]
    assert [point["usage-point-id"] for point in points if point["taf-state"] == "running"] == [USAGE_POINT]
    answer = await client.call(user_url, READINGS)
    channels = {channel["obis"]: channel["readings"] for channel in answer["readings"]["channels"]}
    assert set(channels) == {meter.IMPORT, meter.EXPORT}
    # 12345.678 kWh at the start of 2025, in steps of 10^-4 kWh, and it never falls.
    assert plain(channels[meter.IMPORT])[0] > 123_456_780


async def read_ppc(client: Client, base: str) -> None:
    url = f"{base}{CGI}"
    login = await client.ask(url)
    token = re.search(r'name="tkn" value="([0-9a-f]{64})"', login.text)
    assert token, login.text
    # The session's cookie comes back from here on, or the gateway would see a second user.
    form = await client.submit(url, tkn=token[1], action="meterform")
    meter_id = re.search(r'<option value="(\w+)"', form.text)
    assert meter_id, form.text
    assert meter_id[1] == METER_ID
    profile = await client.submit(url, tkn=token[1], action="showMeterProfile", mid=meter_id[1])
    values = re.findall(r'_col_wert">([\d.]+)<.*?_col_obis">([\d:.-]+)<', profile.text)
    assert [obis for _, obis in values] == ["1-0:1.8.0", "1-0:2.8.0"]
    assert float(values[0][0]) > 12345.678
    await client.submit(url, action="logout")


async def read_emh(client: Client, base: str) -> None:
    assert (await client.ask(f"{base}/json/metering/origin/")).json() == [EMH_METER]
    extended = (await client.ask(f"{base}/json/metering/origin/{EMH_METER}/extended")).json()["values"]
    assert extended[0]["logical_name"] == f"{meter.IMPORT}.{EMH_METER}.sm"
    assert plain(extended)[0] > 123_456_780


async def read_sagemcom(client: Client, base: str) -> None:
    headers = {"Request-ID": "1", "Device-ID": "EDNT0012345678", "Transport-Version": "1.0"}
    assert (await client.ask(f"{base}/smgw/hgp/readings")).status == 403
    registers = (await client.ask(f"{base}/smgw/hgp/readings", headers=headers)).json()["registers"]
    assert set(registers) == {meter.IMPORT, meter.EXPORT}
    assert plain(list(registers.values()))[0] > 123_456_780
