# The image `rekollect`, for amd64 and arm64. Every stage runs on the machine that builds, and TARGETARCH says what it makes things for:
# the last stage only copies, so that an image for the other architecture needs no emulation.
#
# What changes seldom comes first. A change of a source file compiles this project alone, a change of a document nothing.

# The weights and ONNX Runtime, fetched and checked as in a checkout (models/setup.py).
FROM --platform=$BUILDPLATFORM node:22-bookworm-slim AS models
ARG PACK=standard
ARG TARGETARCH
WORKDIR /src
# The packages are whatever this Debian has now; nothing of them gets into the image.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates python3 python3-pip python3-venv \
    && rm -rf /var/lib/apt/lists/*
COPY models models
RUN case "${TARGETARCH:-$(dpkg --print-architecture)}" in amd64) cpu=x86_64 ;; arm64) cpu=aarch64 ;; *) echo 'for amd64 and arm64 only'; exit 1 ;; esac \
    && python3 models/setup.py --models-dir /opt/rekollect/models --pack "$PACK" --platform "linux-$cpu" \
    && rm -rf /opt/rekollect/models/.cache

# The root file system: what the binary and ONNX Runtime link to, and whom to trust for TLS. No shell, no package manager. Scanners read
# the packages' versions in status.d.
FROM --platform=$BUILDPLATFORM debian:bookworm-slim AS root
ARG TARGETARCH
WORKDIR /packages
RUN arch="${TARGETARCH:-$(dpkg --print-architecture)}" \
    && dpkg --add-architecture "$arch" && apt-get update \
    && apt-get download "libc6:$arch" "libgcc-s1:$arch" "libstdc++6:$arch" ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && mkdir -p /root-fs/etc/ssl/certs /root-fs/var/lib/dpkg/status.d \
    && for package in *.deb; do \
         dpkg-deb --extract "$package" /root-fs \
         && dpkg-deb --field "$package" > "/root-fs/var/lib/dpkg/status.d/$(dpkg-deb --field "$package" Package)" || exit 1; \
       done \
    && cat /root-fs/usr/share/ca-certificates/mozilla/*.crt > /root-fs/etc/ssl/certs/ca-certificates.crt \
    # Converters of character sets, and the parts of ca-certificates that made the file above.
    && rm -rf /root-fs/usr/lib/*/gconv /root-fs/usr/sbin /root-fs/usr/share/ca-certificates /root-fs/usr/share/doc/*/examples \
         /root-fs/usr/share/man /root-fs/usr/share/lintian \
    && echo 'rekollect:x:10001:0:rekollect:/data:/nonexistent' > /root-fs/etc/passwd \
    && echo 'root:x:0:' > /root-fs/etc/group \
    && echo 'hosts: files dns' > /root-fs/etc/nsswitch.conf \
    && install --directory --mode=1777 /root-fs/tmp \
    # Group 0 may write: a cluster that gives each container a user of its own, as OpenShift does, leaves it in this group.
    && install --directory --mode=0770 /volume/data

FROM --platform=$BUILDPLATFORM node:22-bookworm-slim AS console
WORKDIR /src/console
COPY console/package.json console/package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund \
    && npm sbom --omit dev --sbom-format cyclonedx > /console.cdx.json
COPY console .
RUN npm run build

# What the image says of what is in it. The tools are built once, and run when the lock file or their settings change.
FROM --platform=$BUILDPLATFORM rust:1.95-bookworm AS papers
# Little optimised, or not at all: they run for a minute and for half a second.
RUN CARGO_PROFILE_RELEASE_OPT_LEVEL=1 cargo install --locked --root /tools --features cli cargo-about@0.9.3 \
    && cargo install --locked --debug --root /tools cargo-cyclonedx@0.5.9
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY packaging/licences packaging/licences
RUN mkdir -p src tests/it && touch build.rs src/lib.rs src/main.rs tests/it/main.rs \
    && /tools/bin/cargo-about generate --fail --config packaging/licences/about.toml --output-file licences.md packaging/licences/licences.hbs \
    && /tools/bin/cargo-cyclonedx cyclonedx --format json --override-filename server.cdx

FROM --platform=$BUILDPLATFORM rust:1.95-bookworm AS server
ARG TARGETARCH
WORKDIR /src
# hadolint ignore=DL3008
RUN here="$(dpkg --print-architecture)" && arch="${TARGETARCH:-$here}" \
    && case "$arch" in amd64) cpu=x86_64 gcc=x86-64 ;; arm64) cpu=aarch64 gcc=aarch64 ;; *) echo 'for amd64 and arm64 only'; exit 1 ;; esac \
    && if [ "$arch" != "$here" ]; then \
         rustup target add "$cpu-unknown-linux-gnu" \
         && apt-get update && apt-get install --yes --no-install-recommends "gcc-$gcc-linux-gnu" "libc6-dev-$arch-cross" \
         && rm -rf /var/lib/apt/lists/*; \
       fi \
    && printf '[build]\ntarget = "%s-unknown-linux-gnu"\n[target.%s-unknown-linux-gnu]\nlinker = "%s-linux-gnu-gcc"\n' "$cpu" "$cpu" "$cpu" \
         > "$CARGO_HOME/config.toml"
# Names of functions are a fifth of the program. A panic tells its file and line without them.
ENV CARGO_PROFILE_RELEASE_STRIP=symbols
# Less is built sooner, for a look at the image and not at its speed.
ARG OPT_LEVEL=3
ENV CARGO_PROFILE_RELEASE_OPT_LEVEL=$OPT_LEVEL
# The dependencies are a layer of their own, built for an empty program.
COPY Cargo.toml Cargo.lock ./
RUN mkdir -p src tests/it && touch src/lib.rs tests/it/main.rs && echo 'fn main() {}' > build.rs && cp build.rs src/main.rs \
    && cargo build --release --locked --bin rekollect
COPY build.rs ./
COPY migrations migrations
COPY src src
COPY --from=console /src/console/dist console/dist
# Touched: cargo compares times, and the empty program is younger than these files.
RUN touch build.rs src/lib.rs src/main.rs && cargo build --release --locked --bin rekollect && mv target/*/release/rekollect /rekollect

