# Sourced by ./run and ./check: installs what is missing where it may, else says so in a sentence.

page_reason=""

say_and_stop() {
  echo "kith: $1" >&2
  exit 1
}

# Installs Debian packages if this is Debian and we may; fails quietly otherwise.
install_packages() {
  command -v apt-get >/dev/null || return 1
  local as_root=()
  if [ "$(id -u)" != 0 ]; then
    sudo -n true 2>/dev/null || return 1
    as_root=(sudo -n)
  fi
  echo "Installing $* ..." >&2
  "${as_root[@]}" apt-get update -qq >/dev/null || true
  DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq "$@" >/dev/null
}

need_rust() {
  command -v cargo >/dev/null || say_and_stop "Rust is missing: install it from https://rustup.rs, then run this again."
}

need_c_compiler() {
  if command -v cc >/dev/null && command -v make >/dev/null; then return; fi
  install_packages gcc g++ make libc6-dev ||
    say_and_stop "a C compiler and make are missing: install them (Debian: apt install build-essential), then run this again."
}

# Node.js 20.19 or later builds the page. Without it everything but the page works.
need_node() {
  if node_is_fit; then return 0; fi
  install_packages nodejs npm || true
  if node_is_fit; then return 0; fi
  page_reason="Node.js 20.19 or later and npm are missing; install them from https://nodejs.org and run this again for the page."
  return 1
}

node_is_fit() {
  command -v npm >/dev/null && command -v node >/dev/null &&
    node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)'
}

# Tests of services start a PostgreSQL of their own; its packages also start one, which we do not need.
need_postgres() {
  local found
  found="$(command -v initdb || ls /usr/lib/postgresql/*/bin/initdb 2>/dev/null | head -1)"
  [ -z "$found" ] || return 0
  install_packages postgresql ||
    say_and_stop "PostgreSQL is missing: install it (Debian: apt install postgresql), then run this again."
}

# Some tests live through two days: programs are told another time.
need_faketime() {
  [ -e /usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1 ] || install_packages faketime ||
    say_and_stop "libfaketime is missing: install it (Debian: apt install faketime), then run this again."
}

# A lab of address translators, and a TURN server; where they are missing their tests are skipped.
want_network_tools() {
  command -v nft >/dev/null && command -v ip >/dev/null && command -v conntrack >/dev/null &&
    command -v turnserver >/dev/null || install_packages iproute2 nftables conntrack coturn || true
}

# Figures are taken beside these; their packages also start them, which we do not need.
need_xmpp_servers() {
  if command -v prosody >/dev/null && command -v erl >/dev/null &&
    ls -d /usr/lib/*/ejabberd-* /usr/lib/*/lua/*/dbd/sqlite3.so >/dev/null 2>&1; then
    return
  fi
  install_packages prosody ejabberd lua-dbi-sqlite3 ||
    say_and_stop "Prosody and ejabberd are missing: install them (Debian: apt install prosody ejabberd lua-dbi-sqlite3), then run this again."
}

# The time to find somebody is taken beside c-toxcore's.
need_tox() {
  [ -e /usr/include/tox/tox.h ] || install_packages libtoxcore-dev ||
    say_and_stop "c-toxcore is missing: install it (Debian: apt install libtoxcore-dev), then run this again."
}

# Builds the page when its sources are newer than what was built.
build_page() {
  local built=node/ui/dist/index.html
  if [ -f "$built" ] && [ -z "$(find node/ui -path node/ui/node_modules -prune -o -path node/ui/dist -prune -o -type f -newer "$built" -print -quit)" ]; then
    return
  fi
  echo "Building the page ..." >&2
  (cd node/ui && npm ci --no-audit --no-fund --loglevel=error && npm run --silent build >/dev/null)
}
