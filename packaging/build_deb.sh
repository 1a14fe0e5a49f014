#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds the Debian packages from the files that git knows, without network.
#
#   packaging/build_deb.sh [-v VERSION] [FOLDER]
#
# FOLDER (build/deb) gets the packages and their source. VERSION: another one than the changelog's, as for trying an
# upgrade. The result depends on nothing else: not on the time, the folder, the umask or who builds.
default=deb
. "$(dirname "$0")/build_arguments.sh"

for tool in dpkg-buildpackage dh dh_python3; do
	command -v "$tool" >/dev/null || {
		echo "$tool is missing: apt-get install dpkg-dev debhelper dh-python python3-lark" >&2
		exit 1
	}
done

rm -rf "$folder"
tree=$folder/tree
SOURCE_DATE_EPOCH=$("$top/packaging/copy_tree.sh" "$tree" "$version")
export SOURCE_DATE_EPOCH
# dpkg's tools want debian/ at the top; in the project it is one of the packagings
mv "$tree/packaging/debian" "$tree/debian"
touch -d "@$SOURCE_DATE_EPOCH" "$tree" "$tree/packaging"
# Debian's own Python, and not one of /usr/local
(cd "$tree" && PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 TZ=UTC dpkg-buildpackage -us -uc -F) >"$folder/build.log" 2>&1 || {
	tail -30 "$folder/build.log" >&2
	exit 1
}
rm -rf "$tree"