FROM scratch
COPY --from=root /root-fs/ /
COPY --from=root --chown=10001:0 /volume/ /
COPY --from=models /opt/rekollect/models /opt/rekollect/models
# Licences of crates and of the console, bills of materials (CycloneDX); the weights' are in their manifest.
COPY --from=papers /src/licences.md /src/server.cdx.json /usr/share/doc/rekollect/
COPY --from=console /console.cdx.json /usr/share/doc/rekollect/
COPY --from=models /opt/rekollect/models/manifest.toml /usr/share/doc/rekollect/weights.toml
COPY LICENSE-MIT LICENSE-APACHE /usr/share/doc/rekollect/
COPY --from=server /rekollect /usr/local/bin/rekollect
ARG PACK=standard
# The container's address can be reached by others, so the operator has to choose: keys, or REKOLLECT_AUTH=open.
ENV PATH=/usr/local/bin \
    ORT_DISABLE_TELEMETRY=1 \
    REKOLLECT_LISTEN=0.0.0.0:7350 \
    REKOLLECT_DATA_DIR=/data \
    REKOLLECT_MODELS_DIR=/opt/rekollect/models \
    REKOLLECT_PACK=$PACK \
    REKOLLECT_LOG_FORMAT=json
WORKDIR /data
USER 10001:0
VOLUME /data
EXPOSE 7350
HEALTHCHECK --interval=2s --timeout=3s --start-period=10s CMD ["rekollect", "healthcheck"]
ENTRYPOINT ["rekollect"]
CMD ["serve"]
# Version, revision and source are added by whoever builds (`make image`). As arguments of the build they would not do: buildah takes a
# LABEL out of its cache although an argument in it has changed.
LABEL org.opencontainers.image.title="rekollect" \
      org.opencontainers.image.description="A self-hosted face-collection service that speaks the Amazon Rekognition wire protocol" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
