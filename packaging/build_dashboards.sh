#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Writes the files of the package stapwatch-dashboards, for the example probes. The mixin has the dashboards.
#
#   packaging/build_dashboards.sh FOLDER
#   packaging/build_dashboards.sh --record
#
# The probes need the types of a kernel to be compiled, and a machine that builds packages may have none, or another
# one each time. So the package is made of recorded tables (names, types and keys of the probes' globals), which no
# kernel changes; a test compares them with the compiler's. --record writes them anew, on a machine with a kernel's types.
set -eu
umask 022
top=$(cd "$(dirname "$0")/.." && pwd)
case $1 in
/* | --record) folder=$1 ;;
*) folder=$PWD/$1 ;;
esac
tables=$top/packaging/dashboards/tables.json
runbooks=file:///usr/share/stapwatch/dashboards/alerts.md

# as /etc/stapwatch is, with the package stapwatch-probes
etc=$(mktemp -d)
trap 'rm -rf "$etc"' EXIT
mkdir "$etc/conf.d" "$etc/probes.d"
cp "$top/packaging/stapwatch.yaml" "$etc/"
for file in "$top"/packaging/etc/conf.d/*.yaml; do
	sed "s|/usr/share/stapwatch/probes.d|$top/packaging/probes.d|" "$file" >"$etc/conf.d/${file##*/}"
done

cd "$top"
dashboards() {
	"${PYTHON:-python3}" -m agent dashboards --config "$etc" --all "$@"
}
if [ "$folder" = --record ]; then
	dashboards --format tables -o "${tables%/*}"
	exit
fi
for format in mixin rules; do
	dashboards --format $format --tables "$tables" --runbooks $runbooks -o "$folder/$format"
done
