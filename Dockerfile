# gtag as a service: shows what arrives in /music; with --write-tags it writes. See docs/watch.md.
FROM python:3.12-slim

WORKDIR /src
COPY . .
RUN pip install --no-cache-dir . && rm -rf /src/*

# Compiled code and models are read-only to whoever runs it; the journal lies in /state.
RUN useradd --uid 1000 --create-home gtag && mkdir -p /music /state && chown gtag: /music /state
ENV XDG_STATE_HOME=/state XDG_DATA_HOME=/state
USER gtag
WORKDIR /music
VOLUME ["/music", "/state"]

ENTRYPOINT ["gtag"]
CMD ["watch", "/music"]
