#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Copies the files that git knows to a folder, so that a package made there depends on nothing else: not on the time,
# the folder, the umask or who builds. Prints the time that all of them have, in seconds: the changelog's.
#
#   packaging/copy_tree.sh FOLDER [VERSION]
#
# VERSION: another one than the changelog's, as for trying an upgrade.
set -eu
umask 022
top=$(cd "$(dirname "$0")/.." && pwd)
tree=$1
version=${2:-}

mkdir -p "$tree"
git -C "$top" ls-files -z -co --exclude-standard |
	(cd "$top" && xargs -0 sh -c 'for f; do [ ! -e "$f" ] || printf "%s\0" "$f"; done' sh) |
	tar -C "$top" --null -T - -cf - | tar -C "$tree" --no-same-owner -xf -
if [ -n "$version" ]; then
	sed -i "1s/(.*)/($version)/" "$tree/packaging/debian/changelog"
	sed -i "s/^Version:.*/Version: $version/" "$tree/packaging/rpm/stapwatch.spec"
	sed -i "s/^VERSION = .*/VERSION = \"$version\"/" "$tree/compiler/version.py"
fi
changed=$(sed -n 's/^ -- .*>  //p' "$tree/packaging/debian/changelog" | head -n 1)
seconds=$(date -d "$changed" +%s)
find "$tree" -exec touch -h -d "@$seconds" {} +
chmod -R u+rwX,go=rX "$tree"
printf '%s\n' "$seconds"
