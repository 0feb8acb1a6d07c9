ARG BUILD_FROM=ghcr.io/home-assistant/base-debian:trixie

FROM ${BUILD_FROM} AS dependencies

RUN apt-get update \
    && apt-get install -y --no-install-recommends python3-venv

COPY requirements.txt /build/

# Wheels only: nothing compiles on a Raspberry Pi. The pip that installs stays behind in this stage.
RUN python3 -m venv /build/tools \
    && python3 -m venv --without-pip /opt/smgw-proxy \
    && /build/tools/bin/pip --python /opt/smgw-proxy/bin/python3 install \
        --no-cache-dir --no-compile --no-deps --only-binary=:all: --require-hashes -r /build/requirements.txt \
    && /build/tools/bin/pip --python /opt/smgw-proxy/bin/python3 check


FROM ${BUILD_FROM}

ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1

# Debian compiles its whole library (15 MB); the last step brings back what the proxy really loads.
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 \
    && rm -rf /var/cache/apt/* /var/lib/apt/lists/* /var/log/apt /var/log/dpkg.log \
    && find /usr/lib/python3* -type d -name __pycache__ -prune -exec rm -rf {} + \
    && groupadd --gid 8443 smgw \
    && useradd --uid 8443 --gid smgw --no-log-init --no-create-home --home-dir /nonexistent \
        --shell /usr/sbin/nologin smgw

COPY --from=dependencies /opt/smgw-proxy /opt/smgw-proxy
COPY smgw_proxy_addon /opt/smgw-proxy/lib/python3.13/site-packages/smgw_proxy_addon
COPY rootfs /

# Every start makes a new container: without these files each one would compile for seconds on a Raspberry Pi.
RUN export PYTHONDONTWRITEBYTECODE="" \
    && /opt/smgw-proxy/bin/python3 -m smgw_proxy_addon --version \
    && /opt/smgw-proxy/bin/python3 -c "import smgw_proxy_addon.auth.login_once, \
        smgw_proxy_addon.program.doctor_command, smgw_proxy_addon.program.s6_finish, \
        smgw_proxy_addon.program.page_server, smgw_proxy_addon.program.status_page, \
        smgw_proxy_addon.proxy.coalescing, smgw_proxy_addon.server.self_signed"

# The proxy's own loopback port: the gateway is never asked. Home Assistant shows the app as started after the first
# success, for which Docker looks every 5 s during the start period.
HEALTHCHECK --interval=60s --timeout=5s --start-period=60s --retries=3 \
    CMD ["curl", "-fsS", "--max-time", "4", "-o", "/dev/null", "http://127.0.0.1:8099/health"]

ARG BUILD_ARCH
ARG BUILD_VERSION
LABEL \
    io.hass.name="SMGW Proxy" \
    io.hass.description="The safe and sparing way from Home Assistant to your Smart Meter Gateway" \
    io.hass.arch="${BUILD_ARCH}" \
    io.hass.type="app" \
    io.hass.version="${BUILD_VERSION}" \
    org.opencontainers.image.title="SMGW Proxy" \
    org.opencontainers.image.description="The safe and sparing way from Home Assistant to your Smart Meter Gateway" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.url="https://github.com/klacol/smgw-proxy-addon" \
    org.opencontainers.image.source="https://github.com/klacol/smgw-proxy-addon" \
    org.opencontainers.image.version="${BUILD_VERSION}"
