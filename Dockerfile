# The stand-alone program in a container. For a processor:   docker build -t clickpaint .
# For an NVIDIA card (the driver and its container toolkit are the host's):   docker build -t clickpaint --build-arg TORCH=cu130 .
# Models, settings, open pictures and results live in the volume /data; the token to open the page with is printed: docker logs NAME.
FROM python:3.12-slim-trixie

ARG TORCH=cpu
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

# OpenMP of torch and scikit-image; the headless OpenCV and everything else comes with what it needs.
RUN apt-get update \
    && apt-get install --no-install-recommends --yes libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --create-home clickpaint \
    && install --directory --owner=clickpaint /app /data /data/models

WORKDIR /app
USER clickpaint
# First what says which packages are wanted: they are a layer of their own, which a change of the program leaves as it is.
COPY --chown=clickpaint install.py pyproject.toml ./
COPY --chown=clickpaint extension/clickpaint/__init__.py extension/clickpaint/
RUN python install.py prepare --torch-index "$TORCH"
COPY --chown=clickpaint . .

VOLUME ["/data"]
EXPOSE 7870
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s \
    CMD [".venv/bin/python", "-c", "import urllib.error, urllib.request\ntry: urllib.request.urlopen('http://127.0.0.1:7870/clickpaint/v1/capabilities', timeout=8)\nexcept urllib.error.HTTPError as answer: assert answer.code == 401, answer"]
# Exec form, and install.py gives its place to the server, so that `docker stop` reaches it.
ENTRYPOINT [".venv/bin/python", "-m", "clickpaint", "serve", "--host", "0.0.0.0", "--port", "7870", "--no-browser", "--data-dir", "/data"]
