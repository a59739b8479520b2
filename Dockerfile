# Two stages: the first installs the locked dependencies, the second holds only what runs.
# Debian and its own Python 3.11: numba has no wheels for musl, so no Alpine.
FROM debian:bookworm-slim AS build
# Debian keeps no old versions of its packages that could be pinned.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 python3-venv \
 && rm -rf /var/lib/apt/lists/*
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python3 -m venv /opt/volgauge
WORKDIR /src
# The lock alone first: the dependencies stay one cached layer while the source changes.
COPY requirements.txt ./
RUN /opt/volgauge/bin/pip install --require-hashes --no-deps --only-binary :all: -r requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY service service
# numba keys its cache by the sources' modification times. Whole seconds survive the packing of a
# layer; the fractions of the installation would not, and each start would compile anew.
# The build tools, pip and the libraries' own test suites have no business in the final image.
RUN /opt/volgauge/bin/pip install --no-deps --no-build-isolation . \
 && /opt/volgauge/bin/pip check \
 && /opt/volgauge/bin/pip uninstall -y editables hatchling pathspec pluggy trove-classifiers \
 && /opt/volgauge/bin/pip uninstall -y setuptools pip \
 && find /opt/volgauge/lib -type d -path '*/llvmlite/*' -name tests -prune -exec rm -rf {} + \
 && find /opt/volgauge/lib -type d -path '*/numba/*' -name tests -prune -exec rm -rf {} + \
 && find /opt/volgauge/lib -type d -path '*/numpy/*' -name tests -prune -exec rm -rf {} + \
 && find /opt/volgauge/lib -path '*/volgauge/*' -exec touch -d 2020-02-02T00:00:00Z {} + \
 && /opt/volgauge/bin/python -m compileall -q -f /opt/volgauge/lib/python3.11/site-packages/volgauge


FROM debian:bookworm-slim
LABEL org.opencontainers.image.title="volgauge" \
      org.opencontainers.image.description="Open, real-time implied-volatility index for crypto options" \
      org.opencontainers.image.licenses="Apache-2.0"
# Debian keeps no old versions of its packages that could be pinned.
# Nothing is left that would run with more rights than who calls it.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates python3 \
 && rm -rf /var/lib/apt/lists/* \
 && find / -xdev -type f -perm /6000 -exec chmod a-s {} + \
 && install -d -o 10001 -g 10001 /var/cache/volgauge /var/lib/volgauge
COPY --from=build /opt/volgauge /opt/volgauge
COPY config /etc/volgauge
ENV PATH=/opt/volgauge/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/tmp \
    NUMBA_CACHE_DIR=/var/cache/volgauge \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    VOLGAUGE__HTTP__HOST=0.0.0.0 \
    VOLGAUGE__HTTP__ALLOW_PUBLIC=true
WORKDIR /var/lib/volgauge
USER 10001:10001
# On another processor than this one the kernels compile once more, at the first start.
RUN ["volgauge", "warm"]
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --retries=3 \
  CMD ["python3", "-ISc", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ.get('VOLGAUGE__HTTP__PORT', '8080') + '/healthz', timeout=3)"]
ENTRYPOINT ["volgauge"]
CMD ["run"]
