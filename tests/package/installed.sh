# For the tests of the installed package: common.sh, and with $build set, Tessera below
# $prefix.
. "$(dirname "$0")/common.sh"
prefix=$work/prefix
cmake --install "$build" --prefix "$prefix" >"$work/install.log" || { cat "$work/install.log"; fail install; }
export PKG_CONFIG_PATH="$prefix/lib/pkgconfig"
