#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds the Debian packages from the files that git knows, without network.
#
#   packaging/build_deb.sh [-v VERSION] [FOLDER]
#
# FOLDER (build/deb) gets the packages and their source. VERSION: another one than the changelog's, as for trying an
# upgrade. The result depends on nothing else: not on the time, the folder, the umask or who builds.
set -eu
umask 022
top=$(cd "$(dirname "$0")/.." && pwd)

version=
while getopts v: option; do
	case $option in
	v) version=$OPTARG ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
folder=${1:-$top/build/deb}

for tool in dpkg-buildpackage dh dh_python3; do
	command -v "$tool" >/dev/null || {
		echo "$tool is missing: apt-get install dpkg-dev debhelper dh-python python3-lark" >&2
		exit 1
	}
done

rm -rf "$folder"
mkdir -p "$folder/tree"
tree=$folder/tree
# dpkg's tools want debian/ at the top; in the project it is one of the packagings
git -C "$top" ls-files -z -co --exclude-standard |
	(cd "$top" && xargs -0 sh -c 'for f; do [ ! -e "$f" ] || printf "%s\0" "$f"; done' sh) |
	tar -C "$top" --null -T - -cf - | tar -C "$tree" --no-same-owner -xf -
mv "$tree/packaging/debian" "$tree/debian"
if [ -n "$version" ]; then
	sed -i "1s/(.*)/($version)/" "$tree/debian/changelog"
	sed -i "s/^VERSION = .*/VERSION = \"$version\"/" "$tree/compiler/version.py"
fi

SOURCE_DATE_EPOCH=$(dpkg-parsechangelog -l "$tree/debian/changelog" -S Timestamp)
export SOURCE_DATE_EPOCH
find "$tree" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
chmod -R u+rwX,go=rX "$tree"
# Debian's own Python, and not one of /usr/local
(cd "$tree" && PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 TZ=UTC dpkg-buildpackage -us -uc -F) >"$folder/build.log" 2>&1 || {
	tail -30 "$folder/build.log" >&2
	exit 1
}
rm -rf "$tree"
