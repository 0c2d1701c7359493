#!/usr/bin/env bash
# Makes containers runnable here, and says how: installs what is missing from Debian, and sees to it that
# docker.io/library/node:20-bookworm-slim is there: in podman's store, from a registry, or, where none can be reached, as a local
# stand-in of the same shape (a minimal Debian with this machine's node and npm). Needs root for what is missing.
#
#   . "$(test/containers/base.sh)"      sets podman's environment in this shell
#
# Ends with 2 and one line on standard error when containers cannot be had here.
set -euo pipefail

NODE=docker.io/library/node:20-bookworm-slim
cache=${CONTAINER_CACHE:-/var/cache/mcptt-testbed-containers}

cannot() { echo "no containers here: $*" >&2; exit 2; }

missing_tools() {
  local tool
  for tool in podman runc podman-compose; do command -v "$tool" >/dev/null || echo "$tool"; done
  [ -x /usr/lib/podman/netavark ] || echo netavark
  [ -x /usr/lib/podman/aardvark-dns ] || echo aardvark-dns
}

install() {
  [ "$(id -u)" = 0 ] || cannot "$* must be installed first, as root"
  command -v apt-get >/dev/null || cannot "$* must be installed first (no apt-get)"
  export DEBIAN_FRONTEND=noninteractive
  { apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@" conmon iptables iproute2; } >"$cache/apt.log" 2>&1 ||
    cannot "apt-get install $* failed, see $cache/apt.log"
}

# What an engine needs to run inside a build machine that has no systemd and may itself be a container.
configure() {
  cat >"$cache/containers.conf" <<'C'
[containers]
default_ulimits = ["nofile=10000:10000","nproc=10000:10000"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "netavark"
C
  echo "export CONTAINERS_CONF=$cache/containers.conf BUILDAH_ISOLATION=chroot" >"$cache/env"
}

stand_in() {
  local root npm
  command -v node >/dev/null && command -v npm >/dev/null || cannot "no registry can be reached, and there is no node to make a base image of"
  command -v debootstrap >/dev/null || install debootstrap
  root=$(mktemp -d "$cache/node.XXXX")
  debootstrap --variant=minbase --include=ca-certificates,libstdc++6 bookworm "$root" >"$cache/debootstrap.log" 2>&1 ||
    cannot "debootstrap failed, see $cache/debootstrap.log"
  npm=$(dirname "$(dirname "$(dirname "$(readlink -f "$(command -v npm)")")")")/npm
  cp "$(readlink -f "$(command -v node)")" "$root/usr/bin/node"
  mkdir -p "$root/usr/lib/node_modules" "$root/usr/etc"
  cp -a "$npm" "$root/usr/lib/node_modules/"
  ln -sf ../lib/node_modules/npm/bin/npm-cli.js "$root/usr/bin/npm"
  ln -sf ../lib/node_modules/npm/bin/npx-cli.js "$root/usr/bin/npx"
  # How this machine reaches its package registry, so that `npm ci` does in the build.
  if [ -e /usr/etc/npmrc ]; then cp /usr/etc/npmrc "$root/usr/etc/"; fi
  cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
  tar -C "$root" -c . | podman import -q --change 'CMD ["node"]' - $NODE >/dev/null
  rm -rf "$root"
}

mkdir -p "$cache" 2>/dev/null && [ -w "$cache" ] || { cache=$(mktemp -d); }
mapfile -t missing < <(missing_tools)
((${#missing[@]} == 0)) || install "${missing[@]}"
configure
# shellcheck disable=SC1091
. "$cache/env"
if ! podman image exists $NODE; then
  timeout 60 podman pull -q $NODE >/dev/null 2>&1 || stand_in
fi
echo "$cache/env"
