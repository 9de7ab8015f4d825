#!/usr/bin/env bash
# Makes stand-ins for the base images that the Dockerfile names, out of Debian's packages and this machine's own toolchains, for machines
# that reach no container registry. They carry the machine's certificates for the build stages; the last stage starts from nothing, so
# nothing of them gets into the image.
#
#     tests/image/stand_in_bases.sh     as root, with buildah and debootstrap; what is there already stays
set -euo pipefail
cd "$(dirname "$0")/../.."
: "${BUILDAH_ISOLATION:=chroot}"
export BUILDAH_ISOLATION
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

base() { sed -nE "s|^FROM (.* )?($1:[^ ]+).*|\2|p" Dockerfile | sort -u; }

# The machine's own bundle of certificates, and the variables by which the tools in the stages find it.
certificates=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}
CA=/opt/ca.crt

commit() { # NAME FOLDER [VARIABLE=VALUE ...]: a folder becomes an image
  local name=$1 folder=$2 container
  shift 2
  container=$(buildah from scratch)
  buildah add --quiet "$container" "$folder" / > /dev/null
  for variable in SSL_CERT_FILE CURL_CA_BUNDLE PIP_CERT REQUESTS_CA_BUNDLE NODE_EXTRA_CA_CERTS CARGO_HTTP_CAINFO npm_config_cafile; do
    buildah config --env "$variable=$CA" "$container"
  done
  for variable in "$@"; do buildah config --env "$variable" "$container"; done
  buildah config --cmd /bin/bash "$container"
  buildah commit --quiet --rm "$container" "localhost/$name" > /dev/null
  echo "made $name"
}

missing() { [ -z "$(buildah images --quiet --filter "reference=localhost/$1")" ]; }

debian() { # Unpacks Debian, once; further packages into it with `packages`
  [ ! -d "$work/debian" ] || return 0
  # The sources of this machine are known to be reached.
  local mirror
  mirror=$(sed -nE 's/^URIs: *([^ ]*).*/\1/p; s/^deb (\[[^]]*\] )?([^ ]*) .*/\2/p' /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2> /dev/null | head -n 1 || true)
  debootstrap --variant=minbase --include=ca-certificates bookworm "$work/debian" ${mirror:+"$mirror"} > "$work/debootstrap.log" || {
    tail "$work/debootstrap.log"
    exit 1
  }
  cp --dereference "$certificates" "$work/debian$CA"
}

packages() { # FOLDER PACKAGE ...
  local folder=$1
  shift
  cp /etc/resolv.conf "$folder/etc/"
  chroot "$folder" sh -c 'apt-get update --quiet && DEBIAN_FRONTEND=noninteractive apt-get install --quiet --yes --no-install-recommends "$@" && apt-get clean' sh "$@" > "$work/packages.log" || {
    tail "$work/packages.log"
    exit 1
  }
}

for name in $(base debian); do
  missing "$name" || continue
  debian
  commit "$name" "$work/debian"
done

for name in $(base node); do
  missing "$name" || continue
  debian
  cp -a "$work/debian" "$work/node"
  mkdir -p "$work/node/usr/local/bin" "$work/node/usr/local/lib/node_modules"
  cp --dereference "$(command -v node)" "$work/node/usr/local/bin/node"
  cp -a "$(npm root --global)/npm" "$work/node/usr/local/lib/node_modules/npm"
  for tool in npm npx; do ln -s "../lib/node_modules/npm/bin/$tool-cli.js" "$work/node/usr/local/bin/$tool"; done
  chroot "$work/node" /usr/local/bin/npm --version > /dev/null
  commit "$name" "$work/node"
  rm -rf "$work/node"
done

for name in $(base rust); do
  missing "$name" || continue
  debian
  cp -a "$work/debian" "$work/rust"
  packages "$work/rust" g++ gcc libc6-dev make pkg-config
  # As the real image has it: rustup and the toolchain that it manages, of this machine.
  mkdir -p "$work/rust/usr/local/rustup/toolchains" "$work/rust/usr/local/cargo/bin"
  cp -a "${RUSTUP_HOME:-$HOME/.rustup}/settings.toml" "$work/rust/usr/local/rustup/"
  cp -a "$(rustc --print sysroot)" "$work/rust/usr/local/rustup/toolchains/"
  rm -rf "$work/rust/usr/local/rustup/toolchains"/*/share/doc
  for tool in rustup cargo rustc; do cp -a "$(dirname "$(command -v rustup)")/$tool" "$work/rust/usr/local/cargo/bin/"; done
  commit "$name" "$work/rust" RUSTUP_HOME=/usr/local/rustup CARGO_HOME=/usr/local/cargo \
    PATH=/usr/local/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
  rm -rf "$work/rust"
done
