#!/bin/sh
# Gets the upstream sources of a Debian or Ubuntu source package, as a plain user
# and without touching the system's package lists: a private deb-src list made
# from the system's own sources, used once.
#
#   tools/debian-source.sh PACKAGE DIR
#
# Leaves in DIR what the package's upstream tarball holds, without its top folder
# (Debian's patches are not applied). Exit 1, with one line on stderr, where this
# is no Debian or the archive cannot be had.
set -eu
fail() { echo "debian-source: $1" >&2; exit 1; }

[ $# -eq 2 ] || { echo "usage: tools/debian-source.sh PACKAGE DIR" >&2; exit 2; }
package=$1
case $2 in /*) dest=$2 ;; *) dest=$PWD/$2 ;; esac
command -v apt-get >/dev/null 2>&1 || fail "no apt-get here"
[ -r /etc/os-release ] || fail "no /etc/os-release"
. /etc/os-release
suite=${VERSION_CODENAME:-}
[ -n "$suite" ] || fail "/etc/os-release names no suite"
case $ID in
  debian) key=/usr/share/keyrings/debian-archive-keyring.gpg component=main
          default=http://deb.debian.org/debian ;;
  ubuntu) key=/usr/share/keyrings/ubuntu-archive-keyring.gpg component="main universe"
          default=http://archive.ubuntu.com/ubuntu ;;
  *) fail "$ID is neither Debian nor Ubuntu" ;;
esac

# The archive that this machine already uses: the first URI that offers the suite.
uri=
for list in /etc/apt/sources.list.d/*.sources; do
  [ -r "$list" ] || continue
  uri=$(awk -v suite="$suite" '
    function flush() { if (uri != "" && hit) { print uri; found = 1; exit } uri = ""; hit = 0 }
    /^[ \t]*$/ { flush() }
    tolower($1) == "uris:" { uri = $2 }
    tolower($1) == "suites:" { for (i = 2; i <= NF; i++) if ($i == suite) hit = 1 }
    END { if (!found && uri != "" && hit) print uri }' "$list")
  [ -z "$uri" ] || break
done
if [ -z "$uri" ]; then
  for list in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [ -r "$list" ] || continue
    uri=$(awk -v suite="$suite" '
      $1 == "deb" { i = 2; if ($i ~ /^\[/) { while ($i !~ /\]$/) i++; i++ }
                    if ($(i + 1) == suite) { print $i; exit } }' "$list")
    [ -z "$uri" ] || break
  done
fi
[ -n "$uri" ] || uri=$default

work=$(mktemp -d "${TMPDIR:-/tmp}/debian-source.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM HUP
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/get" "$work/out"
chmod 755 "$work" "$work/get"
{
  echo "Types: deb-src"
  echo "URIs: $uri"
  echo "Suites: $suite"
  echo "Components: $component"
  [ ! -r "$key" ] || echo "Signed-By: $key"
} >"$work/source.sources"

apt() {
  timeout 120 apt-get -qq -o Dir::Etc::SourceParts=/dev/null \
    -o Dir::Etc::SourceList="$work/source.sources" -o Dir::State::Lists="$work/lists" \
    -o Dir::Cache="$work/cache" -o APT::Sandbox::User= "$@" >"$work/log" 2>&1 ||
    fail "apt-get $1: $(tail -n 1 "$work/log")"
}
apt update
cd "$work/get"
apt source --download-only "$package"
set -- "$package"_*.orig.tar.*
[ -f "$1" ] || fail "the source package holds no orig tarball"
tar -xf "$1" -C "$work/out" || fail "cannot unpack $1"
set -- "$work"/out/*/
[ $# -eq 1 ] && [ -d "$1" ] || fail "$package's tarball has no single top folder"
mkdir -p "$(dirname "$dest")"
cp -R "$1" "$dest.part.$$"
# Another configure may have been quicker; either copy will do.
mv -T "$dest.part.$$" "$dest" 2>/dev/null || rm -rf "$dest.part.$$"
[ -d "$dest" ] || fail "cannot write $dest"
