# syntax=docker/dockerfile:1

# The weights and ONNX Runtime, fetched and checked like in a checkout (models/setup.py).
FROM debian:bookworm-slim AS models
ARG PACK=compact
WORKDIR /src
# The packages are whatever this Debian has now; nothing of them gets into the image.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates npm python3 python3-pip python3-venv \
    && rm -rf /var/lib/apt/lists/*
COPY models models
RUN python3 models/setup.py --models-dir /opt/rekollect/models --pack "$PACK" \
    && rm -rf /opt/rekollect/models/.cache

FROM node:22-bookworm-slim AS console
WORKDIR /src/console
COPY console .
RUN npm ci --ignore-scripts --no-audit --no-fund && npm run build \
    && npm sbom --omit dev --sbom-format cyclonedx > console.cdx.json

FROM rust:1.95-bookworm AS server
WORKDIR /src
# What the image says of what is in it; of versions that were tried.
RUN cargo install --locked --root /tools --features cli cargo-about@0.9.3 \
    && cargo install --locked --root /tools cargo-cyclonedx@0.5.9
COPY . .
COPY --from=console /src/console/dist console/dist
RUN cargo build --release --locked
RUN mkdir /papers \
    && /tools/bin/cargo-about generate --config packaging/about.toml --output-file /papers/licences.md packaging/licences.hbs \
    && /tools/bin/cargo-cyclonedx cyclonedx --format json --override-filename server.cdx && mv server.cdx.json /papers/ \
    && target/release/rekollect completions bash > /papers/rekollect.bash && target/release/rekollect man > /papers/rekollect.1

FROM debian:bookworm-slim
ARG PACK=compact
LABEL org.opencontainers.image.title="rekollect" \
      org.opencontainers.image.description="A self-hosted face-collection service that speaks the Amazon Rekognition wire protocol" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
RUN groupadd --system --gid 10001 rekollect \
    && useradd --system --uid 10001 --gid rekollect --no-create-home --home-dir /data --shell /usr/sbin/nologin rekollect \
    && install --directory --owner=rekollect --group=rekollect --mode=0750 /data
COPY --from=models /opt/rekollect/models /opt/rekollect/models
COPY --from=server /src/target/release/rekollect /usr/local/bin/rekollect
# Whom to believe when an S3 server is asked over TLS.
COPY --from=models /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
# Licences of crates and of the console, bills of materials (CycloneDX); the weights' are in their manifest.
COPY --from=server /papers/licences.md /papers/server.cdx.json /usr/share/doc/rekollect/
COPY --from=console /src/console/console.cdx.json /usr/share/doc/rekollect/
COPY --from=models /opt/rekollect/models/manifest.toml /usr/share/doc/rekollect/weights.toml
COPY --from=server /papers/rekollect.bash /usr/share/bash-completion/completions/rekollect
COPY --from=server /papers/rekollect.1 /usr/share/man/man1/rekollect.1
COPY LICENSE-MIT LICENSE-APACHE /usr/share/doc/rekollect/
# An address that others can reach needs keys, or REKOLLECT_AUTH=open in so many words, and either is the operator's to say.
ENV REKOLLECT_LISTEN=0.0.0.0:7350 \
    REKOLLECT_DATA_DIR=/data \
    REKOLLECT_MODELS_DIR=/opt/rekollect/models \
    REKOLLECT_PACK=$PACK \
    REKOLLECT_LOG_FORMAT=json
USER 10001:10001
VOLUME /data
EXPOSE 7350
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["rekollect", "healthcheck"]
ENTRYPOINT ["rekollect"]
CMD ["serve"]
