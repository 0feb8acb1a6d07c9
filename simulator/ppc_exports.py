"""What a PPC gateway exports: XML of the DKE's schemas, signed with the gateway's key (CMS SignedData)."""

from datetime import datetime

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs7

from simulator import meter
from simulator.certificates import Identity

_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'


def sign(xml: str, identity: Identity) -> bytes:
    """Return ``xml`` inside a CMS message, DER."""
    key = serialization.load_pem_private_key(identity.key_pem, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise TypeError("the gateway's key is neither EC nor RSA")
    builder = pkcs7.PKCS7SignatureBuilder().set_data(xml.encode())
    signed = builder.add_signer(identity.certificate, key, hashes.SHA256())
    return signed.sign(serialization.Encoding.DER, [pkcs7.PKCS7Options.Binary])


def values(name: str, start: datetime, end: datetime) -> str:
    """Return the readings of the meter ``name``, one column for each register."""
    columns = list(enumerate(meter.OBIS, 1))
    captured = "".join(
        f'<p:capture_object id="{number}"><e:logical_name>{obis}.{name}</e:logical_name></p:capture_object>'
        for number, obis in columns
    )
    data = "".join(
        f'<p:column id="{number}">{"".join(_entry(obis, at) for at in meter.steps(start, end))}</p:column>'
        for number, obis in columns
    )
    return (
        f'{_DECLARATION}<p:object xmlns:p="urn:k461-dke-de:profile_generic-1" '
        'xmlns:e="urn:k461-dke-de:extension-1"><p:attributes>'
        f"<p:capture_objects>{captured}</p:capture_objects>"
        f"<p:buffer><p:simple_data>{data}</p:simple_data></p:buffer></p:attributes></p:object>"
    )


def _entry(obis: str, at: datetime) -> str:
    return (
        f"<p:entry_gateway_signed><e:value><e:long64>{meter.register(obis, at)}</e:long64></e:value>"
        "<e:scaler>-1</e:scaler><e:unit>30</e:unit><e:status><e:unsigned>0</e:unsigned></e:status>"
        f"<e:capture_time>{at.isoformat()}</e:capture_time><e:smgw_signature>00</e:smgw_signature>"
        "</p:entry_gateway_signed>"
    )


def profile(name: str) -> str:
    """Return how the meter ``name`` is set up: read every 900 seconds."""
    captured = "".join(f"<ems:value>{obis}</ems:value>" for obis in meter.OBIS)
    serial = name.split(".")[1]
    return (
        f'{_DECLARATION}<klc:container id="{name}" xmlns:klc="urn:k461-dke-de:kaf_lmn_container-1" '
        'xmlns:adevs="urn:k461-dke-de:abstract_device_setup-1" '
        'xmlns:ems="urn:k461-dke-de:e_meter_sensor_setup-1"><klc:e_meter_device_object><ems:attributes>'
        f"<adevs:device_identifier>{serial}</adevs:device_identifier><adevs:active>1</adevs:active>"
        f"<adevs:samplerate>900</adevs:samplerate><ems:values>{captured}</ems:values>"
        "</ems:attributes></klc:e_meter_device_object></klc:container>"
    )
