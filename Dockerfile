# The server as an image: docs/container.md says how to run it, compose.yaml does.
#
#   make image
#
# A package index of your own, or a proxy with a certificate of its own, is said with build
# secrets, of which nothing stays in a layer:
#
#   make image IMAGE='--secret id=pip.conf,src=pip.conf --secret id=ca.pem,src=ca.pem'
#
# pip.conf finds the second one as /run/secrets/ca.pem: `cert = /run/secrets/ca.pem`.

FROM debian:trixie-slim AS python
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates python3 \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*


FROM python AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3-venv
# pip stands beside the environment that goes into the image, not in it.
RUN python3 -m venv /pip \
    && python3 -m venv --without-pip /opt/tornado-webrtc
WORKDIR /source
COPY release/requirements.txt release/
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf --mount=type=secret,id=ca.pem \
    /pip/bin/pip --python /opt/tornado-webrtc install --no-cache-dir --no-deps \
        --only-binary :all: --require-hashes --requirement release/requirements.txt
COPY . .
# Native parts are to be mandatory in an image. There are none yet, and nothing reads this
# variable: the wheel is pure Python. With the first native part, its build reads it (and
# the stage gets a compiler), so that an image without it cannot be made by accident.
ENV TORNADO_WEBRTC_REQUIRE_NATIVE=1
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf --mount=type=secret,id=ca.pem \
    PIP_CONSTRAINT=release/constraints.txt \
        /pip/bin/pip wheel --no-cache-dir --no-deps --wheel-dir /wheel . \
    && /pip/bin/pip --python /opt/tornado-webrtc install --no-cache-dir --no-deps --no-index \
        /wheel/*.whl \
    && /pip/bin/pip --python /opt/tornado-webrtc check
# A label that says another version than the package ends the build here.
ARG VERSION
RUN found="$(/opt/tornado-webrtc/bin/python -c \
        'import tornado_webrtc; print(tornado_webrtc.__version__)')" \
    && if [ "${VERSION:-$found}" != "$found" ]; then \
        echo "VERSION is $VERSION, but the sources are $found" >&2; exit 1; \
    fi


FROM python
RUN groupadd --gid 10001 tornado-webrtc \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/tornado-webrtc \
        --shell /usr/sbin/nologin --no-log-init tornado-webrtc \
    && install --directory --owner=10001 --group=10001 --mode=0700 /var/lib/tornado-webrtc
COPY --from=build /opt/tornado-webrtc /opt/tornado-webrtc
# Every key at its default; mount a folder of your own over it, or set variables.
COPY --chmod=0644 conf/server.ini /etc/tornado-webrtc/server.ini

ENV PATH=/opt/tornado-webrtc/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    STATE_DIRECTORY=/var/lib/tornado-webrtc \
    TORNADO_WEBRTC_CONF=/etc/tornado-webrtc/server.ini
# The TURN secret, the node id, bans, the operators' socket.
VOLUME /var/lib/tornado-webrtc
# Web, TURN over UDP, TURN over TCP. UDP 49152-65535, the relayed media, is not listed:
# `docker run -P` would publish 16384 ports one by one. docs/container.md has the two ways.
EXPOSE 8086/tcp 19302/udp 19303/tcp

# A number, so that Kubernetes can see that it is not root.
USER 10001:10001
STOPSIGNAL SIGTERM
# Asks the running server, whatever its ports and certificate are. --socket: a configuration
# that somebody is just editing makes no healthy server ill.
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s --retries=3 \
    CMD ["tornado-webrtc", "status", "--socket", "/var/lib/tornado-webrtc/admin.sock"]
ENTRYPOINT ["tornado-webrtc"]
# Without arguments it serves.
CMD []

ARG VERSION
ARG SOURCE
ARG REVISION
LABEL org.opencontainers.image.title="tornado-webrtc" \
      org.opencontainers.image.description="Signaling, presence, TURN and credentials for WebRTC apps in one Tornado process" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.revision="${REVISION}"
