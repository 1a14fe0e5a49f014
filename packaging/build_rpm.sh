#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds the RPM packages from the files that git knows, without network.
#
#   packaging/build_rpm.sh [-v VERSION] [FOLDER]
#
# FOLDER (build/rpm) gets the packages and their source. VERSION: another one than the spec's.
default=rpm
. "$(dirname "$0")/build_arguments.sh"

command -v rpmbuild >/dev/null || {
	echo "rpmbuild is missing: it is in the package rpm (Debian) or rpm-build" >&2
	exit 1
}
# What the spec's BuildRequires name, by Fedora's names, which rpmbuild would not find on Debian.
for tool in python3 scdoc; do
	command -v "$tool" >/dev/null || {
		echo "$tool is missing" >&2
		exit 1
	}
done

rm -rf "$folder"
mkdir -p "$folder"
# rpmbuild takes no path with a blank in it
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/SOURCES"
SOURCE_DATE_EPOCH=$("$top/packaging/copy_tree.sh" "$work/tree" "$version")
export SOURCE_DATE_EPOCH
spec=$work/tree/packaging/rpm/stapwatch.spec
name=stapwatch-$(sed -n 's/^Version: *//p' "$spec")
mv "$work/tree" "$work/$name"
tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner --format=gnu -cf - "$name" |
	gzip -9n >"$work/SOURCES/$name.tar.gz"

# the distribution's own Python, and not one of /usr/local
PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 TZ=UTC rpmbuild -ba --nodeps \
	--define "_topdir $work" --define "_buildhost localhost" \
	--define "use_source_date_epoch_as_buildtime 1" --define "clamp_mtime_to_source_date_epoch 1" \
	"$work/$name/packaging/rpm/stapwatch.spec" >"$folder/build.log" 2>&1 || {
	tail -30 "$folder/build.log" >&2
	exit 1
}
mv "$work"/RPMS/noarch/*.rpm "$work"/SRPMS/*.rpm "$folder"
